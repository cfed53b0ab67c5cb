// Analysis and synthesis of rows with NEON: eight steps, or four rows of a matrix, at a time.
#if defined(__aarch64__)
#include <arm_neon.h>

#include "core/analysis.h"
#include "core/bytes.h"
#include "core/quantizer.h"
#include "core/synthesis.h"
#include "kernels/arm_kernels.h"
#include "kernels/target.h"
// These last: they include nothing themselves.
#include "core/analysis_rows.h"
#include "core/synthesis_rows.h"
#include "kernels/quantize_rows.h"

namespace fmtc {
namespace {

struct Words8 {
  using Type = int16x8_t;
  static constexpr size_t kLanes = 8;

  using Bytes = int8x8_t;

  static FMTC_INLINE Bytes LoadBytes(const uint8_t* p) { return vreinterpret_s8_u8(vld1_u8(p)); }
  static FMTC_INLINE void StoreBytes(uint8_t* p, Bytes a) { vst1_u8(p, vreinterpret_u8_s8(a)); }
  static FMTC_INLINE Bytes SetBytes(int8_t value) { return vdup_n_s8(value); }
  static FMTC_INLINE Bytes SubBytes(Bytes a, Bytes b) {  // unsigned, since it may wrap
    return vreinterpret_s8_u8(vsub_u8(vreinterpret_u8_s8(a), vreinterpret_u8_s8(b)));
  }
  static FMTC_INLINE Bytes XorBytes(Bytes a, Bytes b) { return veor_s8(a, b); }
  static FMTC_INLINE Bytes MinBytes(Bytes a, Bytes b) { return vmin_s8(a, b); }
  static FMTC_INLINE Bytes MaxBytes(Bytes a, Bytes b) { return vmax_s8(a, b); }
  static FMTC_INLINE Type Widen(Bytes a) { return vreinterpretq_s16_u16(vmovl_u8(vreinterpret_u8_s8(a))); }
  static FMTC_INLINE Bytes Low(Type a) { return vmovn_s16(a); }
  static FMTC_INLINE Bytes Saturate(Type a) { return vqmovn_s16(a); }
  static FMTC_INLINE uint16x8_t Unsigned(Type a) { return vreinterpretq_u16_s16(a); }
  static FMTC_INLINE Type Load16(const void* p) {
    return vreinterpretq_s16_u8(vld1q_u8(static_cast<const uint8_t*>(p)));
  }
  static FMTC_INLINE Type LoadSigned(const uint8_t* p) { return vmovl_s8(LoadBytes(p)); }
  static FMTC_INLINE Type Set(int16_t value) { return vdupq_n_s16(value); }
  static FMTC_INLINE Type Add(Type a, Type b) {  // half a large step fills the lane but for its sign
    return vreinterpretq_s16_u16(vaddq_u16(Unsigned(a), Unsigned(b)));
  }
  static FMTC_INLINE Type Sub(Type a, Type b) { return vsubq_s16(a, b); }
  static FMTC_INLINE Type Min(Type a, Type b) { return vminq_s16(a, b); }
  static FMTC_INLINE Type MulLow(Type a, Type b) { return vmulq_s16(a, b); }
  static FMTC_INLINE Type MulHigh(Type a, Type b) {
    const uint32x4_t low = vmull_u16(vget_low_u16(Unsigned(a)), vget_low_u16(Unsigned(b)));
    const uint32x4_t high = vmull_high_u16(Unsigned(a), Unsigned(b));
    return vreinterpretq_s16_u16(vuzp2q_u16(vreinterpretq_u16_u32(low), vreinterpretq_u16_u32(high)));
  }
  static FMTC_INLINE Type Abs(Type a) { return vabsq_s16(a); }
  static FMTC_INLINE Type Xor(Type a, Type b) { return veorq_s16(a, b); }
  static FMTC_INLINE Type ShiftLeft4(Type a) { return vshlq_n_s16(a, 4); }
  static FMTC_INLINE Type ShiftRight4(Type a) { return vshrq_n_s16(a, 4); }
  static FMTC_INLINE Type Signs(Type a) { return vshrq_n_s16(a, 15); }
  static FMTC_INLINE Type Negate(Type a, Type sign) { return vsubq_s16(veorq_s16(a, Signs(sign)), Signs(sign)); }
};

constexpr uint32_t kRows = 4;

// y = clamp((M x + bias + 2^(shift - 1)) >> shift) ^ flip. The side information has been checked: no sum overflows.
struct MatrixProduct {
  const uint8_t* matrix;  // [rows][columns] i16, of any alignment
  const uint8_t* bias;    // [rows] i32
  uint32_t rows, columns;
  uint32_t shift;
  int32_t lo, hi;
  uint8_t flip;

