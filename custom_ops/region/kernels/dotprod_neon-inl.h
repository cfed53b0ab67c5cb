// Products with NEON's dot products of bytes.
//
// They are of signed bytes: the values are shifted by 128 (as an exclusive or does), and what that takes from a sum,
// 128 times the weights, is added to its start.
#ifndef FMTC_REGION_KERNELS_DOTPROD_NEON_INL_H_
#define FMTC_REGION_KERNELS_DOTPROD_NEON_INL_H_

#include "region/kernels/sums_neon-inl.h"

namespace fmtc::region {
namespace {

FMTC_INLINE int8x16_t ShiftedBytes(Bytes16 bytes) { return vreinterpretq_s8_u8(veorq_u8(bytes, vdupq_n_u8(0x80))); }

// --- Convolutions.

constexpr int kTapSteps = 4;

struct TapValues {
  int8x16_t v;

  static FMTC_INLINE TapValues Load(const uint8_t* p) { return {ShiftedBytes(vld1q_u8(p))}; }
  static FMTC_INLINE TapValues LoadStep(const uint8_t* p) {
    return {ShiftedBytes(vreinterpretq_u8_u32(vdupq_n_u32(LoadWord(p))))};
  }
  static FMTC_INLINE TapValues Zeros() { return {ShiftedBytes(vdupq_n_u8(0))}; }
};

// Of 4 channels in each vector.
struct StepWeights {
  int8x16_t a, b, c, d;

  static FMTC_INLINE StepWeights Load(const int8_t* p) {
    return {vld1q_s8(p), vld1q_s8(p + 16), vld1q_s8(p + 32), vld1q_s8(p + 48)};
  }
};

template <int kStep>
FMTC_INLINE Sums AddProducts(Sums sums, const TapValues& x, const StepWeights& w) {
  return {vdotq_laneq_s32(sums.a, w.a, x.v, kStep), vdotq_laneq_s32(sums.b, w.b, x.v, kStep),
          vdotq_laneq_s32(sums.c, w.c, x.v, kStep), vdotq_laneq_s32(sums.d, w.d, x.v, kStep)};
}

// Where the sums of blocks of 16 channels start: `starts`.
FMTC_INLINE const int32_t* StartOfBlocks(const int32_t* biases, const int8_t* weights, ptrdiff_t weights_of_block,
                                         int32_t blocks, int32_t* starts) {
  const TapValues zeros = TapValues::Zeros();
  for (int32_t b = 0; b < blocks; ++b) {
    Sums of_zeros = Sums::Of(0);
    for (ptrdiff_t k = 0; k < weights_of_block; k += kChannelBlock * kStepValues) {
      of_zeros = AddProducts<0>(of_zeros, zeros, StepWeights::Load(weights + b * weights_of_block + k));
    }
    (Sums::Load(biases + b * kChannelBlock) - of_zeros).Store(starts + b * kChannelBlock);
  }
  return starts;
}

// --- Depthwise convolutions: values of `kRowsTogether` kernel rows in one column, beside each other for each of 16
// channels; and weights likewise.

constexpr int kRowsTogether = 4;

// Of 4 channels in each vector.
struct RowsOfBytes {
  int8x16_t a, b, c, d;

  static FMTC_INLINE RowsOfBytes Interleave(const int8x16_t (&rows)[kRowsTogether]) {
    const int8x16_t even_front = vzip1q_s8(rows[0], rows[2]), even_back = vzip2q_s8(rows[0], rows[2]);
    const int8x16_t odd_front = vzip1q_s8(rows[1], rows[3]), odd_back = vzip2q_s8(rows[1], rows[3]);
    return {vzip1q_s8(even_front, odd_front), vzip2q_s8(even_front, odd_front), vzip1q_s8(even_back, odd_back),
            vzip2q_s8(even_back, odd_back)};
  }
};

struct RowsValues {
  RowsOfBytes v;

