#include "core/analysis.h"

#include "core/bytes.h"
#include "core/quantizer.h"
#include "core/small.h"

namespace fmtc {
namespace {

bool UsesStepTables(const Codec& codec) {
  return !kSmall && !codec.side_info.has_analysis && (!codec.has_unit_steps || codec.side_info.max_level > 0);
}

}  // namespace

size_t AnalysisMemorySize(const Codec& codec) {
  const SideInfo& info = codec.side_info;
  if (!kSmall && info.has_analysis) return MemoryCarver::PieceBytes(sizeof(int16_t) * info.channels);
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
  if (!kSmall && info.has_analysis) {
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

}  // namespace fmtc
