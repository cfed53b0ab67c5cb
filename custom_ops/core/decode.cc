#include <atomic>
#include <utility>

#include "core/bytes.h"
#include "core/codec.h"
#include "core/coded_header.h"
#include "core/entropy.h"
#include "core/geometry.h"
#include "core/kernels.h"
#include "core/synthesis.h"

namespace fmtc {
namespace {

// Behind the rows: what kernels may touch, and what the segments near the payload's end take there.
constexpr size_t kRowsSlack = 2 * kReadSlack;
static_assert(kRowsSlack >= kValueSlack, "rows are given to kernels");

size_t SegmentsTogether(const MapPlan& plan) {
  const size_t segments = size_t{plan.batch} * plan.segments_per_item;
  return segments < kMaxSegmentsTogether ? segments : kMaxSegmentsTogether;
}

size_t IndexRowBytes(const MapPlan& plan) { return plan.row_values + kValueSlack; }

struct Decoder {
  const Codec* codec;
  const MapPlan* plan;
  Synthesis synthesis;
  RowShape shape;
  uint8_t* residuals;   // segments that are decoded together, each in segment order
  uint8_t* rows;        // residuals of a segment
  uint8_t* indices[2];  // of a row and the row above it
  uint8_t* kept;        // pixels of a row that a stride keeps
  bool predicts_values;
  const uint8_t* output_end;  // of the groups that are this decoder's
};

size_t OutputRowBytes(const Decoder& d) { return size_t{OutputWidth(*d.plan)} * d.codec->side_info.channels; }

// Bytes of Decoder::kept.
size_t KeptBytes(const Codec& codec, const MapPlan& plan) {
  return kSmall || plan.stride_width == 1 ? 0 : size_t{OutputWidth(plan)} * codec.side_info.components + kRowsSlack;
}

// Writes row y of the map, if the stride keeps it; returns where the next row goes.
uint8_t* WriteRow(const Decoder& d, uint32_t y, const uint8_t* indices, uint8_t* output) {
  const MapPlan& plan = *d.plan;
  if (!kSmall && y % plan.stride_height != 0) return output;
  if (!kSmall && plan.stride_width > 1) {
    const size_t pixel = d.codec->side_info.components;
    for (uint32_t x = 0; x < OutputWidth(plan); ++x) {
      MoveBytes(d.kept + x * pixel, indices + size_t{x} * plan.stride_width * pixel, pixel);
    }
    indices = d.kept;
  }
  SynthesizeRow(d.synthesis, OutputWidth(plan), indices, output);
  return output + OutputRowBytes(d);
}

// Decodes a row that follows another one in the output, unless it is the first of a group.
void PredictValues(const Decoder& d, bool is_first, const uint8_t* residuals, uint8_t* output) {
  const uint32_t bytes = d.plan->row_values;
  // Kernels write behind a row, where there may be somebody else's or nothing.
  const bool is_last = static_cast<size_t>(d.output_end - output) < bytes + kValueSlack;
  uint8_t* const row = is_last ? d.indices[0] : output;
  d.codec->kernels->indices_of_row(d.shape, d.codec->side_info.component_codes, is_first ? nullptr : output - bytes,
                                   residuals, row);
  if (is_last) MoveBytes(output, row, bytes);
}

// From the residuals of the segment that the walk is at to rows of the map; returns where the next row goes.
uint8_t* FinishSegment(Decoder* d, const SegmentWalk& walk, const uint8_t* residuals, uint8_t* output) {
  const uint32_t rows = walk.rows();
  const Codec& codec = *d->codec;
  const PlaneShape planes{d->shape.components, size_t{rows} * d->plan->width};
  codec.kernels->planes_to_pixels(planes, codec.place, residuals, d->rows);
  const uint8_t* row = d->rows;
  for (uint32_t y = 0; y < rows; ++y, row += d->plan->row_values) {
    if (!kSmall && d->predicts_values) {
      PredictValues(*d, walk.starts_group() && y == 0, row, output);
      output += d->plan->row_values;
      continue;
    }
    const uint8_t* indices = row;
    if (codec.has_prediction) {
      const uint8_t* above = walk.starts_group() && y == 0 ? nullptr : d->indices[1];
      codec.kernels->indices_of_row(d->shape, codec.side_info.component_codes, above, row, d->indices[0]);
      indices = d->indices[0];
      std::swap(d->indices[0], d->indices[1]);
    }
    output = WriteRow(*d, walk.first_row() + y, indices, output);
  }
  return output;
}

// What is left of a payload. Lengths are checked as they are taken, and nothing that was checked is read again: the
// output may be the same memory.
struct PayloadReader {
  const uint8_t* entry;    // of the table of segment lengths
  const uint8_t* segment;  // the one that the entry is for
  const uint8_t* end;