  FMTC_INLINE void Apply(const int16_t* x, uint8_t* y) const {
    uint32_t i = 0;
    for (; i + kRows <= rows; i += kRows) {
      const uint32_t four = vget_lane_u32(vreinterpret_u32_u8(FourRows(i, x)), 0);
      Store(y + i, four);
    }
    for (; i < rows; ++i) y[i] = OneRow(i, x);
  }

  // The results are in the low four bytes.
  FMTC_INLINE uint8x8_t FourRows(uint32_t first, const int16_t* x) const {
    const uint8_t* row[kRows];
    int32x4_t sums[kRows];
    for (uint32_t r = 0; r < kRows; ++r) {
      row[r] = matrix + 2 * size_t{columns} * (first + r);
      sums[r] = vdupq_n_s32(0);
    }
    uint32_t j = 0;
    for (; j + 8 <= columns; j += 8) {
      const int16x8_t values = vld1q_s16(x + j);
      for (uint32_t r = 0; r < kRows; ++r) {
        const int16x8_t factors = vreinterpretq_s16_u8(vld1q_u8(row[r] + 2 * size_t{j}));
        sums[r] = vmlal_s16(sums[r], vget_low_s16(factors), vget_low_s16(values));
        sums[r] = vmlal_high_s16(sums[r], factors, values);
      }
    }
    int32x4_t sum = vpaddq_s32(vpaddq_s32(sums[0], sums[1]), vpaddq_s32(sums[2], sums[3]));
    for (; j < columns; ++j) {
      int32_t products[kRows];
      for (uint32_t r = 0; r < kRows; ++r) products[r] = Load<int16_t>(row[r] + 2 * size_t{j}) * int32_t{x[j]};
      sum = vaddq_s32(sum, vld1q_s32(products));
    }
    sum = vaddq_s32(sum, vreinterpretq_s32_u8(vld1q_u8(bias + 4 * size_t{first})));
    sum = vaddq_s32(sum, vdupq_n_s32(1 << (shift - 1)));
    sum = vshlq_s32(sum, vdupq_n_s32(-static_cast<int32_t>(shift)));
    sum = vminq_s32(vmaxq_s32(sum, vdupq_n_s32(lo)), vdupq_n_s32(hi));
    const int16x4_t halves = vmovn_s32(sum);
    const uint8x8_t bytes = vreinterpret_u8_s8(vmovn_s16(vcombine_s16(halves, halves)));
    return veor_u8(bytes, vdup_n_u8(flip));
  }

  FMTC_INLINE uint8_t OneRow(uint32_t i, const int16_t* x) const {
    const uint8_t* row = matrix + 2 * size_t{columns} * i;
    int32_t sum = Load<int32_t>(bias + 4 * size_t{i}) + (1 << (shift - 1));
    for (uint32_t j = 0; j < columns; ++j) sum += Load<int16_t>(row + 2 * size_t{j}) * int32_t{x[j]};
    sum >>= shift;
    return static_cast<uint8_t>(sum < lo ? lo : sum > hi ? hi : sum) ^ flip;
  }
};

}  // namespace

void AnalyzeRowNeon(const Analysis& analysis, uint32_t width, const uint8_t* row, uint8_t* indices) {
  const Codec& codec = *analysis.codec;
  const SideInfo& info = codec.side_info;
  if (!info.has_analysis) {
    const bool subtracts_only = codec.has_unit_steps && analysis.level == 0;
    if (subtracts_only || info.components < Words8::kLanes) return AnalyzeRowHere(analysis, width, row, indices);
    return QuantizeRow<Words8>(analysis, width, row, indices);
  }
  const MatrixProduct product{info.analysis,
                              info.analysis_bias,
                              info.components,
                              info.channels,
                              info.analysis_shift + analysis.level,
                              -128,
                              127,
                              0};
  int16_t* __restrict pixel = analysis.pixels;
  for (uint32_t x = 0; x < width; ++x, row += info.channels, indices += info.components) {
    WidenPixel(analysis.flip, info.channels, row, pixel);
    product.Apply(pixel, indices);
  }
}

void SynthesizeRowNeon(const Synthesis& synthesis, uint32_t width, const uint8_t* indices, uint8_t* row) {
  const Codec& codec = *synthesis.codec;
  const SideInfo& info = codec.side_info;
  if (!info.has_synthesis) {
    const bool adds_only = AddsCentresOnly(codec, synthesis.level);
    if (adds_only || info.components < Words8::kLanes) return SynthesizeRowHere(synthesis, width, indices, row);
    return DequantizeRow<Words8>(synthesis, width, indices, row);
  }
  const MatrixProduct product{info.synthesis,  info.synthesis_bias,  info.channels,
                              info.components, info.synthesis_shift, info.lo,
                              info.hi,         synthesis.flip};
  for (uint32_t x = 0; x < width; ++x, indices += info.components, row += info.channels) {
    ScaleIndices(synthesis, info.components, indices, synthesis.pixels);
    product.Apply(synthesis.pixels, row);
  }
}

}  // namespace fmtc
#endif
