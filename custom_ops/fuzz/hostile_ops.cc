#include "fuzz/hostile_ops.h"

#include <algorithm>
#include <climits>
#include <string>

#include "fuzz/mutate.h"
#include "tests/expect.h"
#include "tests/fake_runtime.h"
#include "tflite/register.h"

namespace fmtc::fuzz {
namespace {

// More than the valid graphs need; the runtime fails beyond it.
constexpr size_t kMostTensorBytes = 1 << 21;
constexpr int kNoTensor = -1;  // of optional inputs

// Tensors in the order in which they are added.
enum { kSide, kInput, kCoded, kOutput, kNumTensors };

class Graph {
 public:
  Graph(const FuzzCase& c, Choices* choices, const Bytes& options)
      : case_(c), choices_(*choices), is_damaged_(options != c.options()) {
    runtime_.SetMostTensorBytes(kMostTensorBytes);
    if (choices_.OneIn(32)) runtime_.SetNumThreads(2);
    AddTensors();
    AddNodes(options);
  }

  // False if the runtime's step was refused, with one line.
  bool Try(TfLiteStatus (test::FakeRuntime::*step)()) {
    runtime_.ClearError();
    const bool passed = (runtime_.*step)() == kTfLiteOk;
    const std::string& error = runtime_.error();
    EXPECT(passed == error.empty());
    if (passed) return true;
    EXPECT(is_damaged_);
    EXPECT(error.rfind("FMTC_", 0) == 0 && error.find('\n') == error.size() - 1);
    EXPECT(std::all_of(error.begin(), error.end() - 1, [](char c) { return c >= ' ' && c <= '~'; }));
    return false;
  }

  bool Prepare() { return Try(&test::FakeRuntime::Prepare); }

  bool Invoke() {
    TfLiteTensor& input = runtime_.tensor(kInput);
    if (input.data.uint8 != nullptr && input.allocation_type != kTfLiteMmapRo) {
      for (size_t i = 0; i < input.bytes; ++i) input.data.uint8[i] = static_cast<uint8_t>(choices_.Below(3));
    }
    return Try(&test::FakeRuntime::Invoke);
  }

  // What a model file can say of a tensor.
  void DamageTensor() {
    const int index = static_cast<int>(choices_.Below(kNumTensors));
    TfLiteTensor& tensor = runtime_.tensor(index);
    is_damaged_ = true;
    switch (choices_.Below(5)) {
      case 0:
        tensor.type = static_cast<TfLiteType>(choices_.Below(20));
        break;
      case 1:
        tensor.allocation_type = static_cast<TfLiteAllocationType>(choices_.Below(9));
        break;
      case 2:
        tensor.data.uint8 = nullptr;
        break;
      case 3:
        tensor.name = choices_.Of<const char*>({nullptr, "", "a\nb\xff%s%n\x1b[2J"});
        break;
      default:
        runtime_.Resize(index, AnyDims(runtime_.dims(index)));
    }
  }

  void ResizeInput() {
    std::vector<int> dims = runtime_.dims(kInput);
    if (dims.empty() || choices_.OneIn(4)) {
      is_damaged_ = true;
      dims = AnyDims(dims);
    } else {
      dims[0] = static_cast<int>(choices_.Below(5));
    }
    runtime_.Resize(kInput, dims);
  }

  // What a runtime gives the tensors of a graph that is out of order: none, too little or each other's memory.
  void DamageMemory() {
    is_damaged_ = true;
    TfLiteTensor& tensor = runtime_.tensor(static_cast<int>(choices_.Below(runtime_.num_tensors())));
    if (choices_.OneIn(8)) {
      tensor.data.uint8 = nullptr;
    } else if (choices_.OneIn(4)) {
      tensor.bytes = choices_.Below(tensor.bytes + 1);
    } else {
      ShareMemory();
    }
  }

  bool is_damaged() const { return is_damaged_; }

  // The graph's output is what the codec makes of the coded tensor.
  void CheckOutput() {
    const TfLiteTensor& coded = runtime_.tensor(kCoded);
    const TfLiteTensor& output = runtime_.tensor(kOutput);
    MapPlan plan;
    EXPECT(PlanMap(case_.codec(), runtime_.dims(kInput)[0], case_.plan().height, case_.plan().width, &plan) ==
           Status::kOk);
    EXPECT(SetDecoderStride(case_.codec(), case_.plan().stride_height, case_.plan().stride_width, &plan) ==
           Status::kOk);
    Bytes decoded(plan.decoder_output_bytes);
    Bytes workspace(DecodeWorkspaceSize(case_.codec(), plan));
    EXPECT(Decode(case_.codec(), plan, case_.type(), coded.data.uint8, coded.bytes, decoded.data(), decoded.size(),
                  workspace.data(), workspace.size()) == Status::kOk);
    EXPECT(output.bytes == decoded.size() && std::equal(decoded.begin(), decoded.end(), output.data.uint8));
  }

