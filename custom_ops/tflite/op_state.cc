#include "tflite/op_state.h"

#include <climits>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <type_traits>

#include "tflite/node.h"
#include "tflite/shared_codec.h"
#include "tflite/thread_pool.h"

namespace fmtc {
namespace {

static_assert(std::is_trivially_copyable<OpState>::value, "it is allocated with calloc");

constexpr size_t kVersionOffset = 4;  // of the format version in side information

// Takes the tensor indices from the node: two inputs, with a view perhaps its table, and one output.
bool BindTensors(const TfLiteContext& context, const TfLiteNode& node, OpState* state) {
  const int most = kHasViews && state->options.has_view ? 3 : 2;
  if (node.inputs == nullptr || node.inputs->size < 2 || node.inputs->size > most) return false;
  if (node.outputs == nullptr || node.outputs->size != 1) return false;
  state->source = node.inputs->data[0];
  state->side_info = node.inputs->data[1];
  state->table = node.inputs->size == 3 ? node.inputs->data[2] : -1;
  state->output = node.outputs->data[0];
  return IsTensorIndex(&context, state->source) && IsTensorIndex(&context, state->side_info) &&
         (node.inputs->size == 2 || IsTensorIndex(&context, state->table)) && IsTensorIndex(&context, state->output);
}

// The name of the op's feature map, for messages.
void PrintTensorName(TfLiteContext* context, const OpState& state, char* out, size_t capacity) {
  const char* name = state.options.tensor;
  if (name[0] == '\0' && IsTensorIndex(context, state.output)) name = context->tensors[state.output].name;
  if (name == nullptr) name = "";
  CopyPrintable(name, std::strlen(name), out, capacity);
}

TfLiteStatus FailNewer(TfLiteContext* context, const OpState& state, int version) {
  return Fail(context, state,
              "written by a newer version of fmtc-tflite (format %d, this library reads up to %d); update fmtc-tflite",
              version, kFormatVersion);
}

TfLiteStatus FailSideInfo(TfLiteContext* context, const OpState& state, const TfLiteTensor& tensor, Status status) {
  if (status == Status::kSideInfoVersion) return FailNewer(context, state, tensor.data.uint8[kVersionOffset]);
  if (status == Status::kOutOfMemory || status == Status::kCpuLevel) {
    return Fail(context, state, "%s", StatusMessage(status));
  }
  return Fail(context, state, "%s; convert the model again", StatusMessage(status));
}

}  // namespace

OpState* NewOpState(const char* op_name, const void* options, size_t options_bytes) {
  auto* state = static_cast<OpState*>(std::calloc(1, sizeof(OpState)));
  if (state == nullptr) return nullptr;
  state->op_name = op_name;
  state->options_problem = ParseOpOptions(options, options_bytes, &state->options);
  state->source = state->side_info = state->table = state->output = state->workspace = -1;
  state->workers = {};
  return state;
}

void FreeOpState(TfLiteContext*, void* state) {
  if (state == nullptr) return;
  ReleaseThreadPool(static_cast<OpState*>(state)->workers);
  ReleaseCodec(static_cast<OpState*>(state)->codec);
  std::free(state);
}

TfLiteStatus Fail(TfLiteContext* context, const OpState& state, const char* format, ...) {
  char message[384];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(message, sizeof(message), format, arguments);
  va_end(arguments);
  char name[sizeof(state.options.tensor)];
  PrintTensorName(context, state, name, sizeof(name));
  // The runtimes' Python packages put messages together as they are, and another one follows.
  context->ReportError(context, "%s '%s': %s\n", state.op_name, name, message);
  return kTfLiteError;
}

OpState* OpenOp(TfLiteContext* context, TfLiteNode* node, const char* op_name) {
  auto* state = static_cast<OpState*>(node->user_data);
  if (state == nullptr) {
    context->ReportError(context, "%s: out of memory\n", op_name);
    return nullptr;
  }
  if (!BindTensors(*context, *node, state)) {
    Fail(context, *state, "it must have 2 inputs and 1 output; convert the model again");
    return nullptr;
  }
  if (IsReadOnly(context->tensors[state->output])) {
    Fail(context, *state, "its output is a constant of the model; convert the model again");
    return nullptr;
  }
  if (state->output == state->source || state->output == state->side_info || state->output == state->table) {
    Fail(context, *state, "its output is one of its inputs; convert the model again");
    return nullptr;
  }
  if (state->options_problem != nullptr) {
    Fail(context, *state, "%s; convert the model again", state->options_problem);
    return nullptr;
  }
  if (state->options.format_version > kFormatVersion) {
    FailNewer(context, *state, state->options.format_version);
    return nullptr;
  }
  return state;
}

TfLiteStatus LoadCodec(TfLiteContext* context, OpState* state) {
  const TfLiteTensor& tensor = context->tensors[state->side_info];
  if (tensor.type != kTfLiteUInt8 || tensor.allocation_type != kTfLiteMmapRo || tensor.data.uint8 == nullptr) {
    return Fail(context, *state, "its side information must be a constant uint8 tensor; convert the model again");
  }
  // Held before the former one is released: it is the same one as a rule.
  const Codec* const former = state->codec;
  const Status status = HoldCodec(context, tensor.data.uint8, tensor.bytes, &state->codec);
  if (status != Status::kOk) return FailSideInfo(context, *state, tensor, status);
  ReleaseCodec(former);
  const uint32_t channels = state->codec->side_info.channels;
  if (channels != static_cast<uint32_t>(state->options.channels)) {
    return Fail(context, *state, "its options say %d channels, its side information %u; convert the model again",
                state->options.channels, channels);
  }
  return kTfLiteOk;
}

TfLiteStatus CheckFeatureMap(TfLiteContext* context, const OpState& state, int index, int height, int width,
                             size_t channels, ElementType element_type) {
  const TfLiteTensor& tensor = context->tensors[index];
  const TfLiteType type = element_type == ElementType::kInt8 ? kTfLiteInt8 : kTfLiteUInt8;
  if (tensor.type != type) {
    return Fail(context, state, "converted for %s, got %s; reconvert the model for this type", TypeName(type),
                TypeName(tensor.type));
  }
  const TfLiteIntArray* dims = tensor.dims;
  if (dims == nullptr || dims->size != 4 || dims->data[0] < 0 || dims->data[1] != height || dims->data[2] != width ||
      dims->data[3] < 0 || static_cast<size_t>(dims->data[3]) != channels) {
    char got[96];
    PrintDims(dims, got, sizeof(got));
    return Fail(context, state, "converted for [*,%d,%d,%zu], got %s; reconvert the model for this size", height, width,
                channels, got);
  }
  return kTfLiteOk;
}

TfLiteStatus CheckCodedTensor(TfLiteContext* context, const OpState& state, int index) {
  const TfLiteTensor& tensor = context->tensors[index];
  const TfLiteIntArray* dims = tensor.dims;
  if (tensor.type != kTfLiteUInt8 || dims == nullptr || dims->size != 2 || dims->data[0] < 0 || dims->data[1] < 1) {
    char got[96];
    PrintDims(dims, got, sizeof(got));
    return Fail(context, state, "its coded tensor must be uint8 [batch, bytes], got %s %s; convert the model again",
                TypeName(tensor.type), got);
  }
  return kTfLiteOk;
}

TfLiteStatus CheckMostCapacity(TfLiteContext* context, const OpState& state, int item_capacity) {
  // Generous; a size that only exhausts memory is nobody's choice.
  const uint64_t most = 2 * uint64_t{state.plan.item_capacity};
  if (static_cast<uint64_t>(item_capacity) <= most) return kTfLiteOk;
  return Fail(context, state,
              "its coded tensor has %d bytes per item, a map of its shape needs at most %zu; "
              "convert the model again",
              item_capacity, state.plan.item_capacity);
}

void HoldWorkers(const TfLiteContext& context, OpState* state) {
  const Workers before = state->workers;
  state->workers = HoldThreadPool(context.recommended_num_threads);
  ReleaseThreadPool(before);
}

TfLiteStatus PlanBatch(TfLiteContext* context, OpState* state, int batch) {
  const OpOptions& options = state->options;
  Status status = PlanMap(*state->codec, batch, options.height, options.width, &state->plan);
  if (status == Status::kOk) {
    status = SetDecoderStride(*state->codec, options.stride_height, options.stride_width, &state->plan);
  }
  if (status == Status::kOk) return kTfLiteOk;
  return Fail(context, *state, "cannot code [%d,%d,%d,%d]: %s; use a smaller batch", batch, options.height,
              options.width, options.channels, StatusMessage(status));
}

TfLiteStatus RequestWorkspace(TfLiteContext* context, TfLiteNode* node, OpState* state, size_t bytes) {
  if (bytes > INT_MAX) return Fail(context, *state, "needs a workspace of %zu bytes; use a smaller batch", bytes);
  if (RequestTemporary(context, node, bytes, &state->workspace)) return kTfLiteOk;
  return Fail(context, *state, "cannot have its workspace of %zu bytes", bytes);
}

TfLiteStatus ResizeOutput(TfLiteContext* context, const OpState& state, int rank, const int* dims) {
  if (ResizeTensor(context, state.output, rank, dims)) return kTfLiteOk;
  return Fail(context, state, "cannot resize its output");
}

TfLiteStatus CheckMemory(TfLiteContext* context, const OpState& state) {
  const int indices[] = {state.output, state.workspace, state.source, state.side_info, state.table};
  const int count = state.table >= 0 ? 5 : 4;
  for (int i = 0; i < count; ++i) {
    if (!IsTensorIndex(context, indices[i]) || context->tensors[indices[i]].data.data == nullptr) {
      return Fail(context, state, "a tensor of it has no memory; its model is damaged, or was not prepared");
    }
  }
  if (IsReadOnly(context->tensors[state.output])) {
    return Fail(context, state, "its output is a constant of the model; convert the model again");
  }
  // The first two are written: they may share memory with none of the others.
  for (int i = 0; i < 2; ++i) {
    for (int j = i + 1; j < count; ++j) {
      if (!Overlap(context->tensors[indices[i]], context->tensors[indices[j]])) continue;
      return Fail(context, state,
                  "its tensors share memory, as those of ops in a wrong order do; convert the model again");
    }
  }
  return kTfLiteOk;
}

}  // namespace fmtc
