// A stand-in for the TensorFlow Lite interpreter: one graph of custom ops, run either with ops that a resolver
// registers or with delegate kernels.
//
// It is nastier than the real one: tensors move on AddTensors, and their data is unaligned and of exact size, so that
// AddressSanitizer sees every step outside.
#ifndef FMTC_TESTS_FAKE_RUNTIME_H_
#define FMTC_TESTS_FAKE_RUNTIME_H_

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tflite/register.h"
#include "tflite/tflite_abi.h"

namespace fmtc {
namespace test {

inline TfLiteIntArray* MakeIntArray(const std::vector<int>& values) {
  auto* array = static_cast<TfLiteIntArray*>(std::malloc(sizeof(int) * (1 + values.size())));
  array->size = static_cast<int>(values.size());
  std::copy(values.begin(), values.end(), array->data);
  return array;
}

// What fmtc::AddFmtcOps fills.
struct FakeResolver {
  std::map<std::string, const TfLiteRegistration*> ops;
  void AddCustom(const char* name, const TfLiteRegistration* registration) { ops[name] = registration; }
};

class FakeRuntime {
 public:
  FakeRuntime() {
    context_.impl_ = this;
    context_.GetExecutionPlan = GetExecutionPlan;
    context_.ResizeTensor = ResizeTensor;
    context_.ReportError = ReportError;
    context_.AddTensors = AddTensors;
    context_.GetNodeAndRegistration = GetNodeAndRegistration;
    context_.ReplaceNodeSubsetsWithDelegateKernels = ReplaceNodes;
    context_.recommended_num_threads = -1;
  }
  FakeRuntime(const FakeRuntime&) = delete;
  FakeRuntime& operator=(const FakeRuntime&) = delete;

  ~FakeRuntime() {
    for (auto& op : ops_) {
      if (op->initialized && op->registration.free != nullptr) op->registration.free(&context_, op->node.user_data);
      for (TfLiteIntArray* array : {op->node.inputs, op->node.outputs, op->node.temporaries}) std::free(array);
    }
    for (TfLiteTensor& tensor : *tensors_) std::free(tensor.dims);
    std::free(plan_);
  }

  int AddTensor(TfLiteType type, const std::vector<int>& dims, const char* name) {
    int index;
    AddTensors(&context_, 1, &index);
    tensor(index).type = type;
    tensor(index).name = name;
    Resize(index, dims);
    return index;
  }

  int AddConstant(const std::vector<uint8_t>& data, const char* name) {
    const int index = AddTensor(kTfLiteUInt8, {static_cast<int>(data.size())}, name);
    tensor(index).allocation_type = kTfLiteMmapRo;
    std::copy(data.begin(), data.end(), tensor(index).data.uint8);
    return index;
  }

  // A node of the graph. Without a resolver it stays unresolved, for a delegate to claim.
  int AddOp(const char* name, const std::vector<int>& inputs, const std::vector<int>& outputs,
            const std::vector<uint8_t>& options, const FakeResolver* resolver) {
    ops_.push_back(std::make_unique<Op>());
    Op& op = *ops_.back();
    op.options = std::make_unique<uint8_t[]>(options.size());
    std::copy(options.begin(), options.end(), op.options.get());
    op.node.custom_initial_data = options.empty() ? nullptr : op.options.get();
    op.node.custom_initial_data_size = static_cast<int>(options.size());
    op.registration.builtin_code = kBuiltinCodeCustom;
    op.registration.custom_name = name;
    SetTensors(&op, inputs, outputs);
    if (resolver != nullptr) {
      op.registration = *resolver->ops.at(name);
      Init(&op, reinterpret_cast<const char*>(op.node.custom_initial_data), options.size());
    }
    plan_indices_.push_back(static_cast<int>(ops_.size()) - 1);
    return plan_indices_.back();
  }

  TfLiteStatus ApplyDelegate(TfLiteDelegate* delegate) { return delegate->Prepare(&context_, delegate); }

  void SetNumThreads(int threads) { context_.recommended_num_threads = threads; }

  TfLiteStatus Prepare() {
    return ForEachOp([this](Op& op) { return op.registration.prepare(&context_, &op.node); });
  }
  TfLiteStatus Invoke() {
    return ForEachOp([this](Op& op) { return op.registration.invoke(&context_, &op.node); });
  }

  void Resize(int index, const std::vector<int>& dims) { ResizeTensor(&context_, &tensor(index), MakeIntArray(dims)); }

  TfLiteTensor& tensor(int index) { return (*tensors_)[static_cast<size_t>(index)]; }
  size_t num_tensors() const { return tensors_->size(); }
  std::vector<int> dims(int index) {
    const TfLiteIntArray* dims = tensor(index).dims;
    return std::vector<int>(dims->data, dims->data + dims->size);
  }
  uint8_t* data(int index) { return tensor(index).data.uint8; }
  size_t num_claimed() const { return num_claimed_; }
  const std::string& error() const { return error_; }
  void ClearError() { error_.clear(); }

