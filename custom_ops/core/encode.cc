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
  bool predicts_values;
  const uint8_t* input_end;
};

size_t InputRowBytes(const Encoder& e) { return size_t{e.plan->width} * e.codec->side_info.EncoderChannels(); }

// Residuals of a row that follows another one in the input, unless it is the first of a group.
void PredictRow(Encoder* e, bool is_first, const uint8_t* input, uint8_t* residuals) {
  const Codec& codec = *e->codec;
  const uint8_t* const codes = codec.side_info.component_codes;
  if (!kSmall && e->predicts_values) {
    // Kernels read behind a row, and behind the last one there is nothing.
    const uint8_t* row = input;
    if (static_cast<size_t>(e->input_end - input) < e->plan->row_values + kValueSlack) {
      MoveBytes(e->indices[0], input, e->plan->row_values);
      row = e->indices[0];
    }
    const uint8_t* const above = is_first ? nullptr : input - e->plan->row_values;
    codec.kernels->residuals_of_row(e->shape, codes, above, row, residuals);
    return;
  }
  AnalyzeRow(e->analysis, e->plan->width, input, e->indices[0]);
  codec.kernels->residuals_of_row(e->shape, codes, is_first ? nullptr : e->indices[1], e->indices[0], residuals);
  std::swap(e->indices[0], e->indices[1]);
}

void PrepareSegment(Encoder* e, uint32_t rows, bool starts_group, const uint8_t* input) {
  const Codec& codec = *e->codec;
  uint8_t* row = e->rows;
  for (uint32_t y = 0; y < rows; ++y, input += InputRowBytes(*e), row += e->plan->row_values) {
    if (codec.has_prediction) {
      PredictRow(e, starts_group && y == 0, input, row);
    } else {
      AnalyzeRow(e->analysis, e->plan->width, input, row);
    }
  }
  const PlaneShape planes{e->shape.components, size_t{rows} * e->plan->width};
  codec.kernels->pixels_to_planes(planes, codec.place, e->rows, e->residuals);
}

// A job for workers, each of which encodes groups that follow one another.
struct EncodeJob {
  const Codec* codec;
  const MapPlan* plan;
  ElementType type;
  uint32_t level;
  const uint8_t* input;
  uint8_t* output;
  size_t capacity;
  uint8_t* workspaces;  // EncodeWorkspaceSize for one worker each
  uint32_t tasks;

  uint32_t FirstGroup(uint32_t task) const { return kSmall ? 0 : ShareBegin(TotalGroups(*plan), tasks, task); }
  size_t RowsBefore(uint32_t group) const {
    if (kSmall) return 0;
    const GroupBegin begin(*plan, group);
    return size_t{begin.item} * plan->height + begin.row;
  }
  // Where the segments of a task go at first: where they would be if all were raw.
  size_t TaskBegin(uint32_t task) const {
    if (kSmall || task == 0) return kCodedHeaderBytes + SegmentTableBytes(*plan);
    if (task == tasks) return capacity;
    return kCodedHeaderBytes + SegmentTableBytes(*plan) + RowsBefore(FirstGroup(task)) * plan->row_values;
  }
};

// Encodes groups into output[used .. end) and their lengths into the table; where they end, or 0 if they do not fit.
size_t EncodeGroups(const EncodeJob& job, uint32_t first, uint32_t end_group, size_t used, size_t end, Encoder* e) {
  const MapPlan& plan = *job.plan;
  const GroupBegin begin(plan, first);
  const uint8_t* input = job.input + job.RowsBefore(first) * InputRowBytes(*e);
  uint8_t* entry = job.output + kCodedHeaderBytes + sizeof(uint32_t) * size_t{begin.segment};
  for (SegmentWalk walk(plan, first, end_group); !walk.done(); walk.Next(), entry += sizeof(uint32_t)) {
    PrepareSegment(e, walk.rows(), walk.starts_group(), input);
    input += walk.rows() * InputRowBytes(*e);
    const SegmentShape shape{e->codec, size_t{walk.rows()} * plan.width};
    const size_t bytes = EncodeSegment(shape, e->residuals, e->rows, job.output + used, end - used);
    if (bytes == 0) return 0;
    Store(entry, static_cast<uint32_t>(bytes));
    used += bytes;
  }
  return used;
}