  // The next segment, of 1 to `most` bytes; false if it is none.
  bool Take(size_t most, CodedSegment* taken) {
    const size_t bytes = LoadOnce<uint32_t>(entry);
    if (bytes < 1 || bytes > most || bytes > static_cast<size_t>(end - segment)) return false;
    taken->data = segment;
    taken->bytes = bytes;
    entry += sizeof(uint32_t);
    segment += bytes;
    return true;
  }
};

// Segments of the same shape that follow one another.
struct Batch {
  CodedSegment segments[kMaxSegmentsTogether];
  size_t count;
};

// Segments near the end of the payload move to where the slack behind them is readable: to the rows, which are not in
// use yet. All but the first of them are shorter than the slack.
void MoveFromEnd(const Decoder& d, const uint8_t* end, Batch* batch) {
  size_t first = 0;
  const auto is_near = [&](const CodedSegment& s) { return static_cast<size_t>(end - s.data) < s.bytes + kReadSlack; };
  while (first < batch->count && !is_near(batch->segments[first])) ++first;
  if (first == batch->count) return;
  const uint8_t* const begin = batch->segments[first].data;
  const size_t bytes = static_cast<size_t>(end - begin);
  MoveBytes(d.rows, begin, bytes);
  memset(d.rows + bytes, 0, kReadSlack);
  for (size_t i = first; i < batch->count; ++i) {
    batch->segments[i].data = d.rows + (batch->segments[i].data - begin);
  }
}

// Takes segments from the walk, which is not done, and the payload; false if one has no valid length.
bool TakeBatch(const Decoder& d, SegmentWalk walk, PayloadReader* payload, Batch* batch) {
  const uint32_t rows = walk.rows();
  const size_t values = size_t{rows} * d.plan->row_values;
  uint8_t* residuals = d.residuals;
  batch->count = 0;
  do {
    CodedSegment* const segment = &batch->segments[batch->count++];
    if (!payload->Take(values, segment)) return false;
    segment->residuals = residuals;
    residuals += values;
    walk.Next();
  } while (batch->count < kMaxSegmentsTogether && !walk.done() && walk.rows() == rows);
  return true;
}

// A job for workers, each of which decodes groups that follow one another.
struct DecodeJob {
  const Codec* codec;
  const MapPlan* plan;
  ElementType type;
  uint32_t level;
  const uint8_t* payload;
  size_t payload_bytes;
  uint8_t* output;
  uint8_t* workspaces;  // DecodeWorkspaceSize for one worker each
  uint32_t tasks;
  std::atomic<bool> failed;
};

bool DecodeGroups(const DecodeJob& job, uint32_t first, uint32_t end, Decoder* decoder) {
  const MapPlan& plan = *job.plan;
  const GroupBegin begin(plan, first);
  const uint8_t* const table = job.payload + kCodedHeaderBytes;
  PayloadReader payload{table, table + SegmentTableBytes(plan), job.payload + job.payload_bytes};
  CodedSegment before;
  for (uint32_t i = 0; i < begin.segment; ++i) {
    if (!payload.Take(MaxSegmentValues(plan), &before)) return false;
  }
  uint8_t* output = job.output + OutputRowsBefore(plan, begin) * OutputRowBytes(*decoder);
  decoder->output_end = job.output + OutputRowsBefore(plan, GroupBegin(plan, end)) * OutputRowBytes(*decoder);
  for (SegmentWalk walk(plan, first, end); !walk.done();) {
    Batch batch;
    if (!TakeBatch(*decoder, walk, &payload, &batch)) return false;
    MoveFromEnd(*decoder, payload.end, &batch);
    if (!DecodeSegments({job.codec, size_t{walk.rows()} * plan.width}, batch.segments, batch.count)) return false;
    for (size_t i = 0; i < batch.count; ++i, walk.Next()) {
      output = FinishSegment(decoder, walk, batch.segments[i].residuals, output);
    }
  }
  return end < TotalGroups(plan) || payload.segment == payload.end;
}

// The constant level: every index is 0, so every row is the same.
void FillConstant(const Decoder& d, uint8_t* output) {
  memset(d.rows, 0, d.plan->row_values);
  const size_t rows = size_t{d.plan->batch} * OutputHeight(*d.plan);
  for (size_t y = 0; y < rows; ++y, output += OutputRowBytes(d)) {
    SynthesizeRow(d.synthesis, OutputWidth(*d.plan), d.rows, output);
  }
}

Decoder MakeDecoder(const Codec& codec, const MapPlan& plan, ElementType type, uint32_t level, uint8_t* workspace) {
  Decoder d;
  d.codec = &codec;
  d.plan = &plan;
  d.shape = {plan.width, codec.side_info.components, 0};
  d.residuals = workspace;
  d.rows = d.residuals + SegmentsTogether(plan) * MaxSegmentValues(plan);
  d.indices[0] = d.rows + MaxSegmentValues(plan) + kRowsSlack;
  d.indices[1] = d.indices[0] + IndexRowBytes(plan);
  uint8_t* const synthesis_memory = d.indices[1] + IndexRowBytes(plan);
  InitSynthesis(codec, type, level, synthesis_memory, &d.synthesis);
  d.kept = synthesis_memory + SynthesisMemorySize(codec);
  const SideInfo& info = codec.side_info;
  d.predicts_values = CanPredictValues(codec, plan, level) && AddsCentresOnly(codec, level) && info.lo == -128 &&
                      info.hi == 127 && plan.stride_height == 1 && plan.stride_width == 1;
  if (d.predicts_values) d.shape.offset = ValueOffset(codec, type);
  return d;
}

void RunDecodeTask(void* argument, uint32_t index) {
  DecodeJob* const job = static_cast<DecodeJob*>(argument);
  const uint32_t groups = TotalGroups(*job->plan);
  const uint32_t first = ShareBegin(groups, job->tasks, index);
  const uint32_t end = first + ShareOf(groups, job->tasks, index);
  uint8_t* const workspace = job->workspaces + index * DecodeWorkspaceSize(*job->codec, *job->plan, 1);
  Decoder decoder = MakeDecoder(*job->codec, *job->plan, job->type, job->level, workspace);
  if (!DecodeGroups(*job, first, end, &decoder)) {
    job->failed.store(true, std::memory_order_relaxed);
  }
}

}  // namespace

size_t DecodeWorkspaceSize(const Codec& codec, const MapPlan& plan, uint32_t workers) {
  const size_t bytes = (SegmentsTogether(plan) + 1) * MaxSegmentValues(plan) + kRowsSlack + 2 * IndexRowBytes(plan) +
                       SynthesisMemorySize(codec) + KeptBytes(codec, plan);
  return bytes * UsefulWorkers(plan, workers);
}

Status Decode(const Codec& codec, const MapPlan& plan, ElementType type, const uint8_t* input, size_t input_bytes,
              uint8_t* output, size_t output_bytes, uint8_t* workspace, size_t workspace_bytes,
              const Workers& workers) {
  if (output_bytes != plan.decoder_output_bytes) return Status::kInvalidArgument;
  if (plan.batch == 0) return Status::kOk;
  if (workspace_bytes < DecodeWorkspaceSize(codec, plan, workers.count)) return Status::kBufferTooSmall;
  if (input_bytes < kCodedHeaderBytes) return Status::kStreamTruncated;
  if (input == nullptr || output == nullptr || workspace == nullptr) return Status::kInvalidArgument;

  CodedHeader header;
  const Status status = ReadCodedHeader(codec, input, input_bytes, &header);
  if (status != Status::kOk) return status;
  const uint32_t constant_level = codec.side_info.max_level;
  Decoder decoder = MakeDecoder(codec, plan, type, header.level, workspace);
  if (constant_level > 0 && header.level == constant_level) {
    if (header.payload_bytes != kCodedHeaderBytes) return Status::kStreamCorrupt;
    FillConstant(decoder, output);
    return Status::kOk;
  }
  if (header.payload_bytes < kCodedHeaderBytes + SegmentTableBytes(plan)) return Status::kStreamCorrupt;
  const uint32_t tasks = UsefulWorkers(plan, workers.count);
  DecodeJob job{&codec, &plan, type, header.level, input, header.payload_bytes, output, workspace, tasks, {false}};
  if (kSmall || tasks == 1) {
    return DecodeGroups(job, 0, TotalGroups(plan), &decoder) ? Status::kOk : Status::kStreamCorrupt;
  }
  workers.Run(tasks, RunDecodeTask, &job);
  return job.failed.load(std::memory_order_relaxed) ? Status::kStreamCorrupt : Status::kOk;
}

}  // namespace fmtc
