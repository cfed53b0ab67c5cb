#include <atomic>

#include "codec/codec.h"
#include "codec/geometry.h"
#include "codec/row_reader.h"
#include "codec/view.h"

namespace fmtc {
namespace {

// A job for workers, each of which decodes groups that follow one another.
struct DecodeJob {
  CodedMap map;
  uint8_t* output;
  uint8_t* workspaces;  // one for each
  size_t workspace_bytes;
  const ViewWriter* view;  // null: the map as it is
  bool keeps_values;       // of the view: no table
  uint32_t tasks;
  std::atomic<bool> failed;
};

// Of one worker: a view whose rows are not decoded in their places has a row to itself.
size_t WorkerBytes(const Codec& codec, const MapPlan& plan, const View* view) {
  const size_t bytes = RowReader::WorkspaceSize(codec, plan);
  const bool needs_row = kHasViews && view != nullptr && !ViewWriter(codec, plan, *view).is_in_place();
  return needs_row ? bytes + OutputRowBytes(codec, plan) : bytes;
}

// Decodes the rows of groups, each to where the view has it.
bool DecodeViewGroups(const DecodeJob& job, uint32_t first, uint32_t group_end, uint8_t* workspace) {
  const MapPlan& plan = *job.map.plan;
  const ViewWriter& view = *job.view;
  const uint32_t height = OutputHeight(plan);
  const size_t row_bytes = OutputRowBytes(*job.map.codec, plan);
  uint8_t* const spare = workspace + RowReader::WorkspaceSize(*job.map.codec, plan);
  const auto item_of = [&](size_t row) { return job.output + row / height * view.item_bytes(); };
  const auto place_of = [&](size_t row) { return item_of(row) + view.Place(static_cast<uint32_t>(row % height)); };
  size_t row = OutputRowsBefore(plan, first);
  const size_t end = OutputRowsBefore(plan, group_end);
  RowsInOrder in_order{};
  if (view.is_in_place() && job.keeps_values && row < end) {
    in_order = {place_of(row), place_of(end - 1) + row_bytes, view.row_stride()};
  }
  RowReader reader(job.map, first, group_end, workspace, in_order);
  for (; row < end; ++row) {
    const uint32_t y = static_cast<uint32_t>(row % height);
    uint8_t* const values = view.is_in_place() ? place_of(row) : spare;
    if (!reader.Read(values)) return false;
    if (view.is_in_place()) {
      view.FinishRow(y, item_of(row));
    } else if (view.Has(y)) {
      view.WriteRow(y, values, item_of(row));
    }
  }
  return reader.Finish();
}

bool DecodeGroups(const DecodeJob& job, uint32_t first, uint32_t end, uint8_t* workspace) {
  if (kHasViews && job.view != nullptr) return DecodeViewGroups(job, first, end, workspace);
  const MapPlan& plan = *job.map.plan;
  const size_t row_bytes = OutputRowBytes(*job.map.codec, plan);
  const size_t rows_before = OutputRowsBefore(plan, first);
  size_t rows = OutputRowsBefore(plan, end) - rows_before;
  uint8_t* row = job.output + rows_before * row_bytes;
  RowReader reader(job.map, first, end, workspace, {row, row + rows * row_bytes, row_bytes});
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
  uint8_t* const workspace = job->workspaces + index * job->workspace_bytes;
  if (!DecodeGroups(*job, first, end, workspace)) job->failed.store(true, std::memory_order_relaxed);
}

Status RunDecodeTasks(const Workers& workers, DecodeJob* job) {
  if (!kHasWorkers || job->tasks == 1) {
    const bool is_whole = DecodeGroups(*job, 0, TotalGroups(*job->map.plan), job->workspaces);
    return is_whole ? Status::kOk : Status::kStreamCorrupt;
  }
  workers.Run(job->tasks, RunDecodeTask, job);
  return job->failed.load(std::memory_order_relaxed) ? Status::kStreamCorrupt : Status::kOk;
}

}  // namespace

FMTC_SELDOM size_t DecodeWorkspaceSize(const Codec& codec, const MapPlan& plan, uint32_t workers, const View* view) {
  return WorkerBytes(codec, plan, view) * UsefulWorkers(plan, workers);
}

FMTC_SELDOM Status Decode(const Codec& codec, const MapPlan& plan, ElementType type, const uint8_t* input,
                          size_t input_bytes, uint8_t* output, size_t output_bytes, uint8_t* workspace,
                          size_t workspace_bytes, const Workers& workers, const View* view) {
  const bool has_view = kHasViews && view != nullptr;
  const size_t item_bytes = has_view ? ViewItemBytes(codec, plan, *view) : 0;
  if (has_view && item_bytes == 0) return Status::kInvalidArgument;
  if (output_bytes != (has_view ? plan.batch * item_bytes : plan.decoder_output_bytes)) return Status::kInvalidArgument;
  if (plan.batch == 0) return Status::kOk;
  if (workspace_bytes < DecodeWorkspaceSize(codec, plan, workers.count, view)) return Status::kBufferTooSmall;
  if (output == nullptr || workspace == nullptr) return Status::kInvalidArgument;
  const uint32_t tasks = UsefulWorkers(plan, workers.count);
  DecodeJob job{{}, output, workspace, WorkerBytes(codec, plan, view), nullptr, true, tasks, {false}};
  const Status status = OpenCodedMap(codec, plan, type, input, input_bytes, &job.map);
  if (status != Status::kOk) return status;
  if (!has_view) return RunDecodeTasks(workers, &job);
  const ViewWriter writer(codec, plan, *view);
  job.view = &writer;
  job.keeps_values = view->table == nullptr;
  if (writer.fills_first()) memset(output, view->border, output_bytes);
  return RunDecodeTasks(workers, &job);
}

}  // namespace fmtc
