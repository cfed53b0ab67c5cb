#include "core/bytes.h"
#include "core/codec.h"
#include "core/coded_header.h"
#include "core/entropy.h"
#include "core/geometry.h"
#include "core/planes.h"
#include "core/predict.h"
#include "core/synthesis.h"

namespace fmtc {
namespace {

struct Decoder {
  const Codec* codec;
  const MapPlan* plan;
  Synthesis synthesis;
  RowShape shape;
  uint8_t* residuals;  // one segment, in segment order
  uint8_t* row;        // residuals, then indices of the current row
  uint8_t* above;      // indices of the row above
};

size_t OutputRowBytes(const Decoder& d) { return size_t{d.plan->width} * d.codec->side_info.channels; }

void FinishSegment(Decoder* d, uint32_t rows, bool starts_group, uint8_t* output) {
  const size_t plane_bytes = size_t{rows} * d->plan->width;
  for (uint32_t y = 0; y < rows; ++y, output += OutputRowBytes(*d)) {
    PlanesToRow(d->shape, d->codec->order, d->residuals + size_t{y} * d->plan->width, plane_bytes, d->row);
    if (d->codec->has_prediction) {
      IndicesOfRow(d->shape, d->codec->side_info.component_codes, starts_group && y == 0, d->above, d->row);
    }
    SynthesizeRow(d->synthesis, d->plan->width, d->row, output);
    uint8_t* const free_row = d->above;
    d->above = d->row;
    d->row = free_row;
  }
}

// Each segment has from one byte to one byte a value, and together with header and table they are the payload.
bool AreSegmentLengthsValid(const MapPlan& plan, const uint8_t* payload, size_t payload_bytes) {
  const uint64_t entries = uint64_t{plan.batch} * plan.segments_per_item;
  uint64_t total = kCodedHeaderBytes + sizeof(uint32_t) * entries;
  if (total > payload_bytes) return false;
  const uint8_t* entry = payload + kCodedHeaderBytes;
  for (uint32_t item = 0; item < plan.batch; ++item) {
    for (uint32_t segment = 0; segment < plan.segments_per_item; ++segment, entry += sizeof(uint32_t)) {
      const uint32_t length = Load<uint32_t>(entry);
      if (length < 1 || length > SegmentRows(plan, segment) * plan.row_values) return false;
      total += length;
    }
  }
  return total == payload_bytes;
}

Status DecodeSegments(Decoder* d, const uint8_t* payload, size_t payload_bytes, uint8_t* output) {
  const MapPlan& plan = *d->plan;
  if (!AreSegmentLengthsValid(plan, payload, payload_bytes)) return Status::kStreamCorrupt;
  const uint8_t* entry = payload + kCodedHeaderBytes;
  const uint8_t* segment = entry + sizeof(uint32_t) * size_t{plan.batch} * plan.segments_per_item;
  const uint8_t* const end = payload + payload_bytes;
  for (uint32_t item = 0; item < plan.batch; ++item) {
    for (SegmentWalk walk(plan); !walk.done(); walk.Next(), entry += sizeof(uint32_t)) {
      const uint32_t bytes = Load<uint32_t>(entry);
      const SegmentShape shape{d->codec, size_t{walk.rows()} * plan.width};
      if (!DecodeSegment(shape, segment, bytes, static_cast<size_t>(end - segment), d->residuals)) {
        return Status::kStreamCorrupt;
      }
      FinishSegment(d, walk.rows(), walk.starts_group(), output);
      segment += bytes;
      output += walk.rows() * OutputRowBytes(*d);
    }
  }
  return Status::kOk;
}

// The constant level: every index is 0, so every row is the same.
void FillConstant(Decoder* d, uint8_t* output) {
  memset(d->row, 0, d->plan->row_values);
  const uint64_t rows = uint64_t{d->plan->batch} * d->plan->height;
  for (uint64_t y = 0; y < rows; ++y, output += OutputRowBytes(*d)) {
    SynthesizeRow(d->synthesis, d->plan->width, d->row, output);
  }
}

Decoder MakeDecoder(const Codec& codec, const MapPlan& plan, ElementType type, uint32_t level, uint8_t* workspace) {
  Decoder d;
  d.codec = &codec;
  d.plan = &plan;
  d.shape = {plan.width, codec.side_info.components};
  d.residuals = workspace;
  d.row = d.residuals + MaxSegmentValues(plan);
  d.above = d.row + plan.row_values;
  InitSynthesis(codec, type, level, d.above + plan.row_values, &d.synthesis);
  return d;
}

}  // namespace

size_t DecodeWorkspaceSize(const Codec& codec, const MapPlan& plan) {
  return MaxSegmentValues(plan) + 2 * size_t{plan.row_values} + SynthesisMemorySize(codec);
}

Status Decode(const Codec& codec, const MapPlan& plan, ElementType type, const uint8_t* input, size_t input_bytes,
              uint8_t* output, size_t output_bytes, uint8_t* workspace, size_t workspace_bytes) {
  if (output_bytes != plan.decoder_output_bytes) return Status::kInvalidArgument;
  if (plan.batch == 0) return Status::kOk;
  if (workspace_bytes < DecodeWorkspaceSize(codec, plan)) return Status::kBufferTooSmall;
  if (input_bytes < kCodedHeaderBytes) return Status::kStreamTruncated;
  if (input == nullptr || output == nullptr || workspace == nullptr) return Status::kInvalidArgument;

  CodedHeader header;
  const Status status = ReadCodedHeader(codec.side_info, input, input_bytes, &header);
  if (status != Status::kOk) return status;
  const uint32_t constant_level = codec.side_info.max_level;
  Decoder decoder = MakeDecoder(codec, plan, type, header.level, workspace);
  if (constant_level > 0 && header.level == constant_level) {
    if (header.payload_bytes != kCodedHeaderBytes) return Status::kStreamCorrupt;
    FillConstant(&decoder, output);
    return Status::kOk;
  }
  return DecodeSegments(&decoder, input, header.payload_bytes, output);
}

}  // namespace fmtc
