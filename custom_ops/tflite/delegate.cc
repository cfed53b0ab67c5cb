// The external delegate: two C functions that every TensorFlow Lite runtime can load from this library. The delegate
// gives the FMTC ops, which the runtime does not know, the kernels of encode_op, decode_op and region_op.
#include <cstdio>
#include <cstring>
#include <initializer_list>

#include "codec/kernels/dispatch.h"
#include "tflite/op_options.h"
#include "tflite/register.h"
#include "tflite/tflite_abi.h"

#define FMTC_EXPORT extern "C" __attribute__((visibility("default")))

namespace fmtc {
namespace {

// The op of this name, or null.
const TfLiteRegistration* FindOp(const char* custom_name) {
  if (custom_name == nullptr) return nullptr;
  for (const TfLiteRegistration* op : {FmtcRegisterEncode(), FmtcRegisterDecode(), FmtcRegisterRegion()}) {
    if (std::strcmp(custom_name, op->custom_name) == 0) return op;
  }
  return nullptr;
}

// Gives a node our kernels, in place, if it is one of our ops and the runtime could not resolve it. The runtime then
// treats it as if a resolver had registered the op: nothing is replaced or reordered, and the tensors between stay in
// the arena. ReplaceNodeSubsetsWithDelegateKernels would have to be called node by node, as tensors inside a partition
// get no memory, and each call partitions the whole graph.
TfLiteStatus ResolveNode(TfLiteContext* context, int index) {
  TfLiteNode* node;
  TfLiteRegistration* registration;
  if (context->GetNodeAndRegistration(context, index, &node, &registration) != kTfLiteOk) return kTfLiteError;
  if (registration->builtin_code != kBuiltinCodeCustom || registration->prepare != nullptr) return kTfLiteOk;
  const TfLiteRegistration* op = FindOp(registration->custom_name);
  if (op == nullptr) return kTfLiteOk;
  const size_t options_bytes =
      node->custom_initial_data_size > 0 ? static_cast<size_t>(node->custom_initial_data_size) : 0;
  node->user_data = op->init(context, static_cast<const char*>(node->custom_initial_data), options_bytes);
  registration->init = op->init;
  registration->free = op->free;
  registration->prepare = op->prepare;
  registration->invoke = op->invoke;
  return kTfLiteOk;
}

TfLiteStatus PrepareDelegate(TfLiteContext* context, TfLiteDelegate*) {
  TfLiteIntArray* plan;
  if (context->GetExecutionPlan(context, &plan) != kTfLiteOk) return kTfLiteError;
  for (int i = 0; i < plan->size; ++i) {
    if (ResolveNode(context, plan->data[i]) != kTfLiteOk) return kTfLiteError;
  }
  return kTfLiteOk;
}

constexpr TfLiteDelegate MakeDelegate() {
  TfLiteDelegate delegate{};
  delegate.Prepare = PrepareDelegate;
  delegate.flags = kTfLiteDelegateFlagsAllowDynamicTensors;  // without it, unknown ops are refused before Prepare
  return delegate;
}

// It has no state, so one serves every interpreter and thread, and destroying it early cannot hurt.
TfLiteDelegate g_delegate = MakeDelegate();

}  // namespace
}  // namespace fmtc

FMTC_EXPORT TfLiteDelegate* tflite_plugin_create_delegate(char** keys, char**, size_t num_options,
                                                          void (*report_error)(const char*)) {
  const bool has_kernels = fmtc::ChosenKernels().kernels != nullptr;
  if (num_options == 0 && has_kernels) return &fmtc::g_delegate;
  if (report_error == nullptr) return nullptr;
  char message[256];
  if (!has_kernels) {
    const char* problem = fmtc::StatusMessage(fmtc::Status::kCpuLevel);
    std::snprintf(message, sizeof(message), "fmtc-tflite delegate: %s", problem);
  } else {
    char name[64] = "";
    if (keys != nullptr && keys[0] != nullptr) fmtc::CopyPrintable(keys[0], std::strlen(keys[0]), name, sizeof(name));
    std::snprintf(message, sizeof(message), "fmtc-tflite delegate: unknown option '%s'; it takes no options", name);
  }
  report_error(message);
  return nullptr;
}

FMTC_EXPORT void tflite_plugin_destroy_delegate(TfLiteDelegate*) {}
