// A graph with FMTC_ENCODE and FMTC_DECODE for the fake interpreter.
#ifndef FMTC_TESTS_OP_GRAPH_H_
#define FMTC_TESTS_OP_GRAPH_H_

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "codec/side_info.h"
#include "tests/expect.h"
#include "tests/fake_runtime.h"
#include "tests/flex_map.h"
#include "tests/side_info_builder.h"

namespace fmtc {
namespace test {

// Lossless side information with one class of 16 even tokens; all predictors in turn.
inline std::vector<uint8_t> MakeSideInfo(uint32_t channels, uint8_t max_level = 0) {
  SideInfoSpec spec;
  spec.channels = channels;
  spec.max_level = max_level;
  spec.classes_of.assign(channels, 0);
  for (uint32_t i = 0; i < channels; ++i) spec.predictors.push_back(static_cast<uint8_t>(i % kNumPredictors));
  spec.classes = {{0, 0, std::vector<uint8_t>(16, 4), std::vector<uint8_t>(16, 4)}};
  return BuildSideInfo(spec);
}

// One graph, input -> FMTC_ENCODE -> coded -> FMTC_DECODE -> output, as a test wants it.
struct OpGraph {
  std::vector<int> shape = {1, 9, 7, 5};
  TfLiteType type = kTfLiteInt8, input_type = kTfLiteNoType, output_type = kTfLiteNoType;
  TfLiteType coded_type = kTfLiteUInt8;
  int item_capacity = 400;
  bool constant_side_info = true;
  std::vector<uint8_t> side_info = MakeSideInfo(5);
  FlexMap options = MakeOptions(9, 7, 5, "int8");
  std::vector<uint8_t> raw_options;
  std::vector<int> encode_inputs;

  int side, input, coded, output;

  // Without a resolver, the ops wait for a delegate.
  void Build(FakeRuntime* runtime, const FakeResolver* resolver) {
    side = runtime->AddConstant(side_info, "side");
    if (!constant_side_info) runtime->tensor(side).allocation_type = kTfLiteArenaRw;
    input = runtime->AddTensor(input_type != kTfLiteNoType ? input_type : type, shape, "input");
    coded = runtime->AddTensor(coded_type, {shape[0], item_capacity}, "coded");
    output = runtime->AddTensor(output_type != kTfLiteNoType ? output_type : type, shape, "output");
    const std::vector<uint8_t> bytes = raw_options.empty() ? options.Bytes() : raw_options;
    if (encode_inputs.empty()) encode_inputs = {input, side};
    runtime->AddOp("FMTC_ENCODE", encode_inputs, {coded}, bytes, resolver);
    runtime->AddOp("FMTC_DECODE", {coded, side}, {output}, bytes, resolver);
  }
};

inline void Fill(FakeRuntime* runtime, int tensor) {
  uint32_t x = 1;
  for (size_t i = 0; i < runtime->tensor(tensor).bytes; ++i) {
    x = x * 1664525 + 1013904223;
    runtime->data(tensor)[i] = static_cast<uint8_t>(i % 7 + (x >> 30));
  }
}

inline void ExpectRoundTrip(FakeRuntime* runtime, const OpGraph& model) {
  Fill(runtime, model.input);
  EXPECT(runtime->Invoke() == kTfLiteOk);
  EXPECT(runtime->tensor(model.input).bytes == runtime->tensor(model.output).bytes);
  EXPECT(std::memcmp(runtime->data(model.input), runtime->data(model.output), runtime->tensor(model.input).bytes) == 0);
}

}  // namespace test
}  // namespace fmtc

#endif  // FMTC_TESTS_OP_GRAPH_H_
