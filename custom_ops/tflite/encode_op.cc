#include "tflite/op_state.h"
#include "tflite/register.h"

namespace fmtc {
namespace {

constexpr char kOpName[] = "FMTC_ENCODE";
constexpr size_t kMinItemCapacity = 16;  // with levels: the header always fits

void* Init(TfLiteContext*, const char* options, size_t bytes) { return NewOpState(kOpName, options, bytes); }

// [N, item capacity]: the converter chose the capacity, the batch is followed.
TfLiteStatus CheckCapacity(TfLiteContext* context, const OpState& state, size_t item_capacity) {
  const bool has_levels = state.codec->side_info.max_level > 0;
  const size_t needed = has_levels ? kMinItemCapacity : state.plan.item_capacity;
  if (item_capacity >= needed) return kTfLiteOk;
  return Fail(context, state, "its coded tensor has %zu bytes per item, needs %zu; convert the model again",
              item_capacity, needed);
}

TfLiteStatus Prepare(TfLiteContext* context, TfLiteNode* node) {
  OpState* state = OpenOp(context, node, kOpName);
  if (state == nullptr) return kTfLiteError;
  if (LoadCodec(context, state) != kTfLiteOk) return kTfLiteError;
  const size_t channels = state->codec->side_info.EncoderChannels();
  const OpOptions& options = state->options;
  if (CheckFeatureMap(context, *state, state->source, options.height, options.width, channels, options.type) !=
      kTfLiteOk) {
    return kTfLiteError;
  }
  if (CheckCodedTensor(context, *state, state->output) != kTfLiteOk) return kTfLiteError;
  const int batch = context->tensors[state->source].dims->data[0];
  const int item_capacity = context->tensors[state->output].dims->data[1];
  if (PlanBatch(context, state, batch) != kTfLiteOk) return kTfLiteError;
  if (CheckCapacity(context, *state, static_cast<size_t>(item_capacity)) != kTfLiteOk) return kTfLiteError;
  if (CheckMostCapacity(context, *state, item_capacity) != kTfLiteOk) return kTfLiteError;

  HoldWorkers(*context, state);
  const size_t workspace_bytes = EncodeWorkspaceSize(*state->codec, state->plan, state->workers.count);
  if (RequestWorkspace(context, node, state, workspace_bytes) != kTfLiteOk) return kTfLiteError;
  const int dims[2] = {batch, item_capacity};
  return ResizeOutput(context, *state, 2, dims);
}

TfLiteStatus Invoke(TfLiteContext* context, TfLiteNode* node) {
  const OpState& state = *static_cast<const OpState*>(node->user_data);
  if (state.codec != nullptr && state.plan.batch == 0) return kTfLiteOk;
  if (CheckMemory(context, state) != kTfLiteOk) return kTfLiteError;
  const TfLiteTensor& map = context->tensors[state.source];
  const TfLiteTensor& coded = context->tensors[state.output];
  const TfLiteTensor& workspace = context->tensors[state.workspace];
  size_t payload_bytes;  // also in the coded tensor's header
  const Status status =
      Encode(*state.codec, state.plan, state.options.type, map.data.uint8, map.bytes, coded.data.uint8, coded.bytes,
             &payload_bytes, workspace.data.uint8, workspace.bytes, state.workers);
  if (status == Status::kOk) return kTfLiteOk;
  return Fail(context, state, "cannot encode: %s", StatusMessage(status));
}

TfLiteRegistration g_registration = MakeRegistration(kOpName, Init, Prepare, Invoke);

}  // namespace
}  // namespace fmtc

TfLiteRegistration* FmtcRegisterEncode(void) { return &fmtc::g_registration; }