// Moves the segments of all tasks to one another; the payload's length. A task has no more bytes than its part of the
// output, whatever the table says meanwhile.
size_t JoinTasks(const EncodeJob& job) {
  const uint8_t* const table = job.output + kCodedHeaderBytes;
  size_t used = job.TaskBegin(0);
  uint32_t segment = 0;
  for (uint32_t task = 0; task < job.tasks; ++task) {
    const uint32_t end = task + 1 == job.tasks ? job.plan->batch * job.plan->segments_per_item
                                               : GroupBegin(*job.plan, job.FirstGroup(task + 1)).segment;
    size_t bytes = 0;
    for (; segment < end; ++segment) bytes += Load<uint32_t>(table + sizeof(uint32_t) * size_t{segment});
    const size_t most = job.TaskBegin(task + 1) - job.TaskBegin(task);
    if (bytes > most) bytes = most;
    if (task > 0) memmove(job.output + used, job.output + job.TaskBegin(task), bytes);
    used += bytes;
  }
  return used;
}

Encoder MakeEncoder(const EncodeJob& job, uint32_t task) {
  const Codec& codec = *job.codec;
  const MapPlan& plan = *job.plan;
  uint8_t* const workspace = job.workspaces + task * EncodeWorkspaceSize(codec, plan, 1);
  Encoder e;
  e.codec = &codec;
  e.plan = &plan;
  e.shape = {plan.width, codec.side_info.components, 0};
  e.residuals = workspace;
  e.rows = e.residuals + MaxSegmentValues(plan) + kValueSlack;
  e.indices[0] = e.rows + MaxSegmentValues(plan) + kValueSlack;
  e.indices[1] = e.indices[0] + plan.row_values + kValueSlack;
  InitAnalysis(codec, job.type, job.level, e.indices[1] + plan.row_values + kValueSlack, &e.analysis);
  e.predicts_values = CanPredictValues(codec, plan, job.level);
  if (e.predicts_values) e.shape.offset = ValueOffset(codec, job.type);
  e.input_end = job.input + plan.encoder_input_bytes;
  return e;
}

// With the room that is always enough this cannot fail.
void RunEncodeTask(void* argument, uint32_t task) {
  const EncodeJob& job = *static_cast<const EncodeJob*>(argument);
  Encoder encoder = MakeEncoder(job, task);
  const uint32_t first = job.FirstGroup(task);
  const uint32_t end = first + ShareOf(TotalGroups(*job.plan), job.tasks, task);
  EncodeGroups(job, first, end, job.TaskBegin(task), job.TaskBegin(task + 1), &encoder);
}

// Encodes everything behind the output's header; the payload's length, or 0 if it exceeds the capacity.
size_t EncodeLevel(const EncodeJob& job) {
  const size_t begin = job.TaskBegin(0);
  if (job.capacity < begin) return 0;
  Encoder encoder = MakeEncoder(job, 0);
  return EncodeGroups(job, 0, TotalGroups(*job.plan), begin, job.capacity, &encoder);
}

}  // namespace

size_t EncodeWorkspaceSize(const Codec& codec, const MapPlan& plan, uint32_t workers) {
  const size_t bytes = 2 * (MaxSegmentValues(plan) + plan.row_values + 2 * kValueSlack) + AnalysisMemorySize(codec);
  return bytes * UsefulWorkers(plan, workers);
}

Status Encode(const Codec& codec, const MapPlan& plan, ElementType type, const uint8_t* input, size_t input_bytes,
              uint8_t* output, size_t capacity, size_t* payload_bytes, uint8_t* workspace, size_t workspace_bytes,
              const Workers& workers) {
  if (payload_bytes == nullptr || input_bytes != plan.encoder_input_bytes) return Status::kInvalidArgument;
  *payload_bytes = 0;
  if (plan.batch == 0) return Status::kOk;
  const uint32_t constant_level = codec.side_info.max_level;
  const size_t enough = plan.batch * plan.item_capacity;
  if (capacity < (constant_level > 0 ? kCodedHeaderBytes : enough)) return Status::kBufferTooSmall;
  if (workspace_bytes < EncodeWorkspaceSize(codec, plan, workers.count)) return Status::kBufferTooSmall;
  if (input == nullptr || output == nullptr || workspace == nullptr) return Status::kInvalidArgument;

  EncodeJob job{&codec, &plan, type, 0, input, output, capacity, workspace, 1};
  size_t used = 0;
  job.tasks = capacity >= enough ? UsefulWorkers(plan, workers.count) : 1;
  if (!kSmall && job.tasks > 1) {
    // Level 0 fits, and every task has its own part of the output.
    workers.Run(job.tasks, RunEncodeTask, &job);
    used = JoinTasks(job);
  } else {
    do {
      used = constant_level > 0 && job.level == constant_level ? kCodedHeaderBytes : EncodeLevel(job);
    } while (used == 0 && job.level++ < constant_level);
  }
  WriteCodedHeader(codec, {job.level, static_cast<uint32_t>(used)}, output);
  *payload_bytes = used;
  return Status::kOk;
}

}  // namespace fmtc
