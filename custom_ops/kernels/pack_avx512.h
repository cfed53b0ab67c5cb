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
constexpr uint64_t kMaxPut = 56;

// Constants in registers: left to itself a compiler makes them anew in every step, from general registers.
struct PackConstants {
  __m512i byte_begins = _mm512_set1_epi64(0x3830282018100800);
  __m512i bytes_before = _mm512_set1_epi64(0x302820181008'00F8);
  __m512i ones8 = _mm512_set1_epi8(1);
  __m512i ones16 = _mm512_set1_epi16(1);
  __m512i width8 = _mm512_set1_epi8(8);
  __m512i width16 = _mm512_set1_epi16(16);
  __m512i width32 = _mm512_set1_epi32(32);
  __m512i all_ones = _mm512_set1_epi8(-1);

  FMTC_INLINE PackConstants() {
    __asm__(""
            : "+v"(byte_begins), "+v"(bytes_before), "+v"(ones8), "+v"(ones16), "+v"(width8), "+v"(width16),
              "+v"(width32), "+v"(all_ones));
  }
};

// Fields of 0 ... 7 bits, with whatever above them: the bits of each 8 lanes without gaps, with whatever above them.
//
// Elements are joined three times. The lower half moves up to the end of its place, so that what is above its bits
// falls off, and then both halves move down.
FMTC_INLINE __m512i PackGroups(const PackConstants& c, __m512i fields, __m512i bits) {
  constexpr uint64_t kLowerHalves = 0x5555555555555555;
  const __m512i from = _mm512_mask_add_epi8(c.byte_begins, kLowerHalves, c.bytes_before, bits);
  const __m512i gaps = _mm512_maskz_sub_epi8(kLowerHalves, c.width8, bits);
  const __m512i v16 = _mm512_srlv_epi16(_mm512_multishift_epi64_epi8(from, fields), gaps);
  const __m512i bits16 = _mm512_maddubs_epi16(bits, c.ones8);
  const __m512i gaps16 = _mm512_maskz_sub_epi16(static_cast<__mmask32>(kLowerHalves), c.width16, bits16);
  const __m512i v32 = _mm512_srlv_epi32(_mm512_sllv_epi16(v16, gaps16), gaps16);
  const __m512i bits32 = _mm512_madd_epi16(bits16, c.ones16);
  const __m512i gaps32 = _mm512_maskz_sub_epi32(static_cast<__mmask16>(kLowerHalves), c.width32, bits32);
  return _mm512_srlv_epi64(_mm512_sllv_epi32(v32, gaps32), gaps32);
}

// A unit of `bits` bits, 56 at most, with whatever above them.
FMTC_INLINE void PutUnit(uint64_t unit, uint64_t bits, RawWriter* writer) {
  writer->Put(_bzhi_u64(unit, static_cast<uint32_t>(bits)), static_cast<uint32_t>(bits));
  writer->FlushInside();
}

FMTC_INLINE void PutUnit(uint64_t unit, uint64_t bits, TokenWriter* writer) {
  writer->Put(_bzhi_u64(unit, static_cast<uint32_t>(bits)), static_cast<uint32_t>(bits));
  writer->Flush();
}

template <int kQuarter>
FMTC_INLINE uint64_t ExtractLow(__m512i v) {
  return static_cast<uint64_t>(_mm_cvtsi128_si64(_mm512_extracti64x2_epi64(v, kQuarter)));
}

template <int kQuarter>
FMTC_INLINE uint64_t ExtractHigh(__m512i v) {
  return static_cast<uint64_t>(_mm_extract_epi64(_mm512_extracti64x2_epi64(v, kQuarter), 1));
}

// The groups of 64 lanes and, in the even elements, two of them joined, each with its bits.
struct Units {
  __m512i groups, group_bits, pairs, pair_bits;
};

FMTC_INLINE Units JoinGroups(const PackConstants& c, __m512i groups, __m512i group_bits) {
  constexpr int kSelect = 0xCA;
  const __m512i second = _mm512_sllv_epi64(_mm512_unpackhi_epi64(groups, groups), group_bits);
  const __m512i pairs = _mm512_ternarylogic_epi64(_mm512_sllv_epi64(c.all_ones, group_bits), second, groups, kSelect);
  return {groups, group_bits, pairs, _mm512_add_epi64(group_bits, _mm512_unpackhi_epi64(group_bits, group_bits))};
}

template <int kQuarter, bool kBackwards, typename Writer>
FMTC_INLINE void PutPair(const Units& units, Writer* writer) {
  const uint64_t bits = ExtractLow<kQuarter>(units.pair_bits);
  if (__builtin_expect(bits <= kMaxPut, 1)) {
    PutUnit(ExtractLow<kQuarter>(units.pairs), bits, writer);
    return;
  }
  const uint64_t first_bits = ExtractLow<kQuarter>(units.group_bits);
  if (!kBackwards) PutUnit(ExtractLow<kQuarter>(units.groups), first_bits, writer);
  PutUnit(ExtractHigh<kQuarter>(units.groups), bits - first_bits, writer);
  if (kBackwards) PutUnit(ExtractLow<kQuarter>(units.groups), first_bits, writer);
}

FMTC_INLINE void PutUnits(const Units& units, RawWriter* writer) {
  PutPair<0, false>(units, writer);
  PutPair<1, false>(units, writer);
  PutPair<2, false>(units, writer);
  PutPair<3, false>(units, writer);
}

FMTC_INLINE void PutUnits(const Units& units, TokenWriter* writer) {
  PutPair<3, true>(units, writer);
  PutPair<2, true>(units, writer);
  PutPair<1, true>(units, writer);
  PutPair<0, true>(units, writer);
}

// Fields as for PackGroups.
template <typename Writer>
FMTC_INLINE void PutFields(const PackConstants& c, __m512i fields, __m512i bits, Writer* writer) {
  PutUnits(JoinGroups(c, PackGroups(c, fields, bits), _mm512_sad_epu8(bits, _mm512_setzero_si512())), writer);
}

}  // namespace
}  // namespace fmtc

FMTC_END_TARGET

#endif  // FMTC_KERNELS_PACK_AVX512_H_
