// Sums of four outputs in a vector, for simd/matrix_tiles-inl.h.
#ifndef FMTC_SIMD_SUMS_NEON_INL_H_
#define FMTC_SIMD_SUMS_NEON_INL_H_

#include "simd/matrix_tiles-inl.h"

namespace fmtc {
namespace {

// Four vectors of four sums make a group.
struct Sums4 {
  struct Group {
    int32x4_t part[4];
  };
  // The first inputs of eight outputs, and their second ones.
  struct Pairs {
    int16x8x2_t half[2];
  };
  using Input = int16x4_t;  // in the first two lanes
  using Bytes = uint8x16_t;
  static constexpr size_t kPixels = 4;
  static constexpr size_t kGroups = 1;

  static FMTC_INLINE Group LoadSums(const int32_t* p, int32_t more) {
    const int32x4_t added = vdupq_n_s32(more);
    Group sums;
    for (size_t i = 0; i < 4; ++i) sums.part[i] = vaddq_s32(vld1q_s32(p + 4 * i), added);
    return sums;
  }
  static FMTC_INLINE Pairs LoadPairs(const int16_t* p) { return {{vld2q_s16(p), vld2q_s16(p + 16)}}; }
  static FMTC_INLINE Input LoadInput(const int16_t* p) {
    int32_t pair;
    memcpy(&pair, p, sizeof(pair));
    return vreinterpret_s16_s32(vdup_n_s32(pair));
  }
  static FMTC_INLINE void AddProducts(const Pairs& pairs, Input input, Group* sums) {
    for (size_t i = 0; i < 2; ++i) {
      const int16x8x2_t& half = pairs.half[i];
      int32x4_t* const part = sums->part + 2 * i;
      part[0] = vmlal_lane_s16(part[0], vget_low_s16(half.val[0]), input, 0);
      part[1] = vmlal_high_lane_s16(part[1], half.val[0], input, 0);
      part[0] = vmlal_lane_s16(part[0], vget_low_s16(half.val[1]), input, 1);
      part[1] = vmlal_high_lane_s16(part[1], half.val[1], input, 1);
    }
  }
  static FMTC_INLINE void StoreSums(int32_t* p, const Group& sums) {
    for (size_t i = 0; i < 4; ++i) vst1q_s32(p + 4 * i, sums.part[i]);
  }
  static FMTC_INLINE Bytes Finish(const Group& sums, const Rounding& rounding) {
    const int32x4_t right = vdupq_n_s32(-static_cast<int32_t>(rounding.shift));
    int16x4_t words[4];
    for (size_t i = 0; i < 4; ++i) words[i] = vqmovn_s32(vshlq_s32(sums.part[i], right));
    const int8x16_t bytes =
        vcombine_s8(vqmovn_s16(vcombine_s16(words[0], words[1])), vqmovn_s16(vcombine_s16(words[2], words[3])));
    const int8x16_t limited = vmaxq_s8(vminq_s8(bytes, vdupq_n_s8(rounding.hi)), vdupq_n_s8(rounding.lo));
    return veorq_u8(vreinterpretq_u8_s8(limited), vdupq_n_u8(rounding.flip));
  }
  static FMTC_INLINE void Store(uint8_t* p, Bytes bytes) { vst1q_u8(p, bytes); }
};

}  // namespace
}  // namespace fmtc

#endif  // FMTC_SIMD_SUMS_NEON_INL_H_
