#include <utility>

#include "core/analysis.h"
#include "core/bytes.h"
#include "core/codec.h"
#include "core/coded_header.h"
#include "core/entropy.h"
#include "core/geometry.h"
#include "core/kernels.h"

namespace fmtc {
namespace {

// One attempt at one level.
struct Encoder {
  const Codec* codec;
  const MapPlan* plan;
  Analysis analysis;
  RowShape shape;
  uint8_t* residuals;   // one segment, in segment order
  uint8_t* rows;        // residuals of the segment, then its tokens
  uint8_t* indices[2];  // of a row and the row above it
};

size_t InputRowBytes(const Encoder& e) { return size_t{e.plan->width} * e.codec->side_info.EncoderChannels(); }

void PrepareSegment(Encoder* e, uint32_t rows, bool starts_group, const uint8_t* input) {
  const Codec& codec = *e->codec;
  uint8_t* row = e->rows;
  for (uint32_t y = 0; y < rows; ++y, input += InputRowBytes(*e), row += e->plan->row_values) {
    if (!codec.has_prediction) {
      AnalyzeRow(e->analysis, e->plan->width, input, row);
      continue;
    }
    const uint8_t* above = starts_group && y == 0 ? nullptr : e->indices[1];
    AnalyzeRow(e->analysis, e->plan->width, input, e->indices[0]);
    codec.kernels->residuals_of_row(e->shape, codec.side_info.component_codes, above, e->indices[0], row);
    std::swap(e->indices[0], e->indices[1]);
  }
  const PlaneShape planes{e->shape.components, size_t{rows} * e->plan->width};
  codec.kernels->pixels_to_planes(planes, codec.place, e->rows, e->residuals);
}

// Encodes all items behind `output`'s header; the payload's length, or 0 if it exceeds the capacity.
size_t EncodeSegments(Encoder* e, const uint8_t* input, uint8_t* output, size_t capacity) {
  const MapPlan& plan = *e->plan;
  uint8_t* length_entry = output + kCodedHeaderBytes;
  const size_t table_bytes = sizeof(uint32_t) * size_t{plan.batch} * plan.segments_per_item;
  if (capacity < kCodedHeaderBytes + table_bytes) return 0;
  size_t used = kCodedHeaderBytes + table_bytes;
  for (uint32_t item = 0; item < plan.batch; ++item) {
    for (SegmentWalk walk(plan); !walk.done(); walk.Next()) {
      PrepareSegment(e, walk.rows(), walk.starts_group(), input);
      input += walk.rows() * InputRowBytes(*e);
      const SegmentShape shape{e->codec, size_t{walk.rows()} * plan.width};
      const size_t bytes = EncodeSegment(shape, e->residuals, e->rows, output + used, capacity - used);
      if (bytes == 0) return 0;
      Store(length_entry, static_cast<uint32_t>(bytes));
      length_entry += sizeof(uint32_t);
      used += bytes;
    }
  }
  return used;
}

Encoder MakeEncoder(const Codec& codec, const MapPlan& plan, ElementType type, uint32_t level, uint8_t* workspace) {
  Encoder e;
  e.codec = &codec;
  e.plan = &plan;
  e.shape = {plan.width, codec.side_info.components};
  e.residuals = workspace;
  e.rows = e.residuals + MaxSegmentValues(plan) + kValueSlack;
  e.indices[0] = e.rows + MaxSegmentValues(plan) + kValueSlack;
  e.indices[1] = e.indices[0] + plan.row_values + kValueSlack;
  InitAnalysis(codec, type, level, e.indices[1] + plan.row_values + kValueSlack, &e.analysis);
  return e;
}

}  // namespace

size_t EncodeWorkspaceSize(const Codec& codec, const MapPlan& plan) {
  return 2 * (MaxSegmentValues(plan) + plan.row_values + 2 * kValueSlack) + AnalysisMemorySize(codec);
}

Status Encode(const Codec& codec, const MapPlan& plan, ElementType type, const uint8_t* input, size_t input_bytes,
              uint8_t* output, size_t capacity, size_t* payload_bytes, uint8_t* workspace, size_t workspace_bytes) {
  if (payload_bytes == nullptr || input_bytes != plan.encoder_input_bytes) return Status::kInvalidArgument;
  *payload_bytes = 0;
  if (plan.batch == 0) return Status::kOk;
  const uint32_t constant_level = codec.side_info.max_level;
  const size_t least_capacity = constant_level > 0 ? kCodedHeaderBytes : plan.batch * plan.item_capacity;
  if (capacity < least_capacity || workspace_bytes < EncodeWorkspaceSize(codec, plan)) return Status::kBufferTooSmall;
  if (input == nullptr || output == nullptr || workspace == nullptr) return Status::kInvalidArgument;

  uint32_t level = 0;
  size_t used = 0;
  do {
    if (constant_level > 0 && level == constant_level) {
      used = kCodedHeaderBytes;
    } else {
      Encoder encoder = MakeEncoder(codec, plan, type, level, workspace);
      used = EncodeSegments(&encoder, input, output, capacity);
    }
  } while (used == 0 && level++ < constant_level);
  WriteCodedHeader(codec, {level, static_cast<uint32_t>(used)}, output);
  *payload_bytes = used;
  return Status::kOk;
}

}  // namespace fmtc
