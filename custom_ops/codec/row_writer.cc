#include "codec/row_writer.h"

#include <utility>

#include "base/bytes.h"
#include "codec/coded_header.h"
#include "codec/entropy.h"

namespace fmtc {

void RowWriter::LayOut(const Codec& codec, const MapPlan& plan, Layout* layout, Memory* memory) {
  LayOutAnalysis(codec, layout, &memory->analysis);  // what is aligned comes first
  memory->residuals = layout->TakeBytes(MaxSegmentValues(plan) + kValueSlack);
  memory->rows = layout->TakeBytes(MaxSegmentValues(plan) + kValueSlack);
  for (uint8_t*& indices : memory->indices) indices = layout->TakeBytes(plan.row_values + kValueSlack);
}

size_t RowWriter::WorkspaceSize(const Codec& codec, const MapPlan& plan) {
  Layout layout;
  Memory unused;
  LayOut(codec, plan, &layout, &unused);
  return layout.bytes();
}

RowWriter::RowWriter(const MapToCode& map, uint32_t first, uint32_t end, size_t at, size_t room_end, uint8_t* workspace,
                     RowsInOrder input)
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
  InitAnalysis(codec, map.type, map.level, &memory_.analysis);
  predicts_values_ = input.begin != input.end && CanPredictValues(codec, *map.plan, map.level);
  if (predicts_values_) shape_.offset = ValueOffset(codec, map.type);
}

void RowWriter::PredictValues(bool is_first, const uint8_t* row, uint8_t* residuals) {
  const uint8_t* const above = is_first ? nullptr : row - input_.stride;
  // Kernels read behind a row, and behind the last one there is nothing.
  if (static_cast<size_t>(input_.end - row) < plan_.row_values + kValueSlack) {
    MoveBytes(memory_.indices[0], row, plan_.row_values);
    row = memory_.indices[0];
  }
  codec_.kernels->residuals_of_row(shape_, codec_.side_info.component_codes, above, row, residuals);
}

void RowWriter::PredictIndices(bool is_first, const uint8_t* row, uint8_t* residuals) {
  AnalyzeRow(memory_.analysis, shape_.width, row, memory_.indices[0]);
  codec_.kernels->residuals_of_row(shape_, codec_.side_info.component_codes, is_first ? nullptr : memory_.indices[1],
                                   memory_.indices[0], residuals);
  std::swap(memory_.indices[0], memory_.indices[1]);
}

bool RowWriter::FinishSegment() {
  const SegmentShape shape{&codec_, size_t{row_} * shape_.width};
  row_ = 0;
  codec_.kernels->pixels_to_planes({shape_.components, shape.plane_bytes}, codec_.place, memory_.rows,
                                   memory_.residuals);
  const size_t bytes = EncodeSegment(shape, memory_.residuals, memory_.rows, coded_ + at_, room_end_ - at_);
  if (bytes == 0) return false;
  Store(entry_, static_cast<uint32_t>(bytes));
  entry_ += sizeof(uint32_t);
  at_ += bytes;
  walk_.Next();
  return true;
}

bool RowWriter::Write(const uint8_t* row) {
  if (row_ == 0) {
    if (walk_.done()) return false;
    segment_rows_ = walk_.rows();
  }
  uint8_t* const residuals = memory_.rows + size_t{row_} * plan_.row_values;
  const bool is_first = walk_.starts_group() && row_ == 0;
  if (!codec_.has_prediction) {
    AnalyzeRow(memory_.analysis, shape_.width, row, residuals);
  } else if (kHasValuePrediction && predicts_values_) {
    PredictValues(is_first, row, residuals);
  } else {
    PredictIndices(is_first, row, residuals);
  }
  return ++row_ < segment_rows_ || FinishSegment();
}

void FinishCodedMap(const MapToCode& map, size_t payload_bytes) {
  WriteCodedHeader(*map.codec, {map.level, static_cast<uint32_t>(payload_bytes)}, map.coded);
}

}  // namespace fmtc
