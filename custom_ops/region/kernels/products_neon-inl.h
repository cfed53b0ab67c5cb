// Products with what every NEON has: of 16 bits, added up in 32.
#ifndef FMTC_REGION_KERNELS_PRODUCTS_NEON_INL_H_
#define FMTC_REGION_KERNELS_PRODUCTS_NEON_INL_H_

#include "region/kernels/sums_neon-inl.h"

namespace fmtc::region {
namespace {

// 16 values of 16 bits.
struct Words16 {
  int16x8_t front, back;

  static FMTC_INLINE Words16 FromSigned(int8x16_t bytes) {
    return {vmovl_s8(vget_low_s8(bytes)), vmovl_high_s8(bytes)};
  }
  static FMTC_INLINE Words16 FromUnsigned(Bytes16 bytes) {
    return {vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(bytes))), vreinterpretq_s16_u16(vmovl_high_u8(bytes))};
  }
};

// --- Convolutions.

constexpr int kTapSteps = 2;

struct TapValues {
  int16x8_t v;

  static FMTC_INLINE TapValues Of(uint8x8_t bytes) { return {vreinterpretq_s16_u16(vmovl_u8(bytes))}; }
  static FMTC_INLINE TapValues Load(const uint8_t* p) { return Of(vld1_u8(p)); }
  static FMTC_INLINE TapValues LoadStep(const uint8_t* p) { return Of(vreinterpret_u8_u32(vdup_n_u32(LoadWord(p)))); }
};

// Of each of the step's 4 values, for 16 channels.
struct StepWeights {
  Words16 of[kStepValues];

  static FMTC_INLINE StepWeights Load(const int8_t* p) {
    const int8x16x4_t bytes = vld4q_s8(p);
    return {{Words16::FromSigned(bytes.val[0]), Words16::FromSigned(bytes.val[1]), Words16::FromSigned(bytes.val[2]),
             Words16::FromSigned(bytes.val[3])}};
  }
};

template <int kLane>
FMTC_INLINE Sums AddProduct(Sums sums, int16x8_t x, const Words16& w) {
  return {vmlal_laneq_s16(sums.a, vget_low_s16(w.front), x, kLane), vmlal_high_laneq_s16(sums.b, w.front, x, kLane),
          vmlal_laneq_s16(sums.c, vget_low_s16(w.back), x, kLane), vmlal_high_laneq_s16(sums.d, w.back, x, kLane)};
}

template <int kStep>
FMTC_INLINE Sums AddProducts(Sums sums, const TapValues& x, const StepWeights& w) {
  sums = AddProduct<kStep * kStepValues>(sums, x.v, w.of[0]);
  sums = AddProduct<kStep * kStepValues + 1>(sums, x.v, w.of[1]);
  sums = AddProduct<kStep * kStepValues + 2>(sums, x.v, w.of[2]);
  return AddProduct<kStep * kStepValues + 3>(sums, x.v, w.of[3]);
}

// Where the sums of blocks of 16 channels start.
FMTC_INLINE const int32_t* StartOfBlocks(const int32_t* biases, const int8_t*, ptrdiff_t, int32_t, int32_t*) {
  return biases;
}

// --- Depthwise convolutions: a kernel row at a time.

constexpr int kRowsTogether = 1;
constexpr int kMaxWeightParts = 1;

struct RowsValues {
  Words16 v;

  template <int kRows, class Block>
  static FMTC_INLINE RowsValues Load(const Block& block, const uint8_t* const* rows) {
    return {Words16::FromUnsigned(block.Load(rows[0]))};
  }
};

struct RowsWeights {
  Words16 v;

  template <int kRows>
  static FMTC_INLINE RowsWeights LoadPlain(const uint8_t* const* rows) {
    return {Words16::FromSigned(vreinterpretq_s8_u8(vld1q_u8(rows[0])))};
  }
  // Less their zero point. Returns the number of parts.
  template <int kRows>
  static FMTC_INLINE int Load(const uint8_t* const* rows, int32_t zero, RowsWeights* parts) {
    const int8x16_t bytes = vreinterpretq_s8_u8(vld1q_u8(rows[0]));
    const int8x16_t zeros = vdupq_n_s8(static_cast<int8_t>(zero));
    parts[0] = {{vsubl_s8(vget_low_s8(bytes), vget_low_s8(zeros)), vsubl_high_s8(bytes, zeros)}};
    return 1;
  }
};

FMTC_INLINE Sums AddProducts(Sums sums, const RowsValues& x, const RowsWeights& w) {
  return {
      vmlal_s16(sums.a, vget_low_s16(x.v.front), vget_low_s16(w.v.front)), vmlal_high_s16(sums.b, x.v.front, w.v.front),
      vmlal_s16(sums.c, vget_low_s16(x.v.back), vget_low_s16(w.v.back)), vmlal_high_s16(sums.d, x.v.back, w.v.back)};
}

FMTC_INLINE Sums StartOfTaps(Sums bias, const RowsWeights*, int32_t) { return bias; }

}  // namespace
}  // namespace fmtc::region

#include "region/kernels/tap_lanes-inl.h"

#endif  // FMTC_REGION_KERNELS_PRODUCTS_NEON_INL_H_
