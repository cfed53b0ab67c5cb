#include "base/bytes.h"
#include "tflite/op_state.h"
#include "tflite/register.h"

namespace fmtc {
namespace {

constexpr char kOpName[] = "FMTC_DECODE";

void* Init(TfLiteContext*, const char* options, size_t bytes) { return NewOpState(kOpName, options, bytes); }

TfLiteStatus Prepare(TfLiteContext* context, TfLiteNode* node) {
  OpState* state = OpenOp(context, node, kOpName);
  if (state == nullptr) return kTfLiteError;
  if (LoadCodec(context, state) != kTfLiteOk) return kTfLiteError;
  const OpOptions& options = state->options;
  if (CheckCodedTensor(context, *state, state->source) != kTfLiteOk) return kTfLiteError;
  const size_t channels = static_cast<size_t>(options.channels);
  const int height = static_cast<int>(DivideRoundUp(options.height, options.stride_height));
  const int width = static_cast<int>(DivideRoundUp(options.width, options.stride_width));
  if (CheckFeatureMap(context, *state, state->output, height, width, channels) != kTfLiteOk) return kTfLiteError;
  const int batch = context->tensors[state->source].dims->data[0];
  const int item_capacity = context->tensors[state->source].dims->data[1];
  if (PlanBatch(context, state, batch) != kTfLiteOk) return kTfLiteError;
  if (CheckMostCapacity(context, *state, item_capacity) != kTfLiteOk) return kTfLiteError;

  HoldWorkers(*context, state);
  const size_t workspace_bytes = DecodeWorkspaceSize(*state->codec, state->plan, state->workers.count);
  if (RequestWorkspace(context, node, state, workspace_bytes) != kTfLiteOk) return kTfLiteError;
  const int dims[4] = {batch, height, width, options.channels};
  return ResizeOutput(context, *state, 4, dims);
}

TfLiteStatus Invoke(TfLiteContext* context, TfLiteNode* node) {
  const OpState& state = *static_cast<const OpState*>(node->user_data);
  if (state.codec != nullptr && state.plan.batch == 0) return kTfLiteOk;
  if (CheckMemory(context, state) != kTfLiteOk) return kTfLiteError;
  const TfLiteTensor& coded = context->tensors[state.source];
  const TfLiteTensor& map = context->tensors[state.output];
  const TfLiteTensor& workspace = context->tensors[state.workspace];
  const Status status = Decode(*state.codec, state.plan, state.options.type, coded.data.uint8, coded.bytes,
                               map.data.uint8, map.bytes, workspace.data.uint8, workspace.bytes, state.workers);
  if (status == Status::kOk) return kTfLiteOk;
  return Fail(context, state, "cannot decode: %s", StatusMessage(status));
}

TfLiteRegistration g_registration = MakeRegistration(kOpName, Init, Prepare, Invoke);

}  // namespace
}  // namespace fmtc

TfLiteRegistration* FmtcRegisterDecode(void) { return &fmtc::g_registration; }
