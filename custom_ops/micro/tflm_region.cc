#include "micro/fmtc_region.h"
#include "micro/tflm_abi.h"
#include "micro/tflm_ops.h"

namespace fmtc {
namespace {

constexpr int kMostTensors = 16;  // inputs and outputs together; their addresses stand on the stack

// Of one node, in the arena's tail.
struct RegionState {
  int scratch;  // number of the buffer
  bool is_checked;
  size_t scratch_bytes;
  fmtc_region_runner runner;
};

TfLiteStatus Fail(const char* problem) {
  MicroPrintf("FMTC_REGION: %s", problem);
  return kTfLiteError;
}

TfLiteStatus Fail(int32_t status) { return Fail(fmtc_region_status_text(status)); }

void* Init(TfLiteContext* context, const char*, size_t) {
  auto* state = static_cast<RegionState*>(tflm::AllocatePersistent(context, sizeof(RegionState)));
  if (state != nullptr) state->is_checked = false;
  return state;
}

// The last input, a constant of the model.
const TfLiteEvalTensor* ProgramOf(TfLiteContext* context, const TfLiteNode& node) {
  return tflm::GetEvalInput(context, &node, node.inputs->size - 1);
}

TfLiteStatus Prepare(TfLiteContext* context, TfLiteNode* node) {
  auto* state = static_cast<RegionState*>(node->user_data);
  if (state == nullptr) return Fail("no memory for it in the arena");
  if (node->inputs->size < 2 || node->outputs->size < 1) return Fail("it has no program; convert the model again");
  if (node->inputs->size - 1 + node->outputs->size > kMostTensors)
    return Fail("it has more than 16 inputs and outputs");
  const TfLiteEvalTensor* program = ProgramOf(context, *node);
  if (program == nullptr || program->data.uint8 == nullptr || program->type != kTfLiteUInt8) {
    return Fail("its program is no constant; convert the model again");
  }
  const int32_t status =
      fmtc_region_scratch_bytes_of(program->data.uint8, tflm::Bytes(*program), &state->scratch_bytes);
  if (status != FMTC_REGION_OK) return Fail(status);
  return tflm::RequestScratch(context, state->scratch_bytes, &state->scratch);
}

// Whether the tensors are those of the program, for the same number of batch items each; that number.
bool BatchOf(TfLiteContext* context, const TfLiteNode& node, const fmtc_region_runner& runner, size_t* batch) {
  const int inputs = node.inputs->size - 1, outputs = node.outputs->size;
  if (fmtc_region_num_inputs(&runner) != inputs || fmtc_region_num_outputs(&runner) != outputs) return false;
  *batch = 0;
  for (int i = 0; i < inputs + outputs; ++i) {
    const bool is_input = i < inputs;
    const size_t item =
        is_input ? fmtc_region_bytes_of_input(&runner, i) : fmtc_region_bytes_of_output(&runner, i - inputs);
    const TfLiteEvalTensor* tensor =
        is_input ? tflm::GetEvalInput(context, &node, i) : tflm::GetEvalOutput(context, &node, i - inputs);
    if (tensor == nullptr || item == 0) return false;
    const size_t bytes = tflm::Bytes(*tensor);
    if (i == 0) *batch = bytes / item;
    if (bytes != *batch * item) return false;
  }
  return true;
}

// Scratch memory has an address only once the interpreter has planned the arena, so that the program is checked at the
// first call.
TfLiteStatus Check(TfLiteContext* context, const TfLiteNode& node, RegionState* state) {
  const TfLiteEvalTensor& program = *ProgramOf(context, node);
  const int32_t status = fmtc_region_init(&state->runner, program.data.uint8, tflm::Bytes(program),
                                          tflm::Scratch(context, state->scratch), state->scratch_bytes);
  if (status != FMTC_REGION_OK) return Fail(status);
  size_t batch;
  if (!BatchOf(context, node, state->runner, &batch)) return Fail("its tensors are not those of its program");
  state->is_checked = true;
  return kTfLiteOk;
}

TfLiteStatus Invoke(TfLiteContext* context, TfLiteNode* node) {
  auto* state = static_cast<RegionState*>(node->user_data);
  if (!state->is_checked && Check(context, *node, state) != kTfLiteOk) return kTfLiteError;
  size_t batch;
  if (!BatchOf(context, *node, state->runner, &batch)) return Fail("its tensors are not those of its program");
  const int inputs = node->inputs->size - 1, outputs = node->outputs->size;
  for (size_t item = 0; item < batch; ++item) {
    const void* sources[kMostTensors];
    void* results[kMostTensors];
    for (int i = 0; i < inputs; ++i) {
      const uint8_t* first = tflm::GetEvalInput(context, node, i)->data.uint8;
      sources[i] = first + item * fmtc_region_bytes_of_input(&state->runner, i);
    }
    for (int i = 0; i < outputs; ++i) {
      uint8_t* first = tflm::GetEvalOutput(context, node, i)->data.uint8;
      results[i] = first + item * fmtc_region_bytes_of_output(&state->runner, i);
    }
    const int32_t status = fmtc_region_invoke(&state->runner, sources, results);
    if (status != FMTC_REGION_OK) return Fail(status);
  }
  return kTfLiteOk;
}

constexpr TFLMRegistration kRegistration = {Init, nullptr, Prepare, Invoke, nullptr, tflm::kCustomCode, "FMTC_REGION"};

}  // namespace
}  // namespace fmtc

const TFLMRegistration* FmtcRegisterRegion() { return &fmtc::kRegistration; }
