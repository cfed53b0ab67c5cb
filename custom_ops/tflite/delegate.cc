// The external delegate: two C functions that every TensorFlow Lite runtime can load from this library. The delegate
// claims the FMTC ops, which the runtime does not know, and runs them with the kernels of encode_op and decode_op.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>

#include "kernels/dispatch.h"
#include "tflite/op_state.h"
#include "tflite/register.h"
#include "tflite/tflite_abi.h"

#define FMTC_EXPORT extern "C" __attribute__((visibility("default")))

namespace fmtc {
namespace {

// The op of this name, or null.
const TfLiteRegistration* FindOp(const char* custom_name) {
  if (custom_name == nullptr) return nullptr;
  for (const TfLiteRegistration* op : {FmtcRegisterEncode(), FmtcRegisterDecode()}) {
    if (std::strcmp(custom_name, op->custom_name) == 0) return op;
  }
  return nullptr;
}

// Init of a delegate kernel, which stands for exactly one node of the graph.
void* InitKernel(TfLiteContext* context, const char* buffer, size_t) {
  const auto* params = reinterpret_cast<const TfLiteDelegateParams*>(buffer);
  TfLiteNode* node;
  TfLiteRegistration* registration;
  if (params->nodes_to_replace->size != 1 ||
      context->GetNodeAndRegistration(context, params->nodes_to_replace->data[0], &node, &registration) != kTfLiteOk) {
    return nullptr;
  }
  const TfLiteRegistration* op = FindOp(registration->custom_name);
  if (op == nullptr || node->custom_initial_data_size < 0) return nullptr;
  OpState* state =
      NewOpState(op->custom_name, node->custom_initial_data, static_cast<size_t>(node->custom_initial_data_size));
  if (state != nullptr) BindTensors(*node, state);
  return state;
}

TfLiteStatus ClaimNode(TfLiteContext* context, TfLiteDelegate* delegate, int index) {
  TfLiteNode* node;
  TfLiteRegistration* registration;
  if (context->GetNodeAndRegistration(context, index, &node, &registration) != kTfLiteOk) return kTfLiteError;
  if (registration->builtin_code != kBuiltinCodeCustom) return kTfLiteOk;
  const TfLiteRegistration* op = FindOp(registration->custom_name);
  if (op == nullptr) return kTfLiteOk;

  TfLiteRegistration kernel = *op;
  kernel.init = InitKernel;
  kernel.builtin_code = kBuiltinCodeDelegate;
  struct {
    int size;
    int data[1];
  } nodes = {1, {index}};
  return context->ReplaceNodeSubsetsWithDelegateKernels(context, kernel,
                                                        reinterpret_cast<const TfLiteIntArray*>(&nodes), delegate);
}

// Claims node by node: in a partition of several nodes the tensors between them would get no memory.
TfLiteStatus PrepareDelegate(TfLiteContext* context, TfLiteDelegate* delegate) {
  TfLiteIntArray* plan;
  if (context->GetExecutionPlan(context, &plan) != kTfLiteOk) return kTfLiteError;
  const size_t nodes = static_cast<size_t>(plan->size);
  auto* indices = static_cast<int*>(std::malloc((nodes + 1) * sizeof(int)));  // claiming changes the plan
  if (indices == nullptr) return kTfLiteError;
  std::memcpy(indices, plan->data, nodes * sizeof(int));
  TfLiteStatus status = kTfLiteOk;
  for (size_t i = 0; i < nodes && status == kTfLiteOk; ++i) status = ClaimNode(context, delegate, indices[i]);
  std::free(indices);
  return status;
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
