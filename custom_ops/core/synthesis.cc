#include "core/synthesis.h"

#include "core/bytes.h"
#include "core/quantizer.h"
#include "core/small.h"

namespace fmtc {
namespace {

bool UsesStepTables(const Codec& codec) {
  return !kSmall && !codec.side_info.has_analysis && (!AddsCentresOnly(codec, 0) || codec.side_info.max_level > 0);
}

void FillStepTables(const SideInfo& info, MemoryCarver* carver, Synthesis* synthesis) {
  uint32_t* const steps = carver->Take<uint32_t>(info.components);
  int16_t* const centres = carver->Take<int16_t>(info.components);
  int16_t* const smallest = carver->Take<int16_t>(info.components);
  int16_t* const largest = carver->Take<int16_t>(info.components);
  for (uint32_t j = 0; j < info.components; ++j) {
    const int32_t centre = info.ComponentCentre(j);
    steps[j] = info.ComponentStep(j) << synthesis->level;
    const uint32_t reciprocal = StepReciprocal(steps[j]);
    centres[j] = static_cast<int16_t>(centre);
    smallest[j] = static_cast<int16_t>(QuantizeDifference(-128 - centre, steps[j], reciprocal));
    largest[j] = static_cast<int16_t>(QuantizeDifference(127 - centre, steps[j], reciprocal));
  }
  synthesis->steps = steps;
  synthesis->centres = centres;
  synthesis->smallest = smallest;
  synthesis->largest = largest;
}

}  // namespace

size_t SynthesisMemorySize(const Codec& codec) {
  const SideInfo& info = codec.side_info;
  size_t bytes = 0;
  if (!kSmall && info.has_synthesis) bytes += MemoryCarver::PieceBytes(sizeof(int16_t) * info.components);
  if (UsesStepTables(codec)) {
    bytes += MemoryCarver::PieceBytes(sizeof(uint32_t) * info.components) +
             3 * MemoryCarver::PieceBytes(sizeof(int16_t) * info.components);
  }
  return bytes;
}

void InitSynthesis(const Codec& codec, ElementType type, uint32_t level, uint8_t* memory, Synthesis* synthesis) {
  const SideInfo& info = codec.side_info;
  *synthesis = {};
  synthesis->codec = &codec;
  synthesis->level = level;
  synthesis->flip = type == ElementType::kUInt8 ? 0x80 : 0;
  MemoryCarver carver(memory);
  if (UsesStepTables(codec)) FillStepTables(info, &carver, synthesis);
  if (!kSmall && info.has_synthesis) synthesis->pixel = carver.Take<int16_t>(info.components);
}

}  // namespace fmtc