  // Of kRows rows; others meet weights of 0.
  template <int kRows, class Block>
  static FMTC_INLINE RowsValues Load(const Block& block, const uint8_t* const* rows) {
    int8x16_t bytes[kRowsTogether];
    FMTC_UNROLL for (int i = 0; i < kRowsTogether; ++i) {
      bytes[i] = i < kRows ? ShiftedBytes(block.Load(rows[i])) : vdupq_n_s8(0);
    }
    return {RowsOfBytes::Interleave(bytes)};
  }
  static FMTC_INLINE RowsValues Zeros() {
    const int8x16_t v = ShiftedBytes(vdupq_n_u8(0));
    return {{v, v, v, v}};
  }
};

// Weights less their zero point as a sum of parts of 8 bits.
constexpr int kMaxWeightParts = 3;

struct RowsWeights {
  RowsOfBytes v;

  // Of kRows rows, zeros for the others.
  template <int kRows>
  static FMTC_INLINE RowsWeights LoadPlain(const uint8_t* const* rows) {
    RowsWeights parts[kMaxWeightParts];
    Load<kRows>(rows, 0, parts);
    return parts[0];
  }
  // Likewise, less their zero point. Returns the number of parts.
  template <int kRows>
  static FMTC_INLINE int Load(const uint8_t* const* rows, int32_t zero, RowsWeights* parts) {
    const int8x16_t zeros = vdupq_n_s8(static_cast<int8_t>(zero));
    int8x16_t saturated[kRowsTogether], rest[kRowsTogether], last[kRowsTogether];
    uint8x16_t any_rest = vdupq_n_u8(0), any_last = vdupq_n_u8(0);
    FMTC_UNROLL for (int i = 0; i < kRowsTogether; ++i) {
      saturated[i] = rest[i] = last[i] = vdupq_n_s8(0);
      if (i >= kRows) continue;
      const int8x16_t weights = vreinterpretq_s8_u8(vld1q_u8(rows[i]));
      saturated[i] = vqsubq_s8(weights, zeros);
      // -127 to 128, which wraps around.
      const uint8x16_t less = vsubq_u8(vld1q_u8(rows[i]), vreinterpretq_u8_s8(zeros));
      rest[i] = vreinterpretq_s8_u8(vsubq_u8(less, vreinterpretq_u8_s8(saturated[i])));
      const uint8x16_t is128 = vceqq_s8(rest[i], vdupq_n_s8(-128));
      any_rest = vorrq_u8(any_rest, vreinterpretq_u8_s8(rest[i]));
      any_last = vorrq_u8(any_last, is128);
      rest[i] = vbslq_s8(is128, vdupq_n_s8(127), rest[i]);
      last[i] = vreinterpretq_s8_u8(vshrq_n_u8(is128, 7));
    }
    parts[0] = {RowsOfBytes::Interleave(saturated)};
    parts[1] = {RowsOfBytes::Interleave(rest)};
    parts[2] = {RowsOfBytes::Interleave(last)};
    if (vmaxvq_u8(any_last) != 0) return 3;
    return vmaxvq_u8(any_rest) != 0 ? 2 : 1;
  }
};

FMTC_INLINE Sums AddProducts(Sums sums, const RowsValues& x, const RowsWeights& w) {
  return {vdotq_s32(sums.a, x.v.a, w.v.a), vdotq_s32(sums.b, x.v.b, w.v.b), vdotq_s32(sums.c, x.v.c, w.v.c),
          vdotq_s32(sums.d, x.v.d, w.v.d)};
}

// Where the sums of 16 channels with `count` taps start.
FMTC_INLINE Sums StartOfTaps(Sums bias, const RowsWeights* weights, int32_t count) {
  Sums of_zeros = Sums::Of(0);
  for (int32_t i = 0; i < count; ++i) of_zeros = AddProducts(of_zeros, RowsValues::Zeros(), weights[i]);
  return bias - of_zeros;
}

}  // namespace
}  // namespace fmtc::region

#include "region/kernels/tap_lanes-inl.h"

#endif  // FMTC_REGION_KERNELS_DOTPROD_NEON_INL_H_
