#include "codec/analysis.h"

#include "base/bytes.h"
#include "base/features.h"

namespace fmtc {
namespace {

size_t PixelElements(const Codec& codec) { return size_t{codec.analysis.input_pairs()} * 2 * kMatrixPixels; }

}  // namespace

size_t AnalysisMemorySize(const Codec& codec) {
  const SideInfo& info = codec.side_info;
  if (kSmall) return 0;
  if (info.has_analysis) return MemoryCarver::PieceBytes(sizeof(int16_t) * PixelElements(codec));
  return info.max_level > 0 ? StepTablesBytes(info.components) : 0;
}

void InitAnalysis(const Codec& codec, ElementType type, uint32_t level, uint8_t* memory, Analysis* analysis) {
  analysis->codec = &codec;
  analysis->level = level;
  analysis->flip = type == ElementType::kUInt8 ? 0x80 : 0;
  if (kSmall) return;
  analysis->steps = codec.steps;
  analysis->pixels = nullptr;
  if (codec.side_info.has_analysis) {
    analysis->pixels = MemoryCarver(memory).Take<int16_t>(PixelElements(codec));
  } else if (level > 0) {
    BuildStepTables(codec.side_info, level, memory, &analysis->steps);
  }
}

}  // namespace fmtc
