#include "codec/contexts.h"

#include <cstring>

#include "base/bytes.h"

namespace fmtc {

void RepeatEnds(const ContextRow& row, uint8_t* magnitudes) {
  uint8_t* const first = magnitudes + row.components;
  MoveBytes(magnitudes, first, row.components);
  MoveBytes(first + row.values, first + row.values - row.components, row.components);
}

void LayOutContexts(const Codec& codec, const MapPlan& plan, Layout* layout, ContextMemory* memory) {
  if (!codec.side_info.has_contexts()) return;
  const size_t row = size_t{plan.row_values} + kValueSlack;
  // Should somebody change `tables` meanwhile, look-ups in `sorted` end up to a row behind it, where there is memory.
  memory->sorted = layout->TakeBytes(row);
  memory->tables = layout->TakeBytes(row);
  memory->magnitudes = layout->TakeBytes(row + 2 * size_t{codec.side_info.components});
  memory->codes = layout->TakeBytes(row);
}

ContextRow InitContexts(const Codec& codec, const MapPlan& plan, const ContextMemory& memory) {
  const SideInfo& info = codec.side_info;
  if (!info.has_contexts()) return {};
  uint8_t* codes = memory.codes;
  for (uint32_t x = 0; x < plan.width; ++x, codes += info.components) {
    memcpy(codes, info.component_codes, info.components);
  }
  memset(codes, 0, kValueSlack);
  return {plan.row_values, info.components, memory.codes, codec.context_tables, info.num_classes, info.num_tables()};
}

}  // namespace fmtc
