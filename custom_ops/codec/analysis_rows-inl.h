// Analysis of a row, in plain C++ that compilers turn into vector operations. Included by every file that compiles it
// for some processor: by codec/plain_rows.cc, and in codec/kernels between FMTC_BEGIN_TARGET_* and FMTC_END_TARGET,
// where no header can be included but those for several targets; those files include what is needed here.
#ifndef FMTC_CODEC_ANALYSIS_ROWS_INL_H_
#define FMTC_CODEC_ANALYSIS_ROWS_INL_H_

namespace fmtc {
namespace {

// Step 1: the index is the difference modulo 256, and XOR with the sign bit is an addition modulo 256.
inline void SubtractCentre(uint8_t flip, int32_t centre, size_t n, const uint8_t* __restrict values,
                           uint8_t* __restrict indices) {
  const uint8_t offset = static_cast<uint8_t>(flip - centre);
  for (size_t i = 0; i < n; ++i) indices[i] = static_cast<uint8_t>(values[i] + offset);
}

inline void SubtractCentres(uint8_t flip, const uint8_t* __restrict centres, uint32_t n,
                            const uint8_t* __restrict values, uint8_t* __restrict indices) {
  for (uint32_t j = 0; j < n; ++j) indices[j] = static_cast<uint8_t>(values[j] + flip - centres[j]);
}

inline void QuantizePixel(const Analysis& analysis, uint32_t n, const uint8_t* __restrict values,
                          uint8_t* __restrict indices) {
  const StepTables& steps = analysis.steps;
  for (uint32_t j = 0; j < n; ++j) {
    const int32_t d = static_cast<int8_t>(values[j] ^ analysis.flip) - steps.centres[j];
    const StepDivisor divisor{steps.factors[j], steps.scales[j]};
    indices[j] = static_cast<uint8_t>(QuantizeDifference(d, steps.halves[j], divisor));
  }
}

inline void WidenPixel(uint8_t flip, uint32_t n, const uint8_t* __restrict values, int16_t* __restrict pixel) {
  for (uint32_t i = 0; i < n; ++i) pixel[i] = static_cast<int8_t>(values[i] ^ flip);
}

inline void TransformPixel(const Analysis& analysis, const uint8_t* values, uint8_t* indices) {
  const SideInfo& info = analysis.codec->side_info;
  int16_t* __restrict pixel = analysis.pixels;
  WidenPixel(analysis.flip, info.channels, values, pixel);
  const uint32_t shift = info.analysis_shift + analysis.level;
  const uint8_t* matrix = info.analysis;
  for (uint32_t j = 0; j < info.components; ++j, matrix += 2 * size_t{info.channels}) {
    uint32_t sum = Load<uint32_t>(info.analysis_bias + 4 * size_t{j}) + (1u << (shift - 1));
    for (uint32_t i = 0; i < info.channels; ++i) sum += ElementProduct(matrix + 2 * size_t{i}, pixel[i]);
    const int32_t index = static_cast<int32_t>(sum) >> shift;
    indices[j] = static_cast<uint8_t>(index < -128 ? -128 : index > 127 ? 127 : index);
  }
}

inline void AnalyzeRowHere(const Analysis& analysis, uint32_t width, const uint8_t* row, uint8_t* indices) {
  const Codec& codec = *analysis.codec;
  const SideInfo& info = codec.side_info;
  const uint32_t n = info.components;
  const bool subtract_only = codec.has_unit_steps && analysis.level == 0;
  if (subtract_only && info.centres == nullptr) {
    SubtractCentre(analysis.flip, info.centre, size_t{width} * n, row, indices);
    return;
  }
  for (uint32_t x = 0; x < width; ++x, row += info.EncoderChannels(), indices += n) {
    if (subtract_only) {
      SubtractCentres(analysis.flip, info.centres, n, row, indices);
    } else if (info.has_analysis) {
      TransformPixel(analysis, row, indices);
    } else {
      QuantizePixel(analysis, n, row, indices);
    }
  }
}

}  // namespace
}  // namespace fmtc

#endif  // FMTC_CODEC_ANALYSIS_ROWS_INL_H_