 private:
  void AddTensors() {
    const MapPlan& plan = case_.plan();
    Bytes side_info = case_.side_info();
    if (choices_.OneIn(8)) {
      is_damaged_ = true;
      MutateSideInfo(case_, &choices_, &side_info);
    }
    const TfLiteType type = case_.type() == ElementType::kInt8 ? kTfLiteInt8 : kTfLiteUInt8;
    const int batch = static_cast<int>(plan.batch);
    const auto rows = [](uint32_t size, uint32_t stride) { return static_cast<int>((size - 1) / stride + 1); };
    runtime_.AddConstant(side_info, "side");
    runtime_.AddTensor(type,
                       {batch, static_cast<int>(plan.height), static_cast<int>(plan.width),
                        static_cast<int>(case_.codec().side_info.EncoderChannels())},
                       "input");
    const int enough = static_cast<int>(plan.item_capacity);
    const bool is_tight = case_.spec().max_level > 0 && choices_.OneIn(2);
    runtime_.AddTensor(kTfLiteUInt8,
                       {batch, is_tight ? 16 + static_cast<int>(choices_.Below(plan.item_capacity)) : enough}, "coded");
    runtime_.AddTensor(type,
                       {batch, rows(plan.height, plan.stride_height), rows(plan.width, plan.stride_width),
                        static_cast<int>(case_.spec().channels)},
                       "output");
  }

  void AddNodes(const Bytes& options) {
    test::FakeResolver resolver;
    AddFmtcOps(&resolver);
    runtime_.AddOp("FMTC_ENCODE", Tensors({kInput, kSide}), Tensors({kCoded}), options, &resolver);
    runtime_.AddOp("FMTC_DECODE", Tensors({kCoded, kSide}), Tensors({kOutput}), options, &resolver);
  }

  // These indices, or one in sixteen times others.
  std::vector<int> Tensors(std::vector<int> indices) {
    if (!choices_.OneIn(16)) return indices;
    is_damaged_ = true;
    const int other = choices_.Of<int>({kNoTensor, kSide, kInput, kCoded, kOutput, 99, INT_MIN, INT_MAX});
    switch (choices_.Below(3)) {
      case 0:
        indices.pop_back();
        break;
      case 1:
        indices.push_back(other);
        break;
      default:
        indices[choices_.Below(indices.size())] = other;
    }
    return indices;
  }

  std::vector<int> AnyDims(std::vector<int> dims) {
    if (dims.empty() || choices_.OneIn(4)) dims.assign(choices_.Below(6), 1);
    if (!dims.empty())
      dims[choices_.Below(dims.size())] = choices_.Of<int>({-1, 0, 1, 2, 3, 16, 300, INT_MAX, INT_MIN});
    return dims;
  }

  // Two tensors, or all, in a block that has no byte more than they take.
  void ShareMemory() {
    const int count = static_cast<int>(runtime_.num_tensors());
    std::vector<int> sharing = {static_cast<int>(choices_.Below(runtime_.num_tensors())),
                                static_cast<int>(choices_.Below(runtime_.num_tensors()))};
    if (choices_.OneIn(4)) {
      sharing.clear();
      for (int i = kInput; i < count; ++i) sharing.push_back(i);
    }
    size_t size = 1;
    for (int i : sharing) size = std::max(size, runtime_.tensor(i).bytes);
    blocks_.emplace_back(size + (choices_.OneIn(2) ? 0 : choices_.Below(size)));
    for (int i : sharing) {
      TfLiteTensor& tensor = runtime_.tensor(i);
      if (i != kSide)
        tensor.data.uint8 = blocks_.back().data() + choices_.Below(blocks_.back().size() - tensor.bytes + 1);
    }
  }

  const FuzzCase& case_;
  Choices& choices_;
  test::FakeRuntime runtime_;
  std::vector<Bytes> blocks_;
  bool is_damaged_;
};

}  // namespace

bool RunOps(const FuzzCase& c, Choices choices, const Bytes& options) {
  Graph graph(c, &choices, options);
  if (choices.OneIn(2)) {
    for (uint32_t left = 1 + choices.Below(2); left > 0; --left) graph.DamageTensor();
  }
  for (uint32_t left = 1 + choices.Below(3); left > 0; --left) {
    if (choices.OneIn(2)) graph.ResizeInput();
    if (!graph.Prepare()) return false;
    if (choices.OneIn(3)) graph.DamageMemory();
    if (!graph.Invoke()) return false;
    if (!graph.is_damaged()) graph.CheckOutput();
  }
  return true;
}

}  // namespace fmtc::fuzz
