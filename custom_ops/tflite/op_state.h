// What FMTC_ENCODE and FMTC_DECODE have in common: the state of one node, and the steps of Prepare.
//
// Init never fails; it keeps what it could not read, and Prepare reports it.
#ifndef FMTC_TFLITE_OP_STATE_H_
#define FMTC_TFLITE_OP_STATE_H_

#include <cstddef>

#include "codec/codec.h"
#include "tflite/op_options.h"
#include "tflite/tflite_abi.h"

namespace fmtc {

struct OpState {
  const char* op_name;
  OpOptions options;
  const char* options_problem;  // null, or why the options cannot be used

  // Tensor indices, -1 before Prepare.
  int source;  // what the op reads
  int side_info;
  int table;  // of a view that has one
  int output;
  int workspace;  // which Prepare adds

  const Codec* codec;  // held
  MapPlan plan;
  Workers workers;  // holds the thread pool if it has several
};

// State of a node with these options. Null when out of memory, which Prepare reports.
OpState* NewOpState(const char* op_name, const void* options, size_t options_bytes);

// TfLiteRegistration::free of both ops; also takes null.
void FreeOpState(TfLiteContext* context, void* state);

// Registration of an op of the graph.
constexpr TfLiteRegistration MakeRegistration(const char* op_name, decltype(TfLiteRegistration::init) init,
                                              decltype(TfLiteRegistration::prepare) prepare,
                                              decltype(TfLiteRegistration::invoke) invoke) {
  TfLiteRegistration registration{};
  registration.init = init;
  registration.free = FreeOpState;
  registration.prepare = prepare;
  registration.invoke = invoke;
  registration.builtin_code = kBuiltinCodeCustom;
  registration.custom_name = op_name;
  registration.version = 1;
  return registration;
}

// Reports a line, "FMTC_ENCODE 'tensor': <message>", and returns kTfLiteError.
TfLiteStatus Fail(TfLiteContext* context, const OpState& state, const char* format, ...)
    __attribute__((format(printf, 3, 4)));

// The steps of Prepare, in this order. Each reports its failure.

// The node's state with checked options and tensors, or null.
OpState* OpenOp(TfLiteContext* context, TfLiteNode* node, const char* op_name);

// Checks the side information and holds its codec.
TfLiteStatus LoadCodec(TfLiteContext* context, OpState* state);

// Checks that the tensor is [any, height, width, channels] of this type.
TfLiteStatus CheckFeatureMap(TfLiteContext* context, const OpState& state, int tensor, int height, int width,
                             size_t channels, ElementType type);

// Checks that the tensor is uint8 [any, item capacity].
TfLiteStatus CheckCodedTensor(TfLiteContext* context, const OpState& state, int tensor);

// Checks, when the map is planned, that the coded tensor has no more bytes per item than a map of this shape can be
// given for a reason.
TfLiteStatus CheckMostCapacity(TfLiteContext* context, const OpState& state, int item_capacity);

// As many workers as the interpreter has threads.
void HoldWorkers(const TfLiteContext& context, OpState* state);

// Geometry for a batch, with the options' stride.
TfLiteStatus PlanBatch(TfLiteContext* context, OpState* state, int batch);

// Makes the node's one temporary, an arena tensor of `bytes` bytes.
TfLiteStatus RequestWorkspace(TfLiteContext* context, TfLiteNode* node, OpState* state, size_t bytes);

// Gives the output these dimensions.
TfLiteStatus ResizeOutput(TfLiteContext* context, const OpState& state, int rank, const int* dims);

// The first step of Invoke: whether what Prepare saw still holds. The runtime plans memory by the order of the ops, and
// a damaged model's is any; its tensors then have none, or share it.
TfLiteStatus CheckMemory(TfLiteContext* context, const OpState& state);

}  // namespace fmtc

#endif  // FMTC_TFLITE_OP_STATE_H_
