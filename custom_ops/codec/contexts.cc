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

ContextRow InitContexts(const Codec& codec, uint32_t width, const ContextMemory& memory) {
  const SideInfo& info = codec.side_info;
  if (!info.has_contexts()) return {};
  uint8_t* codes = memory.codes;
  for (uint32_t x = 0; x < width; ++x, codes += info.components) {
    memcpy(codes, info.component_codes, info.components);
  }
  memset(codes, 0, kValueSlack);
  const size_t values = size_t{width} * info.components;
  return {values, info.components, memory.codes, codec.context_tables, info.num_classes, info.num_tables()};
}

void SortByTable(const Codec& codec, const ContextRow& row, const ContextMemory& memory, const uint8_t* above,
                 const uint8_t* residuals, uint8_t* sorted, uint32_t* lengths) {
  uint32_t counts[kMaxClasses];
  codec.kernels->tables_of_row(row, above, memory.magnitudes, memory.tables, counts);
  codec.kernels->sort_row(row, memory.tables, counts, residuals, sorted);
  memcpy(lengths, counts, row.num_tables * sizeof(uint32_t));
}

}  // namespace fmtc
