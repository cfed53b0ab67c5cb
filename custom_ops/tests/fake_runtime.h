// A stand-in for the TensorFlow Lite interpreter: one graph of custom ops, which a resolver or a delegate registers.
//
// It is nastier than the real one: tensors move on AddTensors, and their data is unaligned, unless a test asks for the
// real one's alignment, and of exact size, so that AddressSanitizer sees every step outside.
#ifndef FMTC_TESTS_FAKE_RUNTIME_H_
#define FMTC_TESTS_FAKE_RUNTIME_H_

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <numeric>
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
    context_.recommended_num_threads = -1;
  }
  FakeRuntime(const FakeRuntime&) = delete;
  FakeRuntime& operator=(const FakeRuntime&) = delete;

  ~FakeRuntime() {
    for (auto& op : ops_) {
      if (op->registration.free != nullptr) op->registration.free(&context_, op->node.user_data);
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

  // A node of the graph. Without a resolver it stays unresolved, for a delegate to resolve.
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
    op.registration.invoke = InvokeUnresolved;
    op.node.inputs = MakeIntArray(inputs);
    op.node.outputs = MakeIntArray(outputs);
    op.node.temporaries = MakeIntArray({});
    if (resolver != nullptr) {
      op.registration = *resolver->ops.at(name);
      const auto* buffer = static_cast<const char*>(op.node.custom_initial_data);
      op.node.user_data = op.registration.init(&context_, buffer, options.size());
    }
    return static_cast<int>(ops_.size()) - 1;
  }

  TfLiteStatus ApplyDelegate(TfLiteDelegate* delegate) { return delegate->Prepare(&context_, delegate); }

  // Tensors from now on lie where the real one has them: at multiples of 16 at least.
  void AlignTensors() { shift_ = 0; }

  // It fails to give a tensor more.
  void SetMostTensorBytes(size_t bytes) { most_tensor_bytes_ = bytes; }

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
  size_t num_unresolved() const {
    const auto is_unresolved = [](const auto& op) { return op->registration.invoke == InvokeUnresolved; };
    return static_cast<size_t>(std::count_if(ops_.begin(), ops_.end(), is_unresolved));
  }
  const std::string& error() const { return error_; }
  void ClearError() { error_.clear(); }

 private:
  struct Op {
    TfLiteNode node{};
    TfLiteRegistration registration{};
    std::unique_ptr<uint8_t[]> options;
  };

  static FakeRuntime* From(TfLiteContext* context) { return static_cast<FakeRuntime*>(context->impl_); }

  template <class F>
  TfLiteStatus ForEachOp(F function) {
    for (auto& op : ops_) {
      const TfLiteStatus status = function(*op);
      if (status != kTfLiteOk) return status;
    }
    return kTfLiteOk;
  }

  static TfLiteStatus InvokeUnresolved(TfLiteContext*, TfLiteNode*) { return kTfLiteError; }

  static TfLiteStatus GetExecutionPlan(TfLiteContext* context, TfLiteIntArray** plan) {
    FakeRuntime* self = From(context);
    std::vector<int> indices(self->ops_.size());
    std::iota(indices.begin(), indices.end(), 0);
    std::free(self->plan_);
    *plan = self->plan_ = MakeIntArray(indices);
    return kTfLiteOk;
  }

  static TfLiteStatus ResizeTensor(TfLiteContext* context, TfLiteTensor* tensor, TfLiteIntArray* dims) {
    FakeRuntime* self = From(context);
    std::free(tensor->dims);
    tensor->dims = dims;
    tensor->bytes = 1;
    if (tensor->type == kTfLiteFloat32 || tensor->type == kTfLiteInt32) tensor->bytes = 4;
    if (tensor->type == kTfLiteInt64) tensor->bytes = 8;
    for (int i = 0; i < dims->size; ++i) {
      const size_t size = static_cast<size_t>(dims->data[i]);
      if (dims->data[i] < 0 || (size > 0 && tensor->bytes > self->most_tensor_bytes_ / size)) return FailResize(tensor);
      tensor->bytes *= size;
    }
    self->storage_.push_back(std::make_unique<uint8_t[]>(tensor->bytes + self->shift_));
    tensor->data.uint8 = self->storage_.back().get() + self->shift_;
    return kTfLiteOk;
  }

  static TfLiteStatus FailResize(TfLiteTensor* tensor) {
    tensor->bytes = 0;
    tensor->data.uint8 = nullptr;
    return kTfLiteError;
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

  TfLiteContext context_{};
  std::unique_ptr<std::vector<TfLiteTensor>> tensors_ = std::make_unique<std::vector<TfLiteTensor>>();
  std::vector<std::unique_ptr<uint8_t[]>> storage_;
  std::vector<std::unique_ptr<Op>> ops_;
  TfLiteIntArray* plan_ = nullptr;
  size_t most_tensor_bytes_ = SIZE_MAX;
  size_t shift_ = 1;  // from where an array begins to a tensor's data
  std::string error_;
};

}  // namespace test
}  // namespace fmtc

#endif  // FMTC_TESTS_FAKE_RUNTIME_H_
