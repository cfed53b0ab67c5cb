// Fields of bits, one in each of 64 lanes, packed and appended to the streams of the encoder: vectors join neighbouring
// fields to units of 8 lanes, which always fit a writer, or of 16 or 32, which have to fit it nearly always.
#ifndef FMTC_CODEC_KERNELS_PACK_AVX512_H_
#define FMTC_CODEC_KERNELS_PACK_AVX512_H_

#include <immintrin.h>

#include <type_traits>

#include "codec/bit_streams.h"
#include "codec/kernels.h"
#include "cpu/target.h"

FMTC_BEGIN_TARGET_AVX512

namespace fmtc {
namespace {

// The most bits that fit a writer between two flushes.
constexpr uint64_t kMaxPut = 56;

// Keeps a constant in a register: left to itself a compiler makes it anew in every step, from general registers.
FMTC_INLINE __m512i InRegister(__m512i constant) {
  __asm__("" : "+v"(constant));
  return constant;
}

struct PackConstants {
  __m512i byte_begins = InRegister(_mm512_set1_epi64(0x3830282018100800));
  __m512i bytes_before = InRegister(_mm512_set1_epi64(0x30282018100800F8));
  __m512i ones8 = InRegister(_mm512_set1_epi8(1));
  __m512i ones16 = InRegister(_mm512_set1_epi16(1));
  __m512i width8 = InRegister(_mm512_set1_epi8(8));
  __m512i width16 = InRegister(_mm512_set1_epi16(16));
  __m512i width32 = InRegister(_mm512_set1_epi32(32));
  __m512i all_ones = InRegister(_mm512_set1_epi8(-1));

  FMTC_INLINE PackConstants() {}  // written out, for the target's attribute
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

template <int kElement>
FMTC_INLINE uint64_t Element(__m512i v) {
  const __m128i pair = _mm512_extracti64x2_epi64(v, kElement / 2);
  return static_cast<uint64_t>(kElement % 2 == 0 ? _mm_cvtsi128_si64(pair) : _mm_extract_epi64(pair, 1));
}

// Units of bits in elements of 64, with whatever above them, and how many bits.
struct Units {
  __m512i values, bits;
};

// Of no use where both together do not fit an element.
FMTC_INLINE Units Join(const PackConstants& c, const Units& first, const Units& second) {
  constexpr int kSelect = 0xCA;
  const __m512i above = _mm512_sllv_epi64(c.all_ones, first.bits);
  const __m512i moved = _mm512_sllv_epi64(second.values, first.bits);
  return {_mm512_ternarylogic_epi64(above, moved, first.values, kSelect), _mm512_add_epi64(first.bits, second.bits)};
}

// Joined with what kMove, an immediate of permutex_epi64, brings to the place of each unit.
template <int kMove>
FMTC_INLINE Units JoinMoved(const PackConstants& c, const Units& units) {
  return Join(c, units, {_mm512_permutex_epi64(units.values, kMove), _mm512_permutex_epi64(units.bits, kMove)});
}

// The fields of a step: of 8 lanes in every element, of 16 in every second one, of 32 in every fourth one.
struct StepUnits {
  Units lanes8, lanes16, lanes32;
};

template <int kLanesTogether, int kCovered, int kElement, typename Writer>
FMTC_INLINE void PutLanes(const StepUnits& units, Writer* writer);

// kCovered lanes from kElement on, in units of kLanesTogether and in the writer's order.
template <int kLanesTogether, int kCovered, int kElement, typename Writer>
FMTC_INLINE void PutHalves(const StepUnits& units, Writer* writer) {
  constexpr bool kBackwards = std::is_same<Writer, TokenWriter>::value;
  constexpr int kMiddle = kElement + kCovered / 2 / 8;
  PutLanes<kLanesTogether, kCovered / 2, kBackwards ? kMiddle : kElement>(units, writer);
  PutLanes<kLanesTogether, kCovered / 2, kBackwards ? kElement : kMiddle>(units, writer);
}

template <int kLanesTogether, int kCovered, int kElement, typename Writer>
FMTC_INLINE void PutLanes(const StepUnits& units, Writer* writer) {
  if constexpr (kCovered > kLanesTogether) {
    PutHalves<kLanesTogether, kCovered, kElement>(units, writer);
  } else {
    const Units& whole = kCovered == 8 ? units.lanes8 : kCovered == 16 ? units.lanes16 : units.lanes32;
    const uint64_t bits = Element<kElement>(whole.bits);
    if constexpr (kCovered > 8) {
      if (__builtin_expect(bits > kMaxPut, 0)) return PutHalves<kCovered / 2, kCovered, kElement>(units, writer);
    }
    PutUnit(Element<kElement>(whole.values), bits, writer);
  }
}

// Fields as for PackGroups, so many lanes at a time.
template <int kLanesTogether, typename Writer>
FMTC_INLINE void PutFields(const PackConstants& c, __m512i fields, __m512i bits, Writer* writer) {
  constexpr int kSecondOfTwo = 0xF5;  // elements 1, 1, 3, 3
  constexpr int kThirdOfFour = 0xAA;  // elements 2, 2, 2, 2
  StepUnits units;
  units.lanes8 = {PackGroups(c, fields, bits), _mm512_sad_epu8(bits, _mm512_setzero_si512())};
  if (kLanesTogether >= 16) units.lanes16 = JoinMoved<kSecondOfTwo>(c, units.lanes8);
  if (kLanesTogether >= 32) units.lanes32 = JoinMoved<kThirdOfFour>(c, units.lanes16);
  PutLanes<kLanesTogether, kLanes, 0>(units, writer);
}

}  // namespace
}  // namespace fmtc

FMTC_END_TARGET

#endif  // FMTC_CODEC_KERNELS_PACK_AVX512_H_
