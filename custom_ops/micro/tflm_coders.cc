// FMTC_ENCODE and FMTC_DECODE. Side information is a constant of the model, so that all is known when a node is
// prepared; what is made of it lies in the arena's tail, the workspace in its head.
#include "codec/codec.h"
#include "codec/view.h"
#include "micro/tflm_abi.h"
#include "micro/tflm_ops.h"
#include "tflite/op_options.h"

namespace fmtc {
namespace {

constexpr char kEncode[] = "FMTC_ENCODE", kDecode[] = "FMTC_DECODE";
constexpr size_t kCodecAlignment = 64;

// Of one node, in the arena's tail.
struct CoderState {
  OpOptions options;
  const char* options_problem;  // null, or why they cannot be used
  Codec codec;
  MapPlan plan;
  int workspace;  // number of the buffer
  size_t workspace_bytes;
};

// Input tensors of both ops.
enum { kSource = 0, kSideInfo = 1, kTable = 2 };

TfLiteStatus Fail(const char* op, const CoderState& state, const char* problem) {
  MicroPrintf("%s '%s': %s", op, state.options.tensor, problem);
  return kTfLiteError;
}

void* Init(TfLiteContext* context, const char* options, size_t bytes) {
  auto* state = static_cast<CoderState*>(tflm::AllocatePersistent(context, sizeof(CoderState)));
  if (state == nullptr) return nullptr;
  state->options = {};
  state->options_problem = ParseOpOptions(options, bytes, &state->options);
  if (state->options_problem == nullptr && state->options.format_version > kFormatVersion) {
    state->options_problem =
        "its bitstream is newer than this build reads; convert with --disable klt,folding,copies,contexts";
  }
  return state;
}

// The node's state with its codec and the batch's plan, or null.
CoderState* Open(TfLiteContext* context, TfLiteNode* node, const char* op, const TfLiteEvalTensor& batched) {
  auto* state = static_cast<CoderState*>(node->user_data);
  const TfLiteEvalTensor& side = *tflm::GetEvalInput(context, node, kSideInfo);
  if (side.data.uint8 == nullptr || side.type != kTfLiteUInt8) {
    Fail(op, *state, "its side information is no constant; convert the model again");
    return nullptr;
  }
  size_t bytes;
  Status status = CodecMemorySize(side.data.uint8, tflm::Bytes(side), &bytes);
  if (status == Status::kOk) {
    auto* memory = static_cast<uint8_t*>(tflm::AllocatePersistent(context, bytes + kCodecAlignment));
    if (memory == nullptr) {
      Fail(op, *state, "no memory for its tables in the arena");
      return nullptr;
    }
    memory += -reinterpret_cast<uintptr_t>(memory) % kCodecAlignment;
    status = InitCodec(side.data.uint8, tflm::Bytes(side), memory, bytes, &state->codec);
  }
  const OpOptions& options = state->options;
  const int batch = batched.dims->size > 0 ? batched.dims->data[0] : 0;
  if (status == Status::kOk) status = PlanMap(state->codec, batch, options.height, options.width, &state->plan);
  if (status == Status::kOk) {
    status = SetDecoderStride(state->codec, options.stride_height, options.stride_width, &state->plan);
  }
  if (status == Status::kOk) return state;
  Fail(op, *state, StatusMessage(status));
  return nullptr;
}

// Whether the node can be looked at.
TfLiteStatus CheckNode(const TfLiteNode& node, const char* op, int most_inputs) {
  const auto* state = static_cast<const CoderState*>(node.user_data);
  if (state == nullptr) {
    MicroPrintf("%s: no memory for it in the arena", op);
    return kTfLiteError;
  }
  if (node.inputs->size < 2 || node.inputs->size > most_inputs || node.outputs->size != 1) {
    return Fail(op, *state, "it must have 2 inputs and 1 output; convert the model again");
  }
  return state->options_problem == nullptr ? kTfLiteOk : Fail(op, *state, state->options_problem);
}

TfLiteStatus RequestWorkspace(TfLiteContext* context, size_t bytes, CoderState* state) {
  state->workspace_bytes = bytes;
  return tflm::RequestScratch(context, bytes, &state->workspace);
}

TfLiteStatus PrepareEncode(TfLiteContext* context, TfLiteNode* node) {
  if (CheckNode(*node, kEncode, 2) != kTfLiteOk) return kTfLiteError;
  const TfLiteEvalTensor& map = *tflm::GetEvalInput(context, node, kSource);
  const TfLiteEvalTensor& coded = *tflm::GetEvalOutput(context, node, 0);
  CoderState* state = Open(context, node, kEncode, map);
  if (state == nullptr) return kTfLiteError;
  if (tflm::Bytes(map) != state->plan.encoder_input_bytes) return Fail(kEncode, *state, "its map has another size");
  const bool has_levels = state->codec.side_info.max_level > 0;
  if (!has_levels && tflm::Bytes(coded) < state->plan.batch * state->plan.item_capacity) {
    return Fail(kEncode, *state, "its coded tensor is too small; convert the model again");
  }
  return RequestWorkspace(context, EncodeWorkspaceSize(state->codec, state->plan), state);
}

TfLiteStatus InvokeEncode(TfLiteContext* context, TfLiteNode* node) {
  const auto& state = *static_cast<const CoderState*>(node->user_data);
  const TfLiteEvalTensor& map = *tflm::GetEvalInput(context, node, kSource);
  const TfLiteEvalTensor& coded = *tflm::GetEvalOutput(context, node, 0);
  auto* workspace = static_cast<uint8_t*>(tflm::Scratch(context, state.workspace));
  size_t payload_bytes;  // also in the coded tensor's header
  const Status status = Encode(state.codec, state.plan, state.options.type, map.data.uint8, tflm::Bytes(map),
                               coded.data.uint8, tflm::Bytes(coded), &payload_bytes, workspace, state.workspace_bytes);
  return status == Status::kOk ? kTfLiteOk : Fail(kEncode, state, StatusMessage(status));
}

const View* ViewOf(const CoderState& state) { return state.options.has_view ? &state.options.view : nullptr; }

// Bytes that the op writes; 0 if its view does not fit.
size_t DecodedBytes(const CoderState& state) {
  const View* view = ViewOf(state);
  return view == nullptr ? state.plan.decoder_output_bytes
                         : state.plan.batch * ViewItemBytes(state.codec, state.plan, *view);
}

TfLiteStatus PrepareDecode(TfLiteContext* context, TfLiteNode* node) {
  if (CheckNode(*node, kDecode, 3) != kTfLiteOk) return kTfLiteError;
  const TfLiteEvalTensor& coded = *tflm::GetEvalInput(context, node, kSource);
  CoderState* state = Open(context, node, kDecode, coded);
  if (state == nullptr) return kTfLiteError;
  if (coded.type != kTfLiteUInt8)
    return Fail(kDecode, *state, "its coded tensor must be uint8; convert the model again");
  state->options.view.table = nullptr;
  if (node->inputs->size > kTable) {
    const TfLiteEvalTensor& table = *tflm::GetEvalInput(context, node, kTable);
    if (table.data.uint8 == nullptr || tflm::Bytes(table) != kViewTableBytes) {
      return Fail(kDecode, *state, "its table is no constant of 256 bytes; convert the model again");
    }
    state->options.view.table = table.data.uint8;
  }
  const size_t bytes = DecodedBytes(*state);
  if (bytes == 0 || tflm::Bytes(*tflm::GetEvalOutput(context, node, 0)) != bytes) {
    return Fail(kDecode, *state, "its map has another size");
  }
  return RequestWorkspace(context, DecodeWorkspaceSize(state->codec, state->plan, 1, ViewOf(*state)), state);
}

TfLiteStatus InvokeDecode(TfLiteContext* context, TfLiteNode* node) {
  const auto& state = *static_cast<const CoderState*>(node->user_data);
  const TfLiteEvalTensor& coded = *tflm::GetEvalInput(context, node, kSource);
  const TfLiteEvalTensor& map = *tflm::GetEvalOutput(context, node, 0);
  auto* workspace = static_cast<uint8_t*>(tflm::Scratch(context, state.workspace));
  const Status status = Decode(state.codec, state.plan, state.options.type, coded.data.uint8, tflm::Bytes(coded),
                               map.data.uint8, tflm::Bytes(map), workspace, state.workspace_bytes, {}, ViewOf(state));
  return status == Status::kOk ? kTfLiteOk : Fail(kDecode, state, StatusMessage(status));
}

constexpr TFLMRegistration kEncodeRegistration = {Init,    nullptr,           PrepareEncode, InvokeEncode,
                                                  nullptr, tflm::kCustomCode, kEncode};
constexpr TFLMRegistration kDecodeRegistration = {Init,    nullptr,           PrepareDecode, InvokeDecode,
                                                  nullptr, tflm::kCustomCode, kDecode};

}  // namespace
}  // namespace fmtc

const TFLMRegistration* FmtcRegisterEncode() { return &fmtc::kEncodeRegistration; }
const TFLMRegistration* FmtcRegisterDecode() { return &fmtc::kDecodeRegistration; }
