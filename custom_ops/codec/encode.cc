#include "base/bytes.h"
#include "codec/codec.h"
#include "codec/geometry.h"
#include "codec/row_writer.h"

namespace fmtc {
namespace {

// A job for workers, each of which encodes groups that follow one another.
struct EncodeJob {
  MapToCode map;
  const uint8_t* input;
  uint8_t* workspaces;  // one for each
  uint32_t tasks;

  uint32_t FirstGroup(uint32_t task) const { return ShareBegin(TotalGroups(*map.plan), tasks, task); }
  // Where the segments of a task go at first: where they would be if all were raw.
  size_t TaskBegin(uint32_t task) const {
    if (!kHasWorkers || task == 0) return FirstSegmentAt(*map.plan);
    if (task == tasks) return map.capacity;
    return FirstSegmentAt(*map.plan) + InputRowsBefore(*map.plan, FirstGroup(task)) * map.plan->row_values;
  }
};

// Encodes groups into coded[at .. room_end); where they end, or 0 if they do not fit.
size_t EncodeGroups(const EncodeJob& job, uint32_t first, uint32_t end, size_t at, size_t room_end,
                    uint8_t* workspace) {
  const MapPlan& plan = *job.map.plan;
  const size_t row_bytes = InputRowBytes(*job.map.codec, plan);
  const size_t rows_before = InputRowsBefore(plan, first);
  const uint8_t* row = job.input + rows_before * row_bytes;
  RowWriter writer(job.map, first, end, at, room_end, workspace,
                   {row, job.input + plan.encoder_input_bytes, row_bytes});
  for (size_t rows = InputRowsBefore(plan, end) - rows_before; rows > 0; --rows, row += row_bytes) {
    if (!writer.Write(row)) return 0;
  }
  return writer.at();
}

// Moves the segments of all tasks to one another; the payload's length. A task has no more bytes than its part of the
// output, whatever the table says meanwhile.
size_t JoinTasks(const EncodeJob& job) {
  const uint8_t* const table = job.map.coded + kCodedHeaderBytes;
  size_t used = job.TaskBegin(0);
  uint32_t segment = 0;
  for (uint32_t task = 0; task < job.tasks; ++task) {
    const uint32_t end = task + 1 == job.tasks ? job.map.plan->batch * job.map.plan->segments_per_item
                                               : GroupBegin(*job.map.plan, job.FirstGroup(task + 1)).segment;
    size_t bytes = 0;
    for (; segment < end; ++segment) bytes += Load<uint32_t>(table + sizeof(uint32_t) * size_t{segment});
    const size_t most = job.TaskBegin(task + 1) - job.TaskBegin(task);
    if (bytes > most) bytes = most;
    if (task > 0) MoveBytes(job.map.coded + used, job.map.coded + job.TaskBegin(task), bytes);
    used += bytes;
  }
  return used;
}

// With the room that is always enough this cannot fail.
void RunEncodeTask(void* argument, uint32_t task) {
  const EncodeJob& job = *static_cast<const EncodeJob*>(argument);
  const uint32_t first = job.FirstGroup(task);
  const uint32_t end = first + ShareOf(TotalGroups(*job.map.plan), job.tasks, task);
  uint8_t* const workspace = job.workspaces + task * RowWriter::WorkspaceSize(*job.map.codec, *job.map.plan);
  EncodeGroups(job, first, end, job.TaskBegin(task), job.TaskBegin(task + 1), workspace);
}

// Encodes everything behind the output's header; the payload's length, or 0 if it exceeds the capacity.
size_t EncodeLevel(const EncodeJob& job) {
  const size_t begin = FirstSegmentAt(*job.map.plan);
  if (job.map.capacity < begin) return 0;
  return EncodeGroups(job, 0, TotalGroups(*job.map.plan), begin, job.map.capacity, job.workspaces);
}

}  // namespace

FMTC_SELDOM size_t EncodeWorkspaceSize(const Codec& codec, const MapPlan& plan, uint32_t workers) {
  return RowWriter::WorkspaceSize(codec, plan) * UsefulWorkers(plan, workers);
}

FMTC_SELDOM Status Encode(const Codec& codec, const MapPlan& plan, ElementType type, const uint8_t* input,
                          size_t input_bytes, uint8_t* output, size_t capacity, size_t* payload_bytes,
                          uint8_t* workspace, size_t workspace_bytes, const Workers& workers) {
  if (payload_bytes == nullptr || input_bytes != plan.encoder_input_bytes) return Status::kInvalidArgument;
  *payload_bytes = 0;
  if (plan.batch == 0) return Status::kOk;
  const uint32_t constant_level = codec.side_info.max_level;
  const size_t enough = plan.batch * plan.item_capacity;
  if (capacity < (constant_level > 0 ? kCodedHeaderBytes : enough)) return Status::kBufferTooSmall;
  if (workspace_bytes < EncodeWorkspaceSize(codec, plan, workers.count)) return Status::kBufferTooSmall;
  if (input == nullptr || output == nullptr || workspace == nullptr) return Status::kInvalidArgument;

  EncodeJob job{{&codec, &plan, type, 0, output, capacity}, input, workspace, 1};
  size_t used = 0;
  // Workers that wrote into each other's workspaces could not trust what they have there.
  const bool are_apart = kHasWorkers && !Overlap(output, capacity, workspace, workspace_bytes);
  job.tasks = are_apart && capacity >= enough ? UsefulWorkers(plan, workers.count) : 1;
  if (kHasWorkers && job.tasks > 1) {
    // Level 0 fits, and every task has its own part of the output.
    workers.Run(job.tasks, RunEncodeTask, &job);
    used = JoinTasks(job);
  } else {
    do {
      used = constant_level > 0 && job.map.level == constant_level ? kCodedHeaderBytes : EncodeLevel(job);
    } while (used == 0 && job.map.level++ < constant_level);
  }
  FinishCodedMap(job.map, used);
  *payload_bytes = used;
  return Status::kOk;
}

}  // namespace fmtc
