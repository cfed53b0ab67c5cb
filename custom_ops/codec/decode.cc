#include <atomic>

#include "codec/codec.h"
#include "codec/geometry.h"
#include "codec/row_reader.h"

namespace fmtc {
namespace {

// A job for workers, each of which decodes groups that follow one another.
struct DecodeJob {
  CodedMap map;
  uint8_t* output;
  uint8_t* workspaces;  // one for each
  uint32_t tasks;
  std::atomic<bool> failed;
};

bool DecodeGroups(const DecodeJob& job, uint32_t first, uint32_t end, uint8_t* workspace) {
  const MapPlan& plan = *job.map.plan;
  const size_t row_bytes = OutputRowBytes(*job.map.codec, plan);
  const size_t rows_before = OutputRowsBefore(plan, first);
  size_t rows = OutputRowsBefore(plan, end) - rows_before;
  uint8_t* row = job.output + rows_before * row_bytes;
  RowReader reader(job.map, first, end, workspace, {row, row + rows * row_bytes});
  for (; rows > 0; --rows, row += row_bytes) {
    if (!reader.Read(row)) return false;
  }
  return reader.Finish();
}

void RunDecodeTask(void* argument, uint32_t index) {
  DecodeJob* const job = static_cast<DecodeJob*>(argument);
  const MapPlan& plan = *job->map.plan;
  const uint32_t groups = TotalGroups(plan);
  const uint32_t first = ShareBegin(groups, job->tasks, index);
  const uint32_t end = first + ShareOf(groups, job->tasks, index);
  uint8_t* const workspace = job->workspaces + index * RowReader::WorkspaceSize(*job->map.codec, plan);
  if (!DecodeGroups(*job, first, end, workspace)) job->failed.store(true, std::memory_order_relaxed);
}

}  // namespace

size_t DecodeWorkspaceSize(const Codec& codec, const MapPlan& plan, uint32_t workers) {
  return RowReader::WorkspaceSize(codec, plan) * UsefulWorkers(plan, workers);
}

Status Decode(const Codec& codec, const MapPlan& plan, ElementType type, const uint8_t* input, size_t input_bytes,
              uint8_t* output, size_t output_bytes, uint8_t* workspace, size_t workspace_bytes,
              const Workers& workers) {
  if (output_bytes != plan.decoder_output_bytes) return Status::kInvalidArgument;
  if (plan.batch == 0) return Status::kOk;
  if (workspace_bytes < DecodeWorkspaceSize(codec, plan, workers.count)) return Status::kBufferTooSmall;
  if (output == nullptr || workspace == nullptr) return Status::kInvalidArgument;
  const uint32_t tasks = UsefulWorkers(plan, workers.count);
  DecodeJob job{{}, output, workspace, tasks, {false}};
  const Status status = OpenCodedMap(codec, plan, type, input, input_bytes, &job.map);
  if (status != Status::kOk) return status;
  if (!kHasWorkers || tasks == 1) {
    return DecodeGroups(job, 0, TotalGroups(plan), workspace) ? Status::kOk : Status::kStreamCorrupt;
  }
  workers.Run(tasks, RunDecodeTask, &job);
  return job.failed.load(std::memory_order_relaxed) ? Status::kStreamCorrupt : Status::kOk;
}

}  // namespace fmtc
