// Analysis and synthesis of rows with NEON: 16 steps, or four rows of a matrix, at a time.
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

struct Bytes16 {
  using Type = uint8x16_t;
  static constexpr size_t kBytes = 16;

  static FMTC_INLINE Type Load(const uint8_t* p) { return vld1q_u8(p); }
  static FMTC_INLINE void Store(uint8_t* p, Type a) { vst1q_u8(p, a); }
  static FMTC_INLINE Type Set(uint8_t byte) { return vdupq_n_u8(byte); }
  static FMTC_INLINE Type Add(Type a, Type b) { return vaddq_u8(a, b); }
  static FMTC_INLINE Type Min(Type a, Type b) { return vminq_u8(a, b); }
  static FMTC_INLINE Type Max(Type a, Type b) { return vmaxq_u8(a, b); }
  static FMTC_INLINE Type Xor(Type a, Type b) { return veorq_u8(a, b); }
  static FMTC_INLINE Type Difference(Type a, Type b) { return vabdq_u8(a, b); }
  static FMTC_INLINE Type SelectBelow(Type a, Type b, Type c, Type d) { return vbslq_u8(vcltq_u8(a, b), c, d); }
  static FMTC_INLINE Type NegateBelow(Type a, Type b, Type c) {
    const Type below = vcltq_u8(a, b);
    return vsubq_u8(veorq_u8(c, below), below);
  }

  struct Words {
    uint16x8_t low, high;
  };
  static FMTC_INLINE Words LoadWords(const void* p) {
    const uint8_t* const bytes = static_cast<const uint8_t*>(p);
    return {vreinterpretq_u16_u8(vld1q_u8(bytes)), vreinterpretq_u16_u8(vld1q_u8(bytes + 16))};
  }
  static FMTC_INLINE Words Unpack(Type low, Type high) {
    return {vreinterpretq_u16_u8(vzip1q_u8(low, high)), vreinterpretq_u16_u8(vzip2q_u8(low, high))};
  }
  static FMTC_INLINE Type Pack(Words a) {
    return vcombine_u8(vqmovun_s16(vreinterpretq_s16_u16(a.low)), vqmovun_s16(vreinterpretq_s16_u16(a.high)));
  }
  static FMTC_INLINE Type PackSigned(Words a) {
    return vreinterpretq_u8_s8(
        vcombine_s8(vqmovn_s16(vreinterpretq_s16_u16(a.low)), vqmovn_s16(vreinterpretq_s16_u16(a.high))));
  }
  static FMTC_INLINE Words AddWords(Words a, Words b) { return {vaddq_u16(a.low, b.low), vaddq_u16(a.high, b.high)}; }
  static FMTC_INLINE Words Average(Words a, Words b) {
    return {vrhaddq_u16(a.low, b.low), vrhaddq_u16(a.high, b.high)};
  }
  static FMTC_INLINE uint16x8_t MulHigh(uint16x8_t a, uint16x8_t b) {
    const uint32x4_t low = vmull_u16(vget_low_u16(a), vget_low_u16(b));
    return vuzp2q_u16(vreinterpretq_u16_u32(low), vreinterpretq_u16_u32(vmull_high_u16(a, b)));
  }
  static FMTC_INLINE Words MulHigh(Words a, Words b) { return {MulHigh(a.low, b.low), MulHigh(a.high, b.high)}; }
  template <int kBits>
  static FMTC_INLINE Words Shift(Words a) {
    return {vshlq_u16(a.low, vdupq_n_s16(kBits)), vshlq_u16(a.high, vdupq_n_s16(kBits))};
  }
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
    uint32_t bits = Load<uint32_t>(bias + 4 * size_t{i}) + (1u << (shift - 1));
    for (uint32_t j = 0; j < columns; ++j) bits += ElementProduct(row + 2 * size_t{j}, x[j]);
    const int32_t sum = static_cast<int32_t>(bits) >> shift;
    return static_cast<uint8_t>(sum < lo ? lo : sum > hi ? hi : sum) ^ flip;
  }
};

}  // namespace

void AnalyzeRowNeon(const Analysis& analysis, uint32_t width, const uint8_t* row, uint8_t* indices) {
  const Codec& codec = *analysis.codec;
  const SideInfo& info = codec.side_info;
  if (!info.has_analysis) {
    const bool subtracts_only = codec.has_unit_steps && analysis.level == 0;
    if (!subtracts_only && QuantizeRow<Bytes16>(analysis, width, row, indices)) return;
    return AnalyzeRowHere(analysis, width, row, indices);
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
    if (!adds_only && DequantizeRow<Bytes16>(synthesis, width, indices, row)) return;
    return SynthesizeRowHere(synthesis, width, indices, row);
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
