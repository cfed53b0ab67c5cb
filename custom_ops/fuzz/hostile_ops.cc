#include "fuzz/hostile_ops.h"

#include <algorithm>
#include <climits>
#include <numeric>
#include <string>

#include "codec/geometry.h"
#include "fuzz/mutate.h"
#include "tests/expect.h"
#include "tests/fake_runtime.h"
#include "tests/random_view.h"
#include "tests/region_runner.h"
#include "tflite/register.h"

namespace fmtc::fuzz {
namespace {

// More than the valid graphs need; the runtime fails beyond it.
constexpr size_t kMostTensorBytes = 1 << 24;
constexpr int kNoTensor = -1;  // of optional inputs

// The graph of one op or two, as damaged as the choices want it. Those that derive from it add tensors and nodes.
class Graph {
 public:
  explicit Graph(Choices* choices) : choices_(*choices) {
    runtime_.SetMostTensorBytes(kMostTensorBytes);
    if (choices_.OneIn(32)) runtime_.SetNumThreads(2);
  }

  bool is_damaged() const { return is_damaged_; }
  bool Prepare() { return Try(&test::FakeRuntime::Prepare); }

  bool Invoke() {
    for (int index : inputs_) {
      TfLiteTensor& input = runtime_.tensor(index);
      const uint32_t values = choices_.OneIn(2) ? 3 : 256;
      for (size_t i = 0; input.data.uint8 != nullptr && i < input.bytes; ++i) {
        input.data.uint8[i] = static_cast<uint8_t>(choices_.Below(values));
      }
    }
    return Try(&test::FakeRuntime::Invoke);
  }

