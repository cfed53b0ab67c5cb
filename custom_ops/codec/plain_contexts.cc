// Tables by context, and values by table, in plain C++.
#include "codec/contexts.h"
#include "codec/plain_kernels.h"

namespace fmtc {

void TablesOfRowPlain(const ContextRow& row, const uint8_t* above, uint8_t* magnitudes, uint8_t* tables,
                      uint32_t* counts) {
  for (uint32_t t = 0; t < kMaxClasses; ++t) counts[t] = 0;
  uint8_t* const first = magnitudes + row.components;
  if (above != nullptr) {
    for (size_t i = 0; i < row.values; ++i) first[i] = Magnitude(above[i], row.codes[i]);
    RepeatEnds(row, magnitudes);
  }
  for (size_t i = 0; i < row.values; ++i) {
    const uint32_t context = above == nullptr ? kNoRowAbove : ContextOf(first + i, row.components);
    const uint8_t table = row.map[(row.codes[i] & kClassMask) * kContextStride + context];
    tables[i] = table;
    ++counts[table];
  }
}

void SortRowPlain(const ContextRow& row, const uint8_t* tables, const uint32_t* counts, const uint8_t* values,
                  uint8_t* sorted) {
  uint8_t* next[kMaxClasses];
  for (uint32_t t = 0; t < kMaxClasses; sorted += counts[t++]) next[t] = sorted;
  for (size_t i = 0; i < row.values; ++i) *next[tables[i] % kMaxClasses]++ = values[i];
}

void UnsortRowPlain(const ContextRow& row, const uint8_t* tables, const uint32_t* counts, const uint8_t* sorted,
                    uint8_t* values) {
  const uint8_t* next[kMaxClasses];
  for (uint32_t t = 0; t < kMaxClasses; sorted += counts[t++]) next[t] = sorted;
  for (size_t i = 0; i < row.values; ++i) values[i] = *next[tables[i] % kMaxClasses]++;
}

}  // namespace fmtc
