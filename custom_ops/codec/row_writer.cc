#include "codec/row_writer.h"

#include <cstring>
#include <utility>

#include "base/bytes.h"
#include "codec/coded_header.h"
#include "codec/entropy.h"

namespace fmtc {

FMTC_SELDOM void RowWriter::LayOut(const Codec& codec, const MapPlan& plan, Layout* layout, Memory* memory) {
  LayOutAnalysis(codec, layout, &memory->analysis);  // what is aligned comes first
  const SideInfo& info = codec.side_info;
  if (info.has_contexts()) {
    memory->lengths = layout->Take<uint32_t>(size_t{plan.max_segment_rows} * info.num_tables());
    for (uint8_t*& row : memory->context_rows) row = layout->TakeBytes(plan.row_values + kValueSlack);
  }
  LayOutContexts(codec, plan, layout, &memory->contexts);
  memory->residuals = layout->TakeBytes(MaxSegmentValues(plan) + kValueSlack);
  memory->rows = layout->TakeBytes(MaxSegmentValues(plan) + kValueSlack);
  for (uint8_t*& indices : memory->indices) indices = layout->TakeBytes(plan.row_values + kValueSlack);
}

FMTC_SELDOM size_t RowWriter::WorkspaceSize(const Codec& codec, const MapPlan& plan) {
  Layout layout;
  Memory unused;
  LayOut(codec, plan, &layout, &unused);
  return layout.bytes();
}

FMTC_SELDOM RowWriter::RowWriter(const MapToCode& map, uint32_t first, uint32_t end, size_t at, size_t room_end,
                                 uint8_t* workspace, RowsInOrder input)
    : codec_(*map.codec),
      plan_(*map.plan),
      coded_(map.coded),
      input_(input),
      shape_{map.plan->width, map.codec->side_info.components, 0},
      walk_(*map.plan, first, end),
      entry_(map.coded + kCodedHeaderBytes + sizeof(uint32_t) * size_t{GroupBegin(*map.plan, first).segment}),
      at_(at),
      room_end_(room_end) {
  const Codec& codec = *map.codec;
  Layout layout(workspace);
  if (kHasRedzones) {
    const size_t bytes = WorkspaceSize(codec, *map.plan);
    redzones_.Cover(workspace, bytes);
    const size_t input_bytes = static_cast<size_t>(input.end - input.begin);
    if (!Overlap(workspace, bytes, map.coded, map.capacity) && !Overlap(workspace, bytes, input.begin, input_bytes)) {
      layout.AddRedzones();
    }
  }
  LayOut(codec, *map.plan, &layout, &memory_);
  context_row_ = InitContexts(codec, map.plan->width, memory_.contexts);
  InitAnalysis(codec, map.type, map.level, &memory_.analysis);
  predicts_values_ = input.begin != input.end && CanPredictValues(codec, *map.plan, map.level);
  if (predicts_values_) shape_.offset = ValueOffset(codec, map.type);
}

FMTC_SELDOM void RowWriter::PredictValues(bool is_first, const uint8_t* row, uint8_t* residuals) {
  const uint8_t* const above = is_first ? nullptr : row - input_.stride;
  // Kernels read behind a row, and behind the last one there is nothing.
  if (static_cast<size_t>(input_.end - row) < plan_.row_values + kValueSlack) {
    MoveBytes(memory_.indices[0], row, plan_.row_values);
    row = memory_.indices[0];
  }
  codec_.kernels->residuals_of_row(shape_, codec_.side_info.component_codes, above, row, residuals);
}

FMTC_SELDOM void RowWriter::PredictIndices(bool is_first, const uint8_t* row, uint8_t* residuals) {
  AnalyzeRow(memory_.analysis, shape_.width, row, memory_.indices[0]);
  codec_.kernels->residuals_of_row(shape_, codec_.side_info.component_codes, is_first ? nullptr : memory_.indices[1],
                                   memory_.indices[0], residuals);
  std::swap(memory_.indices[0], memory_.indices[1]);
}

FMTC_SELDOM void RowWriter::PredictRow(bool is_first, const uint8_t* row, uint8_t* residuals) {
  if (!codec_.has_prediction) {
    AnalyzeRow(memory_.analysis, shape_.width, row, residuals);
  } else if (kHasValuePrediction && predicts_values_) {
    PredictValues(is_first, row, residuals);
  } else {
    PredictIndices(is_first, row, residuals);
  }
}

// Puts the row's residuals behind those of the segment's rows before, in segment order.
FMTC_SELDOM void RowWriter::SortRow(bool is_first) {
  SortByTable(codec_, context_row_, memory_.contexts, is_first ? nullptr : memory_.context_rows[1],
              memory_.context_rows[0], memory_.residuals + size_t{row_} * plan_.row_values,
              memory_.lengths + size_t{row_} * codec_.side_info.num_tables());
  std::swap(memory_.context_rows[0], memory_.context_rows[1]);
}

// Codes the segment's rows, all of which are there; the bytes that it takes, or 0.
size_t RowWriter::EncodeRows() {
  uint8_t* const out = coded_ + at_;
  const size_t room = room_end_ - at_;
  if (codec_.side_info.has_contexts()) {
    const size_t num_runs = size_t{segment_rows_} * codec_.side_info.num_tables();
    const size_t values = size_t{segment_rows_} * plan_.row_values;
    return EncodeRuns({&codec_, memory_.lengths, num_runs, values}, memory_.residuals, memory_.rows, out, room);
  }
  const SegmentShape shape{&codec_, size_t{segment_rows_} * shape_.width};
  codec_.kernels->pixels_to_planes({shape_.components, shape.plane_bytes}, codec_.place, memory_.rows,
                                   memory_.residuals);
  return EncodeSegment(shape, memory_.residuals, memory_.rows, out, room);
}

bool RowWriter::FinishSegment() {
  row_ = 0;
  const size_t bytes = EncodeRows();
  if (bytes == 0) return false;
  Store(entry_, static_cast<uint32_t>(bytes));
  entry_ += sizeof(uint32_t);
  at_ += bytes;
  walk_.Next();
  return true;
}

FMTC_SELDOM bool RowWriter::Write(const uint8_t* row) {
  if (row_ == 0) {
    if (walk_.done()) return false;
    segment_rows_ = walk_.rows();
  }
  const bool is_first = walk_.starts_group() && row_ == 0;
  if (codec_.side_info.has_contexts()) {
    PredictRow(is_first, row, memory_.context_rows[0]);
    SortRow(is_first);
  } else {
    PredictRow(is_first, row, memory_.rows + size_t{row_} * plan_.row_values);
  }
  return ++row_ < segment_rows_ || FinishSegment();
}

FMTC_SELDOM void FinishCodedMap(const MapToCode& map, size_t payload_bytes) {
  WriteCodedHeader(*map.codec, {map.level, static_cast<uint32_t>(payload_bytes)}, map.coded);
}

}  // namespace fmtc
