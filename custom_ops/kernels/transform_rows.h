// Analysis and synthesis of a row with the vectors of a processor: Bytes and half as many HalfBytes for the step
// quantizer, Sums for matrices. To be included between FMTC_BEGIN_TARGET_* and FMTC_END_TARGET, behind
// core/analysis_rows.h, core/synthesis_rows.h, kernels/matrix_rows.h and kernels/quantize_rows.h, which say what the
// vectors have.
#ifndef FMTC_KERNELS_TRANSFORM_ROWS_H_
#define FMTC_KERNELS_TRANSFORM_ROWS_H_

namespace fmtc {
namespace {

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
  if (codec.side_info.has_synthesis) return SynthesizeByMatrix<Sums>(synthesis, width, indices, row);
  const bool adds_only = AddsCentresOnly(codec, synthesis.level);
  if (!adds_only && DequantizeRow<Bytes, HalfBytes>(synthesis, width, indices, row)) return;
  SynthesizeRowHere(synthesis, width, indices, row);
}

}  // namespace
}  // namespace fmtc

#endif  // FMTC_KERNELS_TRANSFORM_ROWS_H_
