#include "codec/synthesis.h"

#include "base/bytes.h"
#include "base/features.h"

namespace fmtc {
namespace {

size_t PixelElements(const Codec& codec) { return size_t{codec.synthesis.input_pairs()} * 2 * kMatrixPixels; }

bool BuildsSteps(const SideInfo& info) { return !info.has_analysis && info.max_level > 0; }

}  // namespace

size_t SynthesisMemorySize(const Codec& codec) {
  const SideInfo& info = codec.side_info;
  if (kSmall) return 0;
  size_t bytes = 0;
  if (info.has_synthesis) bytes += MemoryCarver::PieceBytes(sizeof(int16_t) * PixelElements(codec));
  if (BuildsSteps(info)) bytes += MemoryCarver::PieceBytes(StepTablesBytes(info.components));
  return bytes;
}

void InitSynthesis(const Codec& codec, ElementType type, uint32_t level, uint8_t* memory, Synthesis* synthesis) {
  const SideInfo& info = codec.side_info;
  synthesis->codec = &codec;
  synthesis->level = level;
  synthesis->flip = type == ElementType::kUInt8 ? 0x80 : 0;
  if (kSmall) return;
  synthesis->steps = codec.steps;
  synthesis->pixels = nullptr;
  MemoryCarver carver(memory);
  if (info.has_synthesis) synthesis->pixels = carver.Take<int16_t>(PixelElements(codec));
  if (BuildsSteps(info) && level > 0) {
    uint8_t* const tables = carver.Take<uint8_t>(StepTablesBytes(info.components));
    BuildStepTables(info, level, tables, &synthesis->steps);
  }
}

}  // namespace fmtc
