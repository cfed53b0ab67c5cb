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

// Units of the even elements only, 16 lanes each, with whatever above them; forwards for RawWriter.
FMTC_INLINE void PutUnit(uint64_t unit, uint64_t bits, RawWriter* writer) {
  writer->Put(_bzhi_u64(unit, static_cast<uint32_t>(bits)), static_cast<uint32_t>(bits));
  writer->Flush();
}
FMTC_INLINE void PutUnit(uint64_t unit, uint64_t bits, TokenWriter* writer) {
  writer->Put(_bzhi_u64(unit, static_cast<uint32_t>(bits)), static_cast<uint32_t>(bits));
  writer->Flush();
}

template <size_t kBegin, size_t kStep>
FMTC_INLINE void PutUnits(__m512i units, __m512i bits, RawWriter* writer) {
  alignas(64) uint64_t unit[kLanes / 8];
  alignas(64) uint64_t unit_bits[kLanes / 8];
  _mm512_store_si512(unit, units);
  _mm512_store_si512(unit_bits, bits);
  for (size_t i = 0; i < kLanes / 8; i += kStep) PutUnit(unit[i], unit_bits[i], writer);
}
template <size_t kBegin, size_t kStep>
FMTC_INLINE void PutUnits(__m512i units, __m512i bits, TokenWriter* writer) {
  alignas(64) uint64_t unit[kLanes / 8];
  alignas(64) uint64_t unit_bits[kLanes / 8];
  _mm512_store_si512(unit, units);
  _mm512_store_si512(unit_bits, bits);
  for (size_t i = kLanes / 8; i > 0; i -= kStep) PutUnit(unit[i - kStep], unit_bits[i - kStep], writer);
}

template <typename Writer>
FMTC_INLINE void PutFields(const PackConstants& c, __m512i fields, __m512i bits, Writer* writer) {
  const __m512i groups = PackGroups(c, fields, bits);
  const __m512i group_bits = _mm512_sad_epu8(bits, _mm512_setzero_si512());
  // In the even elements: two groups.
  constexpr int kSelect = 0xCA;
  const __m512i second = _mm512_sllv_epi64(_mm512_unpackhi_epi64(groups, groups), group_bits);
  const __m512i pairs =
      _mm512_ternarylogic_epi64(_mm512_sllv_epi64(c.all_ones, group_bits), second, groups, kSelect);
  const __m512i pair_bits = _mm512_add_epi64(group_bits, _mm512_unpackhi_epi64(group_bits, group_bits));
  if (__builtin_expect(_mm512_mask_cmpgt_epu64_mask(0x55, pair_bits, _mm512_set1_epi64(kMaxPut)) == 0, 1)) {
    PutUnits<0, 2>(pairs, pair_bits, writer);
    return;
  }
  PutUnits<0, 1>(groups, group_bits, writer);
}

}  // namespace
}  // namespace fmtc

FMTC_END_TARGET

#endif  // FMTC_KERNELS_PACK_AVX512_H_
