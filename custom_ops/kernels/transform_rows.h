// Analysis and synthesis of a row with the vectors of a processor. To be included between FMTC_BEGIN_TARGET_* and
// FMTC_END_TARGET, behind core/analysis_rows.h, core/synthesis_rows.h, kernels/matrix_rows.h and
// kernels/quantize_rows.h, which say what the vectors have.
#ifndef FMTC_KERNELS_TRANSFORM_ROWS_H_
#define FMTC_KERNELS_TRANSFORM_ROWS_H_

namespace fmtc {
namespace {

template <typename Words, typename Sums>
FMTC_INLINE void AnalyzeRowWith(const Analysis& analysis, uint32_t width, const uint8_t* row, uint8_t* indices) {
  const Codec& codec = *analysis.codec;
  if (codec.side_info.has_analysis) {
    AnalyzeByMatrix<Sums>(analysis, width, row, indices);
  } else if ((codec.has_unit_steps && analysis.level == 0) || codec.side_info.components < Words::kLanes) {
    AnalyzeRowHere(analysis, width, row, indices);
  } else {
    QuantizeRow<Words>(analysis, width, row, indices);
  }
}

template <typename Words, typename Sums>
FMTC_INLINE void SynthesizeRowWith(const Synthesis& synthesis, uint32_t width, const uint8_t* indices, uint8_t* row) {
  const Codec& codec = *synthesis.codec;
  if (codec.side_info.has_synthesis) {
    SynthesizeByMatrix<Sums>(synthesis, width, indices, row);
  } else if (AddsCentresOnly(codec, synthesis.level) || codec.side_info.components < Words::kLanes) {
    SynthesizeRowHere(synthesis, width, indices, row);
  } else {
    DequantizeRow<Words>(synthesis, width, indices, row);
  }
}

}  // namespace
}  // namespace fmtc

#endif  // FMTC_KERNELS_TRANSFORM_ROWS_H_