  // What a model file can say of a tensor.
  void DamageTensor() {
    const int index = AnyTensor();
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

  // Another batch for all inputs or, which is wrong, for one of them, or any dimensions.
  void ResizeInputs() {
    const int batch = static_cast<int>(choices_.Below(5));
    const bool any = choices_.OneIn(4);
    const bool only_one = choices_.OneIn(8);
    is_damaged_ |= any || (only_one && inputs_.size() > 1);
    for (int input : inputs_) {
      std::vector<int> dims = runtime_.dims(input);
      if (any || dims.empty()) {
        dims = AnyDims(dims);
      } else {
        dims[0] = batch;
      }
      runtime_.Resize(input, dims);
      if (only_one) break;
    }
  }

  // What a runtime gives the tensors of a graph that is out of order: none, too little or each other's memory.
  void DamageMemory() {
    is_damaged_ = true;
    TfLiteTensor& tensor = runtime_.tensor(AnyTensor());
    if (choices_.OneIn(8)) {
      tensor.data.uint8 = nullptr;
    } else if (choices_.OneIn(4)) {
      tensor.bytes = choices_.Below(tensor.bytes + 1);
    } else {
      ShareMemory();
    }
  }

 protected:
  int AnyTensor() { return static_cast<int>(choices_.Below(runtime_.num_tensors())); }

  // These indices of a node, or one in sixteen times others.
  std::vector<int> Tensors(std::vector<int> indices) {
    if (!choices_.OneIn(16)) return indices;
    is_damaged_ = true;
    const int other = choices_.OneIn(2) ? AnyTensor() : choices_.Of<int>({kNoTensor, 99, INT_MIN, INT_MAX});
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

  Choices& choices_;
  test::FakeRuntime runtime_;
  std::vector<int> inputs_;     // which are given values
  std::vector<int> constants_;  // whose memory is the model's
  bool is_damaged_ = false;

 private:
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

  std::vector<int> AnyDims(std::vector<int> dims) {
    if (dims.empty() || choices_.OneIn(4)) dims.assign(choices_.Below(6), 1);
    if (!dims.empty())
      dims[choices_.Below(dims.size())] = choices_.Of<int>({-1, 0, 1, 2, 3, 16, 300, INT_MAX, INT_MIN});
    return dims;
  }

  // Two tensors, or all, in a block that has no byte more than they take.
  void ShareMemory() {
    std::vector<int> sharing = {AnyTensor(), AnyTensor()};
    if (choices_.OneIn(4)) {
      sharing.resize(runtime_.num_tensors());
      std::iota(sharing.begin(), sharing.end(), 0);
    }
    size_t size = 1;
    for (int i : sharing) size = std::max(size, runtime_.tensor(i).bytes);
    blocks_.emplace_back(size + (choices_.OneIn(2) ? 0 : choices_.Below(size)));
    for (int i : sharing) {
      if (std::find(constants_.begin(), constants_.end(), i) != constants_.end()) continue;
      TfLiteTensor& tensor = runtime_.tensor(i);
      tensor.data.uint8 = blocks_.back().data() + choices_.Below(blocks_.back().size() - tensor.bytes + 1);
    }
  }

  std::vector<Bytes> blocks_;
};

// input -> FMTC_ENCODE -> coded -> FMTC_DECODE -> output
class CodecGraph : public Graph {
 public:
  CodecGraph(const FuzzCase& c, Choices* choices, const Bytes& options) : Graph(choices), case_(c) {
    is_damaged_ = options != c.options();
    AddTensors();
    test::FakeResolver resolver;
    AddFmtcOps(&resolver);
    std::vector<int> decoder_inputs = {coded_, side_};
    if (!c.table().empty()) decoder_inputs.push_back(table_);
    runtime_.AddOp("FMTC_ENCODE", Tensors({input_, side_}), Tensors({coded_}), options, &resolver);
    runtime_.AddOp("FMTC_DECODE", Tensors(decoder_inputs), Tensors({output_}), options, &resolver);
  }

  // The output is what the codec makes of the coded tensor.
  void CheckOutput() {
    const MapPlan& shape = case_.plan();
    MapPlan plan;
    EXPECT(PlanMap(case_.codec(), runtime_.dims(input_)[0], shape.height, shape.width, &plan) == Status::kOk);
    EXPECT(SetDecoderStride(case_.codec(), shape.stride_height, shape.stride_width, &plan) == Status::kOk);
    Bytes decoded(plan.decoder_output_bytes);
    Bytes workspace(DecodeWorkspaceSize(case_.codec(), plan));
    const TfLiteTensor& coded = runtime_.tensor(coded_);
    EXPECT(Decode(case_.codec(), plan, case_.type(), coded.data.uint8, coded.bytes, decoded.data(), decoded.size(),
                  workspace.data(), workspace.size()) == Status::kOk);
    if (case_.view() != nullptr) {
      decoded = test::ApplyView(*case_.view(), OutputHeight(plan), OutputWidth(plan), case_.spec().channels, decoded);
    }
    const TfLiteTensor& output = runtime_.tensor(output_);
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
    const auto size = [](uint32_t value) { return static_cast<int>(value); };
    const TfLiteType type = case_.type() == ElementType::kInt8 ? kTfLiteInt8 : kTfLiteUInt8;
    const bool is_tight = case_.spec().max_level > 0 && choices_.OneIn(2);
    const size_t capacity = is_tight ? 16 + choices_.Below(plan.item_capacity) : plan.item_capacity;
    side_ = runtime_.AddConstant(side_info, "side");
    input_ = runtime_.AddTensor(
        type, {size(plan.batch), size(plan.height), size(plan.width), size(case_.codec().side_info.EncoderChannels())},
        "input");
    coded_ = runtime_.AddTensor(kTfLiteUInt8, {size(plan.batch), static_cast<int>(capacity)}, "coded");
    std::vector<int> output = {size(plan.batch), size(OutputHeight(plan)), size(OutputWidth(plan)),
                               size(case_.spec().channels)};
    for (int i = 0; case_.view() != nullptr && i < kViewAxes; ++i) {
      output[static_cast<size_t>(i) + 1] = static_cast<int>(ViewSize(case_.view()->axes[i]));
    }
    output_ = runtime_.AddTensor(type, output, "output");
    inputs_ = {input_};
    constants_ = {side_};
    if (case_.table().empty()) return;
    table_ = runtime_.AddConstant(case_.table(), "table");
    constants_.push_back(table_);
  }

  const FuzzCase& case_;
  int side_, input_, coded_, output_, table_ = kNoTensor;
};

// inputs and program -> FMTC_REGION -> outputs
class RegionGraph : public Graph {
 public:
  RegionGraph(const FuzzCase& c, Choices* choices) : Graph(choices), region_(c.program()) {
    EXPECT(region_.status() == Status::kOk);
    runtime_.AlignTensors();
    AddTensors(region::kInput, region_.program().header->inputs, &inputs_);
    AddTensors(region::kOutput, region_.program().header->outputs, &outputs_);
    std::vector<int> inputs = inputs_;
    inputs.push_back(runtime_.AddConstant(c.program(), "program"));
    constants_ = {inputs.back()};
    test::FakeResolver resolver;
    AddFmtcOps(&resolver);
    runtime_.AddOp("FMTC_REGION", Tensors(inputs), Tensors(outputs_), {}, &resolver);
  }

  // The outputs are what the program alone gives.
  void CheckOutput() {
    std::vector<Bytes> inputs;
    for (int i : inputs_) inputs.emplace_back(Data(i), Data(i) + runtime_.tensor(i).bytes);
    const int batch = runtime_.dims(inputs_[0])[0];
    const std::vector<Bytes> expected = region_.Run(batch, inputs, choices_.Byte());
    for (size_t i = 0; i < outputs_.size(); ++i) {
      EXPECT(runtime_.tensor(outputs_[i]).bytes == expected[i].size());
      EXPECT(std::equal(expected[i].begin(), expected[i].end(), Data(outputs_[i])));
    }
  }

 private:
  const uint8_t* Data(int tensor) { return runtime_.tensor(tensor).data.uint8; }

  void AddTensors(region::Place place, int count, std::vector<int>* added) {
    for (int number = 0; number < count; ++number) {
      const region::TensorRecord* record = region_.program().tensors;
      while (record->place != place || record->number != number) ++record;
      const auto size = [](uint32_t value) { return static_cast<int>(value); };
      added->push_back(runtime_.AddTensor(static_cast<TfLiteType>(record->type),
                                          {1, size(record->height), size(record->width), size(record->channels)},
                                          "map"));
    }
  }

  test::OwnedRegion region_;
  std::vector<int> outputs_;
};

// Whether it ran to the end.
template <typename T>
bool RunGraph(T* graph, Choices* choices) {
  if (choices->OneIn(2)) {
    for (uint32_t left = 1 + choices->Below(2); left > 0; --left) graph->DamageTensor();
  }
  for (uint32_t left = 1 + choices->Below(3); left > 0; --left) {
    if (choices->OneIn(2)) graph->ResizeInputs();
    if (!graph->Prepare()) return false;
    if (choices->OneIn(3)) graph->DamageMemory();
    if (!graph->Invoke()) return false;
    if (!graph->is_damaged()) graph->CheckOutput();
  }
  return true;
}

}  // namespace

bool RunCodecOps(const FuzzCase& c, Choices choices, const Bytes& options) {
  CodecGraph graph(c, &choices, options);
  return RunGraph(&graph, &choices);
}

bool RunRegionOp(const FuzzCase& c, Choices choices) {
  RegionGraph graph(c, &choices);
  return RunGraph(&graph, &choices);
}

}  // namespace fmtc::fuzz
