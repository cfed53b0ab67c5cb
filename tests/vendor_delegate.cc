// A delegate as a vendor would give it to users: it brings the op VENDOR_NEGATE, which gives -1 - x for int8 tensors.
#include <cstddef>
#include <cstring>

#include "tflite/tflite_abi.h"

namespace {

TfLiteStatus Prepare(TfLiteContext* context, TfLiteNode* node) {
  const TfLiteTensor& input = context->tensors[node->inputs->data[0]];
  TfLiteTensor& output = context->tensors[node->outputs->data[0]];
  return input.type == kTfLiteInt8 && output.bytes == input.bytes ? kTfLiteOk : kTfLiteError;
}

TfLiteStatus Invoke(TfLiteContext* context, TfLiteNode* node) {
  const TfLiteTensor& input = context->tensors[node->inputs->data[0]];
  const TfLiteTensor& output = context->tensors[node->outputs->data[0]];
  for (size_t i = 0; i < input.bytes; ++i) output.data.int8[i] = static_cast<int8_t>(-1 - input.data.int8[i]);
  return kTfLiteOk;
}

TfLiteStatus PrepareDelegate(TfLiteContext* context, TfLiteDelegate*) {
  TfLiteIntArray* plan;
  if (context->GetExecutionPlan(context, &plan) != kTfLiteOk) return kTfLiteError;
  for (int i = 0; i < plan->size; ++i) {
    TfLiteNode* node;
    TfLiteRegistration* registration;
    if (context->GetNodeAndRegistration(context, plan->data[i], &node, &registration) != kTfLiteOk) return kTfLiteError;
    const char* name = registration->custom_name;
    if (name == nullptr || std::strcmp(name, "VENDOR_NEGATE") != 0) continue;
    registration->prepare = Prepare;
    registration->invoke = Invoke;
  }
  return kTfLiteOk;
}

TfLiteDelegate MakeDelegate() {
  TfLiteDelegate delegate{};
  delegate.Prepare = PrepareDelegate;
  delegate.flags = kTfLiteDelegateFlagsAllowDynamicTensors;
  return delegate;
}

TfLiteDelegate g_delegate = MakeDelegate();

}  // namespace

extern "C" TfLiteDelegate* tflite_plugin_create_delegate(char**, char**, size_t, void (*)(const char*)) {
  return &g_delegate;
}

extern "C" void tflite_plugin_destroy_delegate(TfLiteDelegate*) {}
