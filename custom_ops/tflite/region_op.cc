// FMTC_REGION: a group of ops as one program (REGION.md).
#include <chrono>
#include <climits>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/bytes.h"
#include "codec/kernels/dispatch.h"
#include "region/coders.h"
#include "region/kernels/dispatch.h"
#include "region/region.h"
#include "region/team.h"
#include "tflite/node.h"
#include "tflite/op_options.h"
#include "tflite/pace.h"
#include "tflite/register.h"
#include "tflite/tflite_abi.h"
#include "tflite/thread_pool.h"

namespace fmtc {
namespace {

constexpr char kOpName[] = "FMTC_REGION";
constexpr size_t kPointerAlignment = alignof(void*);
// Helpers that sleep are waited for as long as a part of what one thread takes for the work, where they could come in
// that time; those that are awake come within some microseconds.
constexpr uint64_t kPatience = 4;
constexpr uint64_t kLeastPatience = 10'000;     // nanoseconds
constexpr uint64_t kWorthWaitingFor = 400'000;  // of work

// What a node keeps. Allocated with calloc.
struct RegionState {
  // Once the program has been checked; a later Prepare finds the same one.
  const uint8_t* checked;
  size_t checked_bytes;
  region::Program program;
  region::State state;
  const uint8_t** inputs;  // of the region, and its outputs; filled in Invoke
  uint8_t** outputs;
  uint8_t* memory;  // of all that

  Workers workers;
  region::Team* team;  // null: one thread does it all
  uint32_t team_size;
  // Of one thread (0) and of the team (1): in runs that follow one another, and after pauses, which helpers sleep
  // through.
  Pace paces[2];
  uint64_t ended;  // nanoseconds: when the last run did