 private:
  struct Op {
    TfLiteNode node{};
    TfLiteRegistration registration{};
    std::unique_ptr<uint8_t[]> options;
    bool initialized = false;
  };

  static FakeRuntime* From(TfLiteContext* context) { return static_cast<FakeRuntime*>(context->impl_); }

  template <class F>
  TfLiteStatus ForEachOp(F function) {
    for (int index : plan_indices_) {
      const TfLiteStatus status = function(*ops_[static_cast<size_t>(index)]);
      if (status != kTfLiteOk) return status;
    }
    return kTfLiteOk;
  }

  static void SetTensors(Op* op, const std::vector<int>& inputs, const std::vector<int>& outputs) {
    op->node.inputs = MakeIntArray(inputs);
    op->node.outputs = MakeIntArray(outputs);
    op->node.temporaries = MakeIntArray({});
  }

  void Init(Op* op, const char* buffer, size_t bytes) {
    op->node.user_data = op->registration.init(&context_, buffer, bytes);
    op->initialized = true;
  }

  static TfLiteStatus GetExecutionPlan(TfLiteContext* context, TfLiteIntArray** plan) {
    FakeRuntime* self = From(context);
    std::free(self->plan_);
    *plan = self->plan_ = MakeIntArray(self->plan_indices_);
    return kTfLiteOk;
  }

  static TfLiteStatus ResizeTensor(TfLiteContext* context, TfLiteTensor* tensor, TfLiteIntArray* dims) {
    FakeRuntime* self = From(context);
    std::free(tensor->dims);
    tensor->dims = dims;
    tensor->bytes = 1;
    for (int i = 0; i < dims->size; ++i) tensor->bytes *= static_cast<size_t>(dims->data[i]);
    self->storage_.push_back(std::make_unique<uint8_t[]>(tensor->bytes + 1));
    tensor->data.uint8 = self->storage_.back().get() + 1;
    return kTfLiteOk;
  }

  static void ReportError(TfLiteContext* context, const char* format, ...) {
    char message[1024];
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    From(context)->error_ += message;
  }

  static TfLiteStatus AddTensors(TfLiteContext* context, int count, int* first) {
    FakeRuntime* self = From(context);
    *first = static_cast<int>(self->tensors_->size());
    auto moved = std::make_unique<std::vector<TfLiteTensor>>(*self->tensors_);
    moved->resize(moved->size() + static_cast<size_t>(count));
    self->tensors_ = std::move(moved);
    self->context_.tensors = self->tensors_->data();
    self->context_.tensors_size = self->tensors_->size();
    return kTfLiteOk;
  }

  static TfLiteStatus GetNodeAndRegistration(TfLiteContext* context, int index, TfLiteNode** node,
                                             TfLiteRegistration** registration) {
    Op& op = *From(context)->ops_[static_cast<size_t>(index)];
    *node = &op.node;
    *registration = &op.registration;
    return kTfLiteOk;
  }

  // As TFLite does it: the kernel's node lists the partition's tensors sorted.
  static TfLiteStatus ReplaceNodes(TfLiteContext* context, TfLiteRegistration registration, const TfLiteIntArray* nodes,
                                   TfLiteDelegate* delegate) {
    FakeRuntime* self = From(context);
    if (nodes->size != 1) return kTfLiteError;
    Op& original = *self->ops_[static_cast<size_t>(nodes->data[0])];
    std::vector<int> inputs(original.node.inputs->data, original.node.inputs->data + original.node.inputs->size);
    std::vector<int> outputs(original.node.outputs->data, original.node.outputs->data + original.node.outputs->size);
    std::sort(inputs.begin(), inputs.end());
    self->ops_.push_back(std::make_unique<Op>());
    Op& kernel = *self->ops_.back();
    kernel.registration = registration;
    SetTensors(&kernel, inputs, outputs);
    kernel.node.delegate = delegate;
    TfLiteIntArray* replaced = MakeIntArray({nodes->data[0]});
    TfLiteDelegateParams params{delegate, replaced, kernel.node.inputs, kernel.node.outputs};
    self->Init(&kernel, reinterpret_cast<const char*>(&params), sizeof(params));
    std::free(replaced);
    std::replace(self->plan_indices_.begin(), self->plan_indices_.end(), nodes->data[0],
                 static_cast<int>(self->ops_.size()) - 1);
    ++self->num_claimed_;
    return kTfLiteOk;
  }

  TfLiteContext context_{};
  std::unique_ptr<std::vector<TfLiteTensor>> tensors_ = std::make_unique<std::vector<TfLiteTensor>>();
  std::vector<std::unique_ptr<uint8_t[]>> storage_;
  std::vector<std::unique_ptr<Op>> ops_;
  std::vector<int> plan_indices_;
  TfLiteIntArray* plan_ = nullptr;
  std::string error_;
  size_t num_claimed_ = 0;
};

}  // namespace test
}  // namespace fmtc

#endif  // FMTC_TESTS_FAKE_RUNTIME_H_
