#include "codec/analysis.h"

#include "base/features.h"

namespace fmtc {

void LayOutAnalysis(const Codec& codec, Layout* layout, Analysis* analysis) {
  if (!kHasStepTables) return;
  const SideInfo& info = codec.side_info;
  if (info.has_analysis) {
    analysis->pixels = layout->Take<int16_t>(size_t{codec.analysis.input_pairs()} * 2 * kMatrixPixels);
  } else if (info.max_level > 0) {
    LayOutStepTables(info.components, layout, &analysis->steps);
  }
}

void InitAnalysis(const Codec& codec, ElementType type, uint32_t level, Analysis* analysis) {
  analysis->codec = &codec;
  analysis->level = level;
  analysis->flip = type == ElementType::kUInt8 ? 0x80 : 0;
  if (!kHasStepTables) return;
  if (codec.side_info.has_analysis || level == 0) {
    analysis->steps = codec.steps;
  } else {
    BuildStepTables(codec.side_info, level, &analysis->steps);
  }
}

}  // namespace fmtc
