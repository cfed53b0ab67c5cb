// Analysis and synthesis of a row with the vectors of a processor: Bytes and half as many HalfBytes for the step
// quantizer, Sums for matrices. To be included between FMTC_BEGIN_TARGET_* and FMTC_END_TARGET, behind
// codec/analysis.h, codec/quantizer.h and codec/synthesis.h; the headers below say what the vectors have.
#ifndef FMTC_CODEC_KERNELS_TRANSFORM_ROWS_INL_H_
#define FMTC_CODEC_KERNELS_TRANSFORM_ROWS_INL_H_

#include "codec/analysis_rows-inl.h"
#include "codec/kernels/quantize_rows-inl.h"
#include "codec/synthesis_rows-inl.h"
#include "simd/matrix_tiles-inl.h"

namespace fmtc {
namespace {

struct LoadIndices {
  const Synthesis& synthesis;
  const uint8_t* indices;

  FMTC_INLINE void operator()(uint32_t x, int16_t* pixel) const {
    const uint32_t n = synthesis.codec->side_info.components;
    ScaleIndices(synthesis, n, indices + size_t{x} * n, pixel);
  }
};

struct LoadValues {
  const Analysis& analysis;
  const uint8_t* values;

  FMTC_INLINE void operator()(uint32_t x, int16_t* pixel) const {
    const uint32_t n = analysis.codec->side_info.channels;
    WidenPixel(analysis.flip, n, values + size_t{x} * n, pixel);
  }
};

struct LoadUnsigned {
  const Synthesis& synthesis;
  const uint8_t* indices;

  FMTC_INLINE void operator()(uint32_t x, int16_t* pixel) const {
    const uint32_t n = synthesis.codec->side_info.components;
    UnsignedPixel(synthesis, n, indices + size_t{x} * n, pixel);
  }
};

// What becomes of a convolution's sums, see MultiplyRow.
template <typename V, typename Policy>
struct RequantizedSums {
  Requantization requantization;
  uint8_t flip;

  FMTC_INLINE int32_t Addend() const { return 0; }
  FMTC_INLINE void Store(const typename V::Group& sums, uint32_t first, uint32_t outputs, uint8_t* out) const {
    int32_t wide[kMatrixGroup];
    uint8_t bytes[kMatrixGroup];
    V::StoreSums(wide, sums);
    for (uint32_t i = 0; i < kMatrixGroup; ++i) {
      bytes[i] = Policy::Apply(wide[i], requantization, static_cast<int>(first + i)) ^ flip;
    }
    memcpy(out, bytes, outputs - first < kMatrixGroup ? outputs - first : kMatrixGroup);
  }
};

template <typename V>
FMTC_INLINE void SynthesizeByConvolution(const Synthesis& synthesis, uint32_t width, const uint8_t* indices,
                                         uint8_t* row) {
  const Codec& codec = *synthesis.codec;
  const uint8_t flip = synthesis.flip ^ 0x80;
  const LoadUnsigned load{synthesis, indices};
  WithRule(codec.side_info.convolution.rule, [&](auto policy) {
    const RequantizedSums<V, decltype(policy)> finish{codec.requantization, flip};
    MultiplyRow<V>(codec.synthesis, finish, width, load, synthesis.pixels, row);
  });
}

template <typename V>
FMTC_INLINE void SynthesizeByMatrix(const Synthesis& synthesis, uint32_t width, const uint8_t* indices, uint8_t* row) {
  const SideInfo& info = synthesis.codec->side_info;
  const RoundedSums<V> finish{{info.synthesis_shift, info.lo, info.hi, synthesis.flip}};
  MultiplyRow<V>(synthesis.codec->synthesis, finish, width, LoadIndices{synthesis, indices}, synthesis.pixels, row);
}

template <typename V>
FMTC_INLINE void AnalyzeByMatrix(const Analysis& analysis, uint32_t width, const uint8_t* row, uint8_t* indices) {
  const RoundedSums<V> finish{{analysis.codec->side_info.analysis_shift + analysis.level, -128, 127, 0}};
  MultiplyRow<V>(analysis.codec->analysis, finish, width, LoadValues{analysis, row}, analysis.pixels, indices);
}

template <typename Bytes, typename HalfBytes, typename Sums>
FMTC_INLINE void AnalyzeRowWith(const Analysis& analysis, uint32_t width, const uint8_t* row, uint8_t* indices) {
  const Codec& codec = *analysis.codec;
  if (codec.side_info.has_analysis) return AnalyzeByMatrix<Sums>(analysis, width, row, indices);
  const bool subtracts_only = codec.has_unit_steps && analysis.level == 0;
  if (!subtracts_only && QuantizeRow<Bytes, HalfBytes>(analysis, width, row, indices)) return;
  AnalyzeRowHere(analysis, width, row, indices);
}

template <typename Bytes, typename HalfBytes, typename Sums>
FMTC_INLINE void SynthesizeRowWith(const Synthesis& synthesis, uint32_t width, const uint8_t* indices, uint8_t* row) {
  const Codec& codec = *synthesis.codec;
  if (codec.side_info.is_convolution()) return SynthesizeByConvolution<Sums>(synthesis, width, indices, row);
  if (codec.side_info.has_synthesis) return SynthesizeByMatrix<Sums>(synthesis, width, indices, row);
  const bool adds_only = AddsCentresOnly(codec, synthesis.level);
  if (!adds_only && DequantizeRow<Bytes, HalfBytes>(synthesis, width, indices, row)) return;
  SynthesizeRowHere(synthesis, width, indices, row);
}

}  // namespace
}  // namespace fmtc

#endif  // FMTC_CODEC_KERNELS_TRANSFORM_ROWS_INL_H_
