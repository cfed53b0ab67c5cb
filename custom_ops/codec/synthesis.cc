#include "codec/synthesis.h"

#include "base/features.h"

namespace fmtc {
namespace {

bool HasLevelsOfSteps(const SideInfo& info) { return !info.has_analysis && info.max_level > 0; }

}  // namespace

void LayOutSynthesis(const Codec& codec, Layout* layout, Synthesis* synthesis) {
  if (!kHasStepTables) return;
  const SideInfo& info = codec.side_info;
  if (info.has_synthesis) {
    synthesis->pixels = layout->Take<int16_t>(size_t{codec.synthesis.input_pairs()} * 2 * kMatrixPixels);
  }
  if (HasLevelsOfSteps(info)) LayOutStepTables(info.components, layout, &synthesis->steps);
}

void InitSynthesis(const Codec& codec, ElementType type, uint32_t level, Synthesis* synthesis) {
  synthesis->codec = &codec;
  synthesis->level = level;
  synthesis->flip = type == ElementType::kUInt8 ? 0x80 : 0;
  if (!kHasStepTables) return;
  if (HasLevelsOfSteps(codec.side_info) && level > 0) {
    BuildStepTables(codec.side_info, level, &synthesis->steps);
  } else {
    synthesis->steps = codec.steps;
  }
}

}  // namespace fmtc
