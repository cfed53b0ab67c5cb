#include "codec/row_reader.h"

#include <utility>

#include "base/bytes.h"
#include "codec/coded_header.h"

namespace fmtc {
namespace {

// Behind the rows: what kernels may touch, and what the segments near the payload's end take there.
constexpr size_t kRowsSlack = 2 * kReadSlack;
static_assert(kRowsSlack >= kValueSlack, "rows are given to kernels");

size_t SegmentsTogether(const Codec& codec, const MapPlan& plan) {
  if (codec.side_info.has_contexts()) return 1;
  const size_t segments = size_t{plan.batch} * plan.segments_per_item;
  return segments < kMaxSegmentsTogether ? segments : kMaxSegmentsTogether;
}

bool KeepsSomePixels(const MapPlan& plan) { return kHasStride && plan.stride_width > 1; }

}  // namespace

FMTC_SELDOM Status OpenCodedMap(const Codec& codec, const MapPlan& plan, ElementType type, const uint8_t* input,
                                size_t input_bytes, CodedMap* map) {
  if (input_bytes < kCodedHeaderBytes) return Status::kStreamTruncated;
  if (input == nullptr) return Status::kInvalidArgument;
  CodedHeader header;
  const Status status = ReadCodedHeader(codec, input, input_bytes, &header);
  if (status != Status::kOk) return status;
  const bool is_constant = header.level > 0 && header.level == codec.side_info.max_level;
  *map = {&codec, &plan, type, header.level, input, header.payload_bytes, is_constant};
  const size_t bytes = header.payload_bytes - kCodedHeaderBytes;
  return (is_constant ? bytes == 0 : bytes >= SegmentTableBytes(plan)) ? Status::kOk : Status::kStreamCorrupt;
}

FMTC_SELDOM bool PayloadReader::Take(size_t most, CodedSegment* taken) {
  // At the end there may be no entry, either, if somebody goes on after a damaged segment.
  const size_t bytes = segment == end ? 0 : LoadOnce<uint32_t>(entry);
  if (bytes < 1 || bytes > most || bytes > static_cast<size_t>(end - segment)) {
    end = segment;
    return false;
  }
  taken->data = segment;
  taken->bytes = bytes;
  entry += sizeof(uint32_t);
  segment += bytes;
  return true;
}

FMTC_SELDOM void RowReader::LayOut(const Codec& codec, const MapPlan& plan, Layout* layout, Memory* memory) {
  LayOutSynthesis(codec, layout, &memory->synthesis);  // what is aligned comes first
  // One piece, since kernels may read behind the residuals; with contexts they write there while a segment's bytes are
  // where the rows would be.
  const size_t slack = codec.side_info.has_contexts() ? kValueSlack : 0;
  const size_t residuals_bytes = SegmentsTogether(codec, plan) * MaxSegmentValues(plan) + slack;
  memory->residuals = layout->TakeBytes(residuals_bytes + MaxSegmentValues(plan) + kRowsSlack);
  memory->rows = memory->residuals + residuals_bytes;
  for (uint8_t*& indices : memory->indices) indices = layout->TakeBytes(plan.row_values + kValueSlack);
  LayOutContexts(codec, plan, layout, &memory->contexts);
  if (KeepsSomePixels(plan)) {
    memory->kept = layout->TakeBytes(size_t{OutputWidth(plan)} * codec.side_info.components + kValueSlack);
  }
}

FMTC_SELDOM size_t RowReader::WorkspaceSize(const Codec& codec, const MapPlan& plan) {
  Layout layout;
  Memory unused;
  LayOut(codec, plan, &layout, &unused);
  return layout.bytes();
}

FMTC_SELDOM RowReader::RowReader(const CodedMap& map, uint32_t first, uint32_t end, uint8_t* workspace,
                                 RowsInOrder output)
    : codec_(*map.codec),
      plan_(*map.plan),
      is_constant_(map.is_constant),
      output_(output),
      shape_{map.plan->width, map.codec->side_info.components, 0},
      walk_(*map.plan, first, end),
      ends_map_(!kHasWorkers || end == TotalGroups(*map.plan)) {
  const Codec& codec = *map.codec;
  const MapPlan& plan = *map.plan;
  Layout layout(workspace);
  if (kHasRedzones) {
    const size_t bytes = WorkspaceSize(codec, plan);
    redzones_.Cover(workspace, bytes);
    const size_t output_bytes = static_cast<size_t>(output.end - output.begin);
    if (!Overlap(workspace, bytes, map.payload, map.payload_bytes) &&
        !Overlap(workspace, bytes, output.begin, output_bytes)) {
      layout.AddRedzones();
    }
  }
  LayOut(codec, plan, &layout, &memory_);
  context_row_ = InitContexts(codec, plan.width, memory_.contexts);
  InitSynthesis(codec, map.type, map.level, &memory_.synthesis);
  predicts_values_ = output.begin != output.end && CanPredictValues(codec, plan, map.level) &&
                     AddsCentresOnly(codec, map.level) && codec.side_info.lo == -128 && codec.side_info.hi == 127 &&
                     plan.stride_height == 1 && plan.stride_width == 1;
  if (predicts_values_) shape_.offset = ValueOffset(codec, map.type);
  batch_.Begin(0);
  if (is_constant_) {
    memset(memory_.rows, 0, plan.row_values);
    return;
  }
  const uint8_t* const table = map.payload + kCodedHeaderBytes;
  payload_ = {table, table + SegmentTableBytes(plan), map.payload + map.payload_bytes};
  CodedSegment before;
  for (uint32_t i = GroupBegin(plan, first).segment; i > 0; --i) payload_.Take(MaxSegmentValues(plan), &before);
}

// Takes segments from the walk's on from the payload; false if one has no valid length.
bool RowReader::TakeBatch() {
  SegmentWalk walk = walk_;
  if (walk.done()) return false;
  const size_t values = size_t{segment_rows_} * plan_.row_values;
  uint8_t* residuals = memory_.residuals;
  size_t count = 0;
  do {
    CodedSegment* const segment = &batch_.segments[count++];
    if (!payload_.Take(values, segment)) return false;
    segment->residuals = residuals;
    residuals += values;
    walk.Next();
  } while (count < SegmentsTogether(codec_, plan_) && !walk.done() && walk.rows() == segment_rows_);
  batch_.Begin(count);
  return true;
}

// Segments near the end of the payload move to where the slack behind them is readable: to the rows, which are not in
// use yet. All but the first of them are shorter than the slack.
void RowReader::MoveFromEnd() {
  const uint8_t* const end = payload_.end;
  size_t first = 0;
  const auto is_near = [=](const CodedSegment& s) { return static_cast<size_t>(end - s.data) < s.bytes + kReadSlack; };
  while (first < batch_.size() && !is_near(batch_.segments[first])) ++first;
  if (first == batch_.size()) return;
  const uint8_t* const begin = batch_.segments[first].data;
  const size_t bytes = static_cast<size_t>(end - begin);
  MoveBytes(memory_.rows, begin, bytes);
  memset(memory_.rows + bytes, 0, kReadSlack);
  for (size_t i = first; i < batch_.size(); ++i) {
    batch_.segments[i].data = memory_.rows + (batch_.segments[i].data - begin);
  }
}

// `above` are the residuals of the row above, which only contexts need; null in the first row of a group.
FMTC_SELDOM bool RowReader::DecodeBatch(const uint8_t* above) {
  const bool is_whole =
      codec_.side_info.has_contexts()
          ? DecodeRows(codec_, context_row_, memory_.contexts, above, segment_rows_, batch_.segments[0])
          : DecodeSegments({&codec_, size_t{segment_rows_} * plan_.width}, batch_.segments, batch_.size());
  if (!is_whole) payload_.end = payload_.segment;
  return is_whole;
}

// Of the segment that the walk is at, row by row: contexts leave them where they were decoded.
const uint8_t* RowReader::Residuals() const {
  return codec_.side_info.has_contexts() ? memory_.residuals : memory_.rows;
}

bool RowReader::OpenSegment() {
  const uint8_t* const above =
      walk_.starts_group() ? nullptr : Residuals() + size_t{segment_rows_ - 1} * plan_.row_values;
  segment_rows_ = walk_.rows();
  if (batch_.is_used_up()) {
    if (!TakeBatch()) return false;
    MoveFromEnd();
    if (!DecodeBatch(above)) return false;
  }
  const size_t plane_bytes = size_t{segment_rows_} * plan_.width;
  const uint8_t* const residuals = batch_.TakeResiduals();
  if (codec_.side_info.has_contexts()) return true;
  codec_.kernels->planes_to_pixels({shape_.components, plane_bytes}, codec_.place, residuals, memory_.rows);
  return true;
}

// The indices of the row that comes next.
const uint8_t* RowReader::PredictIndices() {
  const uint8_t* const residuals = Residuals() + size_t{row_} * plan_.row_values;
  if (!codec_.has_prediction) return residuals;
  std::swap(memory_.indices[0], memory_.indices[1]);
  const uint8_t* const above = walk_.starts_group() && row_ == 0 ? nullptr : memory_.indices[0];
  codec_.kernels->indices_of_row(shape_, codec_.side_info.component_codes, above, residuals, memory_.indices[1]);
  return memory_.indices[1];
}

// Decodes a row that comes behind another one in the output, unless it is the first of a group.
FMTC_SELDOM void RowReader::PredictValues(uint8_t* row) {
  const uint32_t bytes = plan_.row_values;
  const uint8_t* const residuals = Residuals() + size_t{row_} * bytes;
  // Kernels write behind a row, where there may be somebody else's or nothing.
  const bool is_last = static_cast<size_t>(output_.end - row) < bytes + kValueSlack;
  uint8_t* const out = is_last ? memory_.indices[0] : row;
  const uint8_t* const above = walk_.starts_group() && row_ == 0 ? nullptr : row - output_.stride;
  codec_.kernels->indices_of_row(shape_, codec_.side_info.component_codes, above, residuals, out);
  if (is_last) MoveBytes(row, out, bytes);
}

FMTC_SELDOM void RowReader::WriteRow(const uint8_t* indices, uint8_t* row) {
  if (KeepsSomePixels(plan_)) {
    const size_t pixel = shape_.components;
    for (uint32_t x = 0; x < OutputWidth(plan_); ++x) {
      MoveBytes(memory_.kept + x * pixel, indices + size_t{x} * plan_.stride_width * pixel, pixel);
    }
    indices = memory_.kept;
  }
  SynthesizeRow(memory_.synthesis, OutputWidth(plan_), indices, row);
}

void RowReader::Advance() {
  if (++row_ < segment_rows_) return;
  row_ = 0;
  walk_.Next();
}

FMTC_SELDOM bool RowReader::Read(uint8_t* row) {
  if (is_constant_) {
    SynthesizeRow(memory_.synthesis, OutputWidth(plan_), memory_.rows, row);
    return true;
  }
  for (;;) {
    if (row_ == 0 && !OpenSegment()) return false;
    if (kHasValuePrediction && predicts_values_) {
      PredictValues(row);
      Advance();
      return true;
    }
    const bool is_kept = !kHasStride || (walk_.first_row() + row_) % plan_.stride_height == 0;
    const uint8_t* const indices = PredictIndices();
    Advance();
    if (!is_kept) continue;
    WriteRow(indices, row);
    return true;
  }
}

bool RowReader::Finish() {
  if (is_constant_) return true;
  for (; kHasStride && !walk_.done(); walk_.Next(), row_ = 0) {
    if (row_ == 0 && !OpenSegment()) return false;
  }
  return !ends_map_ || payload_.segment == payload_.end;
}

}  // namespace fmtc