  int scratch;  // tensor that Prepare adds, -1 before
  int batch;
};

// "FMTC_REGION 'output': <message>"
TfLiteStatus Fail(TfLiteContext* context, const TfLiteNode& node, const char* format, ...)
    __attribute__((format(printf, 3, 4)));

TfLiteStatus Fail(TfLiteContext* context, const TfLiteNode& node, const char* format, ...) {
  char message[384];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(message, sizeof(message), format, arguments);
  va_end(arguments);
  char name[96] = "";
  const bool has_output =
      node.outputs != nullptr && node.outputs->size > 0 && IsTensorIndex(context, node.outputs->data[0]);
  const char* output = has_output ? context->tensors[node.outputs->data[0]].name : nullptr;
  if (output != nullptr) CopyPrintable(output, std::strlen(output), name, sizeof(name));
  context->ReportError(context, "%s '%s': %s\n", kOpName, name, message);
  return kTfLiteError;
}

const TfLiteTensor& Input(const TfLiteContext& context, const TfLiteNode& node, int i) {
  return context.tensors[node.inputs->data[i]];
}
const TfLiteTensor& Output(const TfLiteContext& context, const TfLiteNode& node, int i) {
  return context.tensors[node.outputs->data[i]];
}
// The last input.
const TfLiteTensor& ProgramTensor(const TfLiteContext& context, const TfLiteNode& node) {
  return Input(context, node, node.inputs->size - 1);
}

bool HasTensors(const TfLiteContext* context, const TfLiteNode& node) {
  if (node.inputs == nullptr || node.inputs->size < 2 || node.outputs == nullptr || node.outputs->size < 1)
    return false;
  for (int i = 0; i < node.inputs->size; ++i) {
    if (!IsTensorIndex(context, node.inputs->data[i])) return false;
  }
  for (int i = 0; i < node.outputs->size; ++i) {
    if (!IsTensorIndex(context, node.outputs->data[i])) return false;
  }
  return true;
}

// Memory for the program's state and for the pointers that a run takes.
bool AllocateState(RegionState* state) {
  const region::Header& header = *state->program.header;
  const size_t state_bytes = RoundUp(region::StateBytes(state->program), kPointerAlignment);
  const size_t pointers = size_t{header.inputs} + header.outputs;
  std::free(state->memory);
  state->memory = static_cast<uint8_t*>(std::malloc(state_bytes + pointers * sizeof(void*)));
  if (state->memory == nullptr) return false;
  state->state = region::CarveState(state->program, state->memory);
  state->inputs = reinterpret_cast<const uint8_t**>(state->memory + state_bytes);
  state->outputs = reinterpret_cast<uint8_t**>(state->memory + state_bytes) + header.inputs;
  return true;
}

TfLiteStatus LoadProgram(TfLiteContext* context, const TfLiteNode& node, RegionState* state) {
  const TfLiteTensor& tensor = ProgramTensor(*context, node);
  if (tensor.type != kTfLiteUInt8 || tensor.allocation_type != kTfLiteMmapRo || tensor.data.uint8 == nullptr) {
    return Fail(context, node, "its program must be a constant uint8 tensor; convert the model again");
  }
  if (state->checked == tensor.data.uint8 && state->checked_bytes == tensor.bytes) return kTfLiteOk;
  state->checked = nullptr;
  region::FreeTeam(state->team);
  state->team = nullptr;
  state->team_size = 0;
  const Kernels* kernels = ChosenKernels().kernels;
  Status status = kernels == nullptr ? Status::kCpuLevel : Status::kOk;
  if (status == Status::kOk) {
    status = region::OpenProgram(tensor.data.uint8, tensor.bytes, kernels->extend_crc32c, &state->program);
  }
  if (status == Status::kOk && !AllocateState(state)) status = Status::kOutOfMemory;
  if (status == Status::kOk) status = region::CheckProgram(state->program, &state->state);
  if (status == Status::kOk) region::UseCodecKernels(state->program, *kernels, &state->state);
  if (status != Status::kOk) return Fail(context, node, "%s", StatusMessage(status));
  const region::Header& header = *state->program.header;
  if (header.inputs != node.inputs->size - 1 || header.outputs != node.outputs->size) {
    return Fail(context, node, "its program has %d inputs and %d outputs, the node %d and %d; convert the model again",
                header.inputs, header.outputs, node.inputs->size - 1, node.outputs->size);
  }
  state->checked = tensor.data.uint8;
  state->checked_bytes = tensor.bytes;
  return kTfLiteOk;
}

// Elements of an item: all dimensions but the first. False if a dimension is negative or there are too many.
bool CountItem(const TfLiteIntArray& dims, uint64_t* count) {
  *count = 1;
  for (int i = 1; i < dims.size; ++i) {
    if (dims.data[i] < 0 || !CheckedMultiply(*count, static_cast<uint64_t>(dims.data[i]), count)) return false;
  }
  return true;
}

const region::TensorRecord& InputRecord(const RegionState& state, int i) {
  return state.program.tensors[state.state.input_tensors[i]];
}
const region::TensorRecord& OutputRecord(const RegionState& state, int i) {
  return state.program.tensors[state.state.output_tensors[i]];
}

// Checks that a tensor has the record's type and is [any, ...] of items of its size.
TfLiteStatus CheckTensor(TfLiteContext* context, const TfLiteNode& node, const TfLiteTensor& tensor,
                         const region::TensorRecord& record) {
  const auto type = static_cast<TfLiteType>(record.type);
  const uint64_t expected = region::ItemBytes(record) / region::ElementBytes(record.type);
  uint64_t count = 0;
  const bool fits = tensor.dims != nullptr && tensor.dims->size >= 1 && tensor.dims->data[0] >= 0 &&
                    CountItem(*tensor.dims, &count) && count == expected;
  if (fits && tensor.type == type) return kTfLiteOk;
  char name[64] = "", got[96];
  if (tensor.name != nullptr) CopyPrintable(tensor.name, std::strlen(tensor.name), name, sizeof(name));
  PrintDims(tensor.dims, got, sizeof(got));
  return Fail(context, node,
              "'%s' was converted as %s [*,%u,%u,%u], got %s %s; convert again with --input_shape for this size", name,
              TypeName(type), record.height, record.width, record.channels, TypeName(tensor.type), got);
}

TfLiteStatus CheckInputs(TfLiteContext* context, const TfLiteNode& node, RegionState* state) {
  for (int i = 0; i < node.inputs->size - 1; ++i) {
    const TfLiteTensor& tensor = Input(*context, node, i);
    if (CheckTensor(context, node, tensor, InputRecord(*state, i)) != kTfLiteOk) return kTfLiteError;
    if (i == 0) state->batch = tensor.dims->data[0];
    if (tensor.dims->data[0] != state->batch) {
      return Fail(context, node, "its inputs have batches of %d and %d; resize them alike", state->batch,
                  tensor.dims->data[0]);
    }
  }
  return kTfLiteOk;
}

constexpr int kMaxRank = 8;

// Outputs take the inputs' batch and keep their other dimensions.
TfLiteStatus ResizeOutputs(TfLiteContext* context, const TfLiteNode& node, const RegionState& state) {
  for (int i = 0; i < node.outputs->size; ++i) {
    const TfLiteTensor& tensor = Output(*context, node, i);
    if (CheckTensor(context, node, tensor, OutputRecord(state, i)) != kTfLiteOk) return kTfLiteError;
    if (tensor.dims->size > kMaxRank) return Fail(context, node, "an output has more than %d dimensions", kMaxRank);
    uint64_t bytes;
    if (!CheckedMultiply(region::ItemBytes(OutputRecord(state, i)), static_cast<uint64_t>(state.batch), &bytes) ||
        bytes > INT_MAX) {
      return Fail(context, node, "a batch of %d is too large; use a smaller one", state.batch);
    }
    int dims[kMaxRank];
    std::memcpy(dims, tensor.dims->data, static_cast<size_t>(tensor.dims->size) * sizeof(int));
    dims[0] = state.batch;
    if (!ResizeTensor(context, node.outputs->data[i], tensor.dims->size, dims)) {
      return Fail(context, node, "cannot resize an output");
    }
  }
  return kTfLiteOk;
}

// Threads as the interpreter has them by now.
void HoldWorkers(const TfLiteContext& context, RegionState* state) {
  const Workers before = state->workers;
  state->workers = HoldThreadPool(context.recommended_num_threads);
  ReleaseThreadPool(before);
  for (Pace& pace : state->paces) pace = {};
  const uint32_t size = region::IsWorthATeam(state->program) ? NumAtOnce(state->workers) : 1;
  if (size == state->team_size) return;
  region::FreeTeam(state->team);
  state->team = size > 1 ? region::MakeTeam(state->program, static_cast<int>(size), &state->state) : nullptr;
  state->team_size = size;
}

void* Init(TfLiteContext*, const char*, size_t) {
  auto* state = static_cast<RegionState*>(std::calloc(1, sizeof(RegionState)));
  if (state == nullptr) return nullptr;
  state->scratch = -1;
  state->workers = {};
  return state;
}

void Free(TfLiteContext*, void* data) {
  if (data == nullptr) return;
  auto* state = static_cast<RegionState*>(data);
  region::FreeTeam(state->team);
  ReleaseThreadPool(state->workers);
  std::free(state->memory);
  std::free(state);
}

TfLiteStatus Prepare(TfLiteContext* context, TfLiteNode* node) {
  auto* state = static_cast<RegionState*>(node->user_data);
  if (state == nullptr) return Fail(context, *node, "out of memory");
  if (!HasTensors(context, *node)) {
    return Fail(context, *node, "it must have inputs, a program and outputs; convert the model again");
  }
  if (LoadProgram(context, *node, state) != kTfLiteOk) return kTfLiteError;
  if (CheckInputs(context, *node, state) != kTfLiteOk) return kTfLiteError;
  HoldWorkers(*context, state);
  const size_t scratch_bytes = state->program.header->scratch_bytes;
  if (scratch_bytes > 0 && !RequestTemporary(context, node, scratch_bytes, &state->scratch)) {
    return Fail(context, *node, "cannot have its scratch memory of %zu bytes", scratch_bytes);
  }
  return ResizeOutputs(context, *node, *state);
}

// Whether a tensor has memory for the batch.
bool HasMemory(const TfLiteTensor& tensor, const region::TensorRecord& record, int batch) {
  return tensor.data.data != nullptr && tensor.bytes == region::ItemBytes(record) * static_cast<size_t>(batch);
}

// Whether what is written shares memory with anything else.
bool IsApart(const TfLiteContext& context, const TfLiteNode& node, const TfLiteTensor& written) {
  for (int i = 0; i < node.inputs->size; ++i) {
    if (Overlap(written, Input(context, node, i))) return false;
  }
  for (int i = 0; i < node.outputs->size; ++i) {
    const TfLiteTensor& output = Output(context, node, i);
    if (&output != &written && Overlap(written, output)) return false;
  }
  return true;
}

// Whether what Prepare saw still holds. The runtime plans memory by the order of the ops, and a damaged model's is any.
TfLiteStatus CheckMemory(TfLiteContext* context, const TfLiteNode& node, const RegionState& state) {
  bool has_memory = state.checked != nullptr && state.checked == ProgramTensor(*context, node).data.uint8;
  for (int i = 0; has_memory && i < node.inputs->size - 1; ++i) {
    has_memory = HasMemory(Input(*context, node, i), InputRecord(state, i), state.batch);
  }
  bool is_apart = true;
  for (int i = 0; has_memory && i < node.outputs->size; ++i) {
    const TfLiteTensor& output = Output(*context, node, i);
    has_memory = HasMemory(output, OutputRecord(state, i), state.batch) && !IsReadOnly(output);
    is_apart = is_apart && IsApart(*context, node, output);
  }
  const size_t scratch_bytes = has_memory ? state.program.header->scratch_bytes : 0;
  if (scratch_bytes > 0) {
    const TfLiteTensor& scratch = context->tensors[state.scratch];
    has_memory = scratch.data.data != nullptr && scratch.bytes >= scratch_bytes;
    is_apart = is_apart && IsApart(*context, node, scratch);
    if (reinterpret_cast<uintptr_t>(scratch.data.data) % region::kScratchAlignment != 0) {
      return Fail(context, node, "its scratch memory is not at a multiple of %zu", region::kScratchAlignment);
    }
  }
  if (!has_memory) {
    return Fail(context, node, "a tensor of it has no memory; its model is damaged, or was not prepared");
  }
  if (is_apart) return kTfLiteOk;
  return Fail(context, node, "its tensors share memory, as those of ops in a wrong order do; convert the model again");
}

uint64_t Nanoseconds() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
}

Status RunAlone(const region::RunArguments& arguments, RegionState* state) {
  return region::Run(state->program, region::ChosenRowKernels(), arguments, &state->state);
}

Status RunInTeam(const region::RunArguments& arguments, uint64_t alone, RegionState* state) {
  const uint64_t patience = alone < kWorthWaitingFor ? kLeastPatience : alone / kPatience;
  return region::RunInTeam(state->program, region::ChosenRowKernels(), arguments, state->workers, patience,
                           state->team);
}

// On as many threads as are of use: where a region is small or the processors are busy, one is faster than several.
Status RunOrShare(const region::RunArguments& arguments, RegionState* state) {
  if (state->team == nullptr) return RunAlone(arguments, state);
  const uint64_t start = Nanoseconds();
  const bool follows = start - state->ended <= kHelperSpinNanoseconds;
  Pace& pace = state->paces[follows ? 0 : 1];
  const bool shares = pace.Choose() == 1;
  // Little work is done before helpers that sleep could come. If there may be more soon, they are called for that.
  const bool is_late = shares && pace.nanoseconds[0] < kWorthWaitingFor && !AreAwake(state->workers);
  if (is_late && follows) WakeHelpers();
  const Status status =
      shares && !is_late ? RunInTeam(arguments, pace.nanoseconds[0], state) : RunAlone(arguments, state);
  state->ended = Nanoseconds();
  if (!is_late) pace.Note(state->ended - start);
  return status;
}

TfLiteStatus Invoke(TfLiteContext* context, TfLiteNode* node) {
  auto* state = static_cast<RegionState*>(node->user_data);
  if (state->batch == 0) return kTfLiteOk;
  if (CheckMemory(context, *node, *state) != kTfLiteOk) return kTfLiteError;
  for (int i = 0; i < node->inputs->size - 1; ++i) state->inputs[i] = Input(*context, *node, i).data.uint8;
  for (int i = 0; i < node->outputs->size; ++i) state->outputs[i] = Output(*context, *node, i).data.uint8;
  region::RunArguments arguments{};
  arguments.inputs = state->inputs;
  arguments.outputs = state->outputs;
  arguments.batch = state->batch;
  if (state->scratch >= 0) arguments.scratch = context->tensors[state->scratch].data.uint8;
  const Status status = RunOrShare(arguments, state);
  return status == Status::kOk ? kTfLiteOk : Fail(context, *node, "%s", StatusMessage(status));
}

TfLiteRegistration MakeRegistration() {
  TfLiteRegistration registration{};
  registration.init = Init;
  registration.free = Free;
  registration.prepare = Prepare;
  registration.invoke = Invoke;
  registration.builtin_code = kBuiltinCodeCustom;
  registration.custom_name = kOpName;
  registration.version = 1;
  return registration;
}

TfLiteRegistration g_registration = MakeRegistration();

}  // namespace
}  // namespace fmtc

TfLiteRegistration* FmtcRegisterRegion(void) { return &fmtc::g_registration; }
