#include "region/segments.h"

#include <algorithm>

#include "codec/geometry.h"
#include "codec/kernels.h"

namespace fmtc::region {
namespace {

static_assert(kSegmentSlack >= kValueSlack && kSegmentSlack >= kReadSlack);
static_assert(kRowSlack >= kValueSlack);

// Rows of the widest group that contexts take: two of residuals in one, a sorted one in the other, and three each that
// ContextMemory has.
constexpr uint64_t kEncodeContextRows = 5, kDecodeContextRows = 4;

uint64_t ContextBytes(const Segments& segments, uint64_t rows) {
  return rows * (segments.MostRowValues() + kRowSlack) + 2 * uint64_t{segments.channels};
}

// Residuals as planes, or two rows of indices.
uint64_t PlanesValues(const Segments& segments) {
  return std::max(segments.MostValues(), 2 * segments.MostRowValues());
}

size_t LengthsOfRuns(const Segments& segments) { return size_t{segments.Rows(0)} * kMaxClasses; }

// Takes pieces one after another.
class Pieces {
 public:
  explicit Pieces(uint8_t* at) : at_(at) {}

  uint8_t* Take(size_t bytes) {
    at_ += bytes;
    return at_ - bytes;
  }
  uint8_t* TakeRow(size_t values) { return Take(values + kRowSlack); }
  uint8_t* TakeSegment(size_t values) { return Take(values + kSegmentSlack); }

  // Of rows of so many values, but for a sorted one.
  void TakeContexts(size_t row_values, size_t channels, ContextMemory* memory) {
    memory->tables = TakeRow(row_values);
    memory->codes = TakeRow(row_values);
    memory->magnitudes = TakeRow(row_values + 2 * channels);
  }

 private:
  uint8_t* at_;
};

}  // namespace

uint32_t Segments::Begin(uint32_t segment) const { return ShareBegin(height, count, segment); }
uint32_t Segments::Rows(uint32_t segment) const { return ShareOf(height, count, segment); }

uint32_t Segments::Of(uint32_t row) const {
  const uint32_t least = height / count, larger = height % count;
  const uint32_t in_larger = larger * (least + 1);
  return row < in_larger ? row / (least + 1) : larger + (row - in_larger) / least;
}

Range Segments::Columns(uint32_t group) const {
  if (ends == nullptr) return {0, static_cast<int32_t>(width)};
  return {group == 0 ? 0 : int32_t{ends[group - 1]}, int32_t{ends[group]}};
}

uint64_t Segments::MostRowValues() const {
  int32_t most = 0;
  for (uint32_t i = 0; i < groups; ++i) most = std::max(most, Columns(i).end - Columns(i).first);
  return uint64_t{static_cast<uint32_t>(most)} * channels;
}

uint64_t EncodeMemoryBytes(const Segments& segments, bool has_contexts) {
  const uint64_t bytes = segments.MostValues() + PlanesValues(segments) + 2 * kSegmentSlack;
  if (!has_contexts) return bytes;
  return bytes + LengthsOfRuns(segments) * sizeof(uint32_t) + ContextBytes(segments, kEncodeContextRows);
}

uint64_t DecodeMemoryBytes(const Segments& segments, bool has_contexts) {
  const uint64_t row = segments.RowValues(), share = segments.Rows(0) * row;
  const uint64_t bytes = row + share + segments.MostValues() + 2 * kSegmentSlack;
  return has_contexts ? bytes + row + ContextBytes(segments, kDecodeContextRows) : bytes;
}

EncodeMemory::EncodeMemory(uint8_t* own, const Segments& segments, bool has_contexts) : contexts{} {
  Pieces pieces(own);
  const size_t row_values = segments.MostRowValues();
  if (has_contexts) {
    lengths = reinterpret_cast<uint32_t*>(pieces.Take(LengthsOfRuns(segments) * sizeof(uint32_t)));
    for (uint8_t*& row : rows) row = pieces.TakeRow(row_values);
    pieces.TakeContexts(row_values, segments.channels, &contexts);
  }
  pixels = pieces.TakeSegment(segments.Rows(0) * row_values);
  planes = pieces.TakeSegment(PlanesValues(segments));
}

DecodeMemory::DecodeMemory(uint8_t* own, const Segments& segments, bool has_contexts) : contexts{} {
  Pieces pieces(own);
  last = pieces.Take(segments.RowValues());
  if (has_contexts) above = pieces.Take(segments.RowValues());
  pixels = pieces.TakeSegment(segments.Rows(0) * segments.RowValues());
  const size_t row_values = segments.MostRowValues();
  planes = pieces.TakeSegment(segments.Rows(0) * row_values);
  if (!has_contexts) return;
  contexts.sorted = pieces.TakeRow(row_values);
  pieces.TakeContexts(row_values, segments.channels, &contexts);
}

}  // namespace fmtc::region
