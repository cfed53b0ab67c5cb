// Fields of bits, one in each of 64 lanes, packed and appended to the streams of the encoder: vectors join neighbouring
// fields to units of 16 lanes, which nearly always fit a writer, or of 8, which always do.
#ifndef FMTC_KERNELS_PACK_AVX512_H_
#define FMTC_KERNELS_PACK_AVX512_H_

#include <immintrin.h>

#include "core/bit_streams.h"
#include "core/kernels.h"
#include "kernels/target.h"

FMTC_BEGIN_TARGET_AVX512

namespace fmtc {
namespace {

// The most bits that fit a writer between two flushes.
constexpr int64_t kMaxPut = 56;

// The lower halves of the elements of `v`, and `moved`.
FMTC_INLINE __m512i JoinHalves(__m512i v, __m512i lower_half, __m512i moved) {
  constexpr int kAndOr = 0xEA;
  return _mm512_ternarylogic_epi64(v, lower_half, moved, kAndOr);
}

// Constants in registers: left to itself a compiler makes them anew in every step, from general registers.
struct PackConstants {
  __m512i ones8 = _mm512_set1_epi8(1);
  __m512i ones16 = _mm512_set1_epi16(1);
  __m512i low8 = _mm512_set1_epi16(0xFF);
  __m512i low16 = _mm512_set1_epi32(0xFFFF);
  __m512i low32 = _mm512_set1_epi64(0xFFFFFFFF);
  __m512i max_put = _mm512_set1_epi64(kMaxPut);

  FMTC_INLINE PackConstants() {
    __asm__("" : "+v"(ones8), "+v"(ones16), "+v"(low8), "+v"(low16), "+v"(low32), "+v"(max_put));
  }
};

// Fields of 0 ... 7 bits, with nothing above them: the bits of each 8 lanes without gaps.
FMTC_INLINE __m512i PackGroups(const PackConstants& c, __m512i fields, __m512i bits) {
  const __m512i bits2 = _mm512_maddubs_epi16(bits, c.ones8);
  const __m512i bits4 = _mm512_madd_epi16(bits2, c.ones16);
  __m512i v = fields;
  v = JoinHalves(v, c.low8, _mm512_sllv_epi16(_mm512_srli_epi16(v, 8), _mm512_and_si512(bits, c.low8)));
  v = JoinHalves(v, c.low16, _mm512_sllv_epi32(_mm512_srli_epi32(v, 16), _mm512_and_si512(bits2, c.low16)));
  return JoinHalves(v, c.low32, _mm512_sllv_epi64(_mm512_srli_epi64(v, 32), _mm512_and_si512(bits4, c.low32)));
}

template <int kQuarter>
FMTC_INLINE uint64_t ExtractLow(__m512i v) {
  return static_cast<uint64_t>(_mm_cvtsi128_si64(_mm512_extracti64x2_epi64(v, kQuarter)));
}

template <typename Writer, int kQuarter>
FMTC_INLINE void PutQuarter(__m512i units, __m512i bits, Writer* writer) {
  writer->Put(ExtractLow<kQuarter>(units), static_cast<uint32_t>(ExtractLow<kQuarter>(bits)));
  writer->Flush();
}

// Eight units; forwards for RawWriter, backwards for TokenWriter.
FMTC_INLINE void PutAllGroups(const uint64_t* units, const uint64_t* bits, RawWriter* writer) {
  for (size_t i = 0; i < kLanes / 8; ++i) {
    writer->Put(units[i], static_cast<uint32_t>(bits[i]));
    writer->Flush();
  }
}

FMTC_INLINE void PutAllGroups(const uint64_t* units, const uint64_t* bits, TokenWriter* writer) {
  for (size_t i = kLanes / 8; i-- > 0;) {
    writer->Put(units[i], static_cast<uint32_t>(bits[i]));
    writer->Flush();
  }
}

FMTC_INLINE void PutPairs(__m512i pairs, __m512i bits, RawWriter* writer) {
  PutQuarter<RawWriter, 0>(pairs, bits, writer);
  PutQuarter<RawWriter, 1>(pairs, bits, writer);
  PutQuarter<RawWriter, 2>(pairs, bits, writer);
  PutQuarter<RawWriter, 3>(pairs, bits, writer);
}

FMTC_INLINE void PutPairs(__m512i pairs, __m512i bits, TokenWriter* writer) {
  PutQuarter<TokenWriter, 3>(pairs, bits, writer);
  PutQuarter<TokenWriter, 2>(pairs, bits, writer);
  PutQuarter<TokenWriter, 1>(pairs, bits, writer);
  PutQuarter<TokenWriter, 0>(pairs, bits, writer);
}

template <typename Writer>
FMTC_INLINE void PutFields(const PackConstants& c, __m512i fields, __m512i bits, Writer* writer) {
  const __m512i groups = PackGroups(c, fields, bits);
  const __m512i group_bits = _mm512_sad_epu8(bits, _mm512_setzero_si512());
  // In the even elements: two groups.
  const __m512i pairs = _mm512_or_si512(groups, _mm512_sllv_epi64(_mm512_unpackhi_epi64(groups, groups), group_bits));
  const __m512i pair_bits = _mm512_add_epi64(group_bits, _mm512_unpackhi_epi64(group_bits, group_bits));
  if (__builtin_expect(_mm512_mask_cmpgt_epu64_mask(0x55, pair_bits, c.max_put) == 0, 1)) {
    PutPairs(pairs, pair_bits, writer);
    return;
  }
  uint64_t units[kLanes / 8];
  uint64_t unit_bits[kLanes / 8];
  _mm512_storeu_si512(units, groups);
  _mm512_storeu_si512(unit_bits, group_bits);
  PutAllGroups(units, unit_bits, writer);
}

}  // namespace
}  // namespace fmtc

FMTC_END_TARGET

#endif  // FMTC_KERNELS_PACK_AVX512_H_
