#include "core/analysis.h"

#include "core/bytes.h"
#include "core/quantizer.h"

namespace fmtc {
namespace {

// Step 1: the index is the difference modulo 256, and XOR with the sign bit is an addition modulo 256.
void SubtractCentre(uint8_t flip, int32_t centre, size_t n, const uint8_t* __restrict values,
                    uint8_t* __restrict indices) {
  const uint8_t offset = static_cast<uint8_t>(flip - centre);
  for (size_t i = 0; i < n; ++i) indices[i] = static_cast<uint8_t>(values[i] + offset);
}

void SubtractCentres(uint8_t flip, const uint8_t* __restrict centres, uint32_t n, const uint8_t* __restrict values,
                     uint8_t* __restrict indices) {
  for (uint32_t j = 0; j < n; ++j) indices[j] = static_cast<uint8_t>(values[j] + flip - centres[j]);
}

void QuantizePixel(const Analysis& analysis, uint32_t n, const uint8_t* __restrict values,
                   uint8_t* __restrict indices) {
  const int16_t* __restrict centres = analysis.centres;
  const uint32_t* __restrict steps = analysis.steps;
  const uint32_t* __restrict reciprocals = analysis.reciprocals;
  for (uint32_t j = 0; j < n; ++j) {
    const int32_t d = static_cast<int8_t>(values[j] ^ analysis.flip) - centres[j];
    indices[j] = static_cast<uint8_t>(QuantizeDifference(d, steps[j], reciprocals[j]));
  }
}

void TransformPixel(const Analysis& analysis, const uint8_t* values, uint8_t* indices) {
  const SideInfo& info = analysis.codec->side_info;
  int16_t* __restrict pixel = analysis.pixel;
  for (uint32_t i = 0; i < info.channels; ++i) pixel[i] = static_cast<int8_t>(values[i] ^ analysis.flip);
  const uint32_t shift = info.analysis_shift + analysis.level;
  const uint8_t* matrix = info.analysis;
  for (uint32_t j = 0; j < info.components; ++j, matrix += 2 * size_t{info.channels}) {
    int32_t sum = Load<int32_t>(info.analysis_bias + 4 * size_t{j}) + (1 << (shift - 1));
    for (uint32_t i = 0; i < info.channels; ++i) sum += Load<int16_t>(matrix + 2 * size_t{i}) * int32_t{pixel[i]};
    sum >>= shift;
    indices[j] = static_cast<uint8_t>(sum < -128 ? -128 : sum > 127 ? 127 : sum);
  }
}

bool UsesStepTables(const Codec& codec) {
  return !codec.side_info.has_analysis && (!codec.has_unit_steps || codec.side_info.max_level > 0);
}

}  // namespace

size_t AnalysisMemorySize(const Codec& codec) {
  const SideInfo& info = codec.side_info;
  if (info.has_analysis) return MemoryCarver::PieceBytes(sizeof(int16_t) * info.channels);
  if (!UsesStepTables(codec)) return 0;
  return 2 * MemoryCarver::PieceBytes(sizeof(uint32_t) * info.components) +
         MemoryCarver::PieceBytes(sizeof(int16_t) * info.components);
}

void InitAnalysis(const Codec& codec, ElementType type, uint32_t level, uint8_t* memory, Analysis* analysis) {
  const SideInfo& info = codec.side_info;
  *analysis = {};
  analysis->codec = &codec;
  analysis->level = level;
  analysis->flip = type == ElementType::kUInt8 ? 0x80 : 0;
  MemoryCarver carver(memory);
  if (info.has_analysis) {
    analysis->pixel = carver.Take<int16_t>(info.channels);
  } else if (UsesStepTables(codec)) {
    uint32_t* const steps = carver.Take<uint32_t>(info.components);
    uint32_t* const reciprocals = carver.Take<uint32_t>(info.components);
    int16_t* const centres = carver.Take<int16_t>(info.components);
    for (uint32_t j = 0; j < info.components; ++j) {
      steps[j] = info.ComponentStep(j) << level;
      reciprocals[j] = StepReciprocal(steps[j]);
      centres[j] = static_cast<int16_t>(info.ComponentCentre(j));
    }
    analysis->steps = steps;
    analysis->reciprocals = reciprocals;
    analysis->centres = centres;
  }
}

void AnalyzeRow(const Analysis& analysis, uint32_t width, const uint8_t* row, uint8_t* indices) {
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

}  // namespace fmtc
