#include <cstring>

#include "base/bytes.h"
#include "codec/entropy.h"

namespace fmtc {
namespace {

// A segment whose rows are decoded one after the other.
struct OpenRows {
  const uint8_t* raw;      // what is left of a raw segment, or null
  uint32_t constant_mask;  // tables whose residuals are constant
  bool has_streams;
  LaneDecoder lanes;
};

bool Open(const Codec& codec, const CodedSegment& coded, size_t values, OpenRows* segment) {
  segment->raw = coded.bytes == values ? coded.data : nullptr;
  segment->has_streams = false;
  if (segment->raw != nullptr) return true;
  const uint32_t all = (1u << codec.side_info.num_tables()) - 1;
  segment->constant_mask = LoadOnce<uint8_t>(coded.data);
  if (segment->constant_mask > all) return false;
  if (segment->constant_mask == all) return coded.bytes == 1;
  segment->has_streams = true;
  return OpenStreams(coded.data, coded.bytes, &segment->lanes);
}

// The last run of a row that is coded, or kMaxClasses.
uint32_t LastRun(const uint32_t* counts, uint32_t constant_mask) {
  uint32_t last = kMaxClasses;
  for (uint32_t t = 0; t < kMaxClasses; ++t) {
    if (counts[t] > 0 && (constant_mask >> t & 1) == 0) last = t;
  }
  return last;
}

// The residuals of a row, table by table.
void DecodeRuns(const Codec& codec, const uint32_t* counts, bool ends_segment, OpenRows* segment, uint8_t* sorted) {
  const uint32_t last = ends_segment ? LastRun(counts, segment->constant_mask) : kMaxClasses;
  LaneDecoder* const lanes = &segment->lanes;
  for (uint32_t t = 0; t < kMaxClasses; sorted += counts[t++]) {
    if (counts[t] == 0) continue;
    if ((segment->constant_mask >> t & 1) != 0) {
      memset(sorted, codec.tables[t].constant, counts[t]);
      continue;
    }
    lanes->values = sorted;
    codec.kernels->decode_run(codec.tables[t].decode, {counts[t], t == last}, &lanes, 1);
  }
}

}  // namespace

bool DecodeRows(const Codec& codec, const ContextRow& row, const ContextMemory& memory, const uint8_t* above,
                uint32_t rows, const CodedSegment& coded) {
  OpenRows segment;
  if (!Open(codec, coded, rows * row.values, &segment)) return false;
  uint8_t* residuals = coded.residuals;
  for (uint32_t y = 0; y < rows; ++y, above = residuals, residuals += row.values) {
    uint32_t counts[kMaxClasses];
    codec.kernels->tables_of_row(row, above, memory.magnitudes, memory.tables, counts);
    if (segment.raw != nullptr) {
      MoveBytes(memory.sorted, segment.raw, row.values);
      segment.raw += row.values;
    } else {
      DecodeRuns(codec, counts, y + 1 == rows, &segment, memory.sorted);
    }
    codec.kernels->unsort_row(row, memory.tables, counts, memory.sorted, residuals);
  }
  return !segment.has_streams || AreStreamsUsedUp(segment.lanes);
}

}  // namespace fmtc
