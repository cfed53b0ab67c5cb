#include <algorithm>

#include "base/bytes.h"
#include "tflite/op_state.h"
#include "tflite/register.h"

namespace fmtc {
namespace {

constexpr char kOpName[] = "FMTC_DECODE";

void* Init(TfLiteContext*, const char* options, size_t bytes) { return NewOpState(kOpName, options, bytes); }

// What the op writes of a batch item: [height, width, channels].
void OutputShape(const OpOptions& options, int shape[kViewAxes]) {
  if (options.has_view) {
    std::copy_n(options.view_shape, kViewAxes, shape);
    return;
  }
  shape[0] = static_cast<int>(DivideRoundUp(options.height, options.stride_height));
  shape[1] = static_cast<int>(DivideRoundUp(options.width, options.stride_width));
  shape[2] = options.channels;
}

// Checks that the planned map has all that the view takes, and that its table is one.
TfLiteStatus LoadView(TfLiteContext* context, OpState* state) {
  OpOptions* const options = &state->options;
  if (!options->has_view) return kTfLiteOk;
  uint64_t values = 1;
  for (const int32_t size : options->view_shape) {
    if (!CheckedMultiply(values, static_cast<uint64_t>(size), &values)) values = 0;
  }
  const size_t item_bytes = ViewItemBytes(*state->codec, state->plan, options->view);
  if (item_bytes == 0 || item_bytes != values) {
    return Fail(context, *state, "its view does not fit the map that it decodes; convert the model again");
  }
  options->view.table = nullptr;
  if (state->table < 0) {
    if (options->view_type == options->type) return kTfLiteOk;
    return Fail(context, *state, "its view is of another type and has no table; convert the model again");
  }
  const TfLiteTensor& table = context->tensors[state->table];
  if (table.type != kTfLiteUInt8 || table.allocation_type != kTfLiteMmapRo || table.data.uint8 == nullptr ||
      table.bytes != kViewTableBytes) {
    return Fail(context, *state, "its table must be a constant uint8 tensor of %zu bytes; convert the model again",
                kViewTableBytes);
  }
  options->view.table = table.data.uint8;
  return kTfLiteOk;
}

const View* ViewOf(const OpState& state) { return state.options.has_view ? &state.options.view : nullptr; }

TfLiteStatus Prepare(TfLiteContext* context, TfLiteNode* node) {
  OpState* state = OpenOp(context, node, kOpName);
  if (state == nullptr) return kTfLiteError;
  if (LoadCodec(context, state) != kTfLiteOk) return kTfLiteError;
  const OpOptions& options = state->options;
  if (CheckCodedTensor(context, *state, state->source) != kTfLiteOk) return kTfLiteError;
  int shape[kViewAxes];
  OutputShape(options, shape);
  const ElementType type = options.has_view ? options.view_type : options.type;
  const size_t channels = static_cast<size_t>(shape[2]);
  if (CheckFeatureMap(context, *state, state->output, shape[0], shape[1], channels, type) != kTfLiteOk) {
    return kTfLiteError;
  }
  const int batch = context->tensors[state->source].dims->data[0];
  const int item_capacity = context->tensors[state->source].dims->data[1];
  if (PlanBatch(context, state, batch) != kTfLiteOk) return kTfLiteError;
  if (CheckMostCapacity(context, *state, item_capacity) != kTfLiteOk) return kTfLiteError;
  if (LoadView(context, state) != kTfLiteOk) return kTfLiteError;

  HoldWorkers(*context, state);
  const size_t workspace_bytes = DecodeWorkspaceSize(*state->codec, state->plan, state->workers.count, ViewOf(*state));
  if (RequestWorkspace(context, node, state, workspace_bytes) != kTfLiteOk) return kTfLiteError;
  const int dims[4] = {batch, shape[0], shape[1], shape[2]};
  return ResizeOutput(context, *state, 4, dims);
}

TfLiteStatus Invoke(TfLiteContext* context, TfLiteNode* node) {
  const OpState& state = *static_cast<const OpState*>(node->user_data);
  if (state.codec != nullptr && state.plan.batch == 0) return kTfLiteOk;
  if (CheckMemory(context, state) != kTfLiteOk) return kTfLiteError;
  const TfLiteTensor& coded = context->tensors[state.source];
  const TfLiteTensor& map = context->tensors[state.output];
  const TfLiteTensor& workspace = context->tensors[state.workspace];
  const Status status =
      Decode(*state.codec, state.plan, state.options.type, coded.data.uint8, coded.bytes, map.data.uint8, map.bytes,
             workspace.data.uint8, workspace.bytes, state.workers, ViewOf(state));
  if (status == Status::kOk) return kTfLiteOk;
  return Fail(context, state, "cannot decode: %s", StatusMessage(status));
}

TfLiteRegistration g_registration = MakeRegistration(kOpName, Init, Prepare, Invoke);

}  // namespace
}  // namespace fmtc

TfLiteRegistration* FmtcRegisterDecode(void) { return &fmtc::g_registration; }
