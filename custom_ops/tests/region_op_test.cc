// FMTC_REGION in a fake interpreter, registered with a resolver and as a delegate's kernel.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "region/parameters.h"
#include "tests/expect.h"
#include "tests/fake_runtime.h"
#include "tests/program_builder.h"
#include "tflite/register.h"

extern "C" {
TfLiteDelegate* tflite_plugin_create_delegate(char** keys, char** values, size_t num_options,
                                              void (*report_error)(const char*));
}

namespace fmtc {
namespace {

using test::FakeResolver;
using test::FakeRuntime;

// One line, with this in it.
void ExpectError(const FakeRuntime& runtime, const char* text) {
  const std::string& error = runtime.error();
  const bool is_line = std::count(error.begin(), error.end(), '\n') == 1;
  if (is_line && error.find(text) != std::string::npos) return;
  std::fprintf(stderr, "got '%s', expected '%s' in it\n", error.c_str(), text);
  std::exit(1);
}

constexpr uint32_t kHeight = 4, kWidth = 3, kChannels = 5;

// int8 to uint8, through a ring of one row; a second input of float32 becomes a second output.
test::ProgramBytes MakeProgram() {
  test::ProgramBuilder builder;
  const uint16_t input = builder.AddTensor(region::kInput, region::kInt8, kHeight, kWidth, kChannels);
  const uint16_t ring = builder.AddTensor(region::kScratch, region::kInt8, kHeight, kWidth, kChannels);
  const uint16_t output = builder.AddTensor(region::kOutput, region::kUInt8, kHeight, kWidth, kChannels);
  const uint16_t numbers = builder.AddTensor(region::kInput, region::kFloat32, 1, 1, 2);
  const uint16_t quantized = builder.AddTensor(region::kScratch, region::kUInt8, 1, 1, 2);
  const uint16_t values = builder.AddTensor(region::kOutput, region::kInt8, 1, 1, 2);
  builder.AddOp(region::kCopy, 1, {input}, ring);
  builder.AddOp(region::kCopy, 1, {ring}, output);
  builder.AddOp(region::kQuantize, 3, {numbers}, quantized, region::QuantizeParameters{0.5f, 2.0f, 128, 0, 255, 0, 0});
  builder.AddOp(region::kCopy, 1, {quantized}, values);
  return builder.Finish();
}

struct RegionGraph {
  std::vector<int> shape = {1, kHeight, kWidth, kChannels}, output_shape = {1, kHeight*kWidth, kChannels};
  std::vector<int> numbers_shape = {1, 2};
  TfLiteType type = kTfLiteInt8;
  test::ProgramBytes program_bytes = MakeProgram();
  bool constant_program = true;

  int input, numbers, program, output, values;

  void Build(FakeRuntime* runtime, bool with_delegate) {
    FakeResolver resolver;
    AddFmtcOps(&resolver);
    input = runtime->AddTensor(type, shape, "input");
    numbers = runtime->AddTensor(kTfLiteFloat32, numbers_shape, "numbers");
    program = runtime->AddConstant(program_bytes, "program");
    if (!constant_program) runtime->tensor(program).allocation_type = kTfLiteArenaRw;
    output = runtime->AddTensor(kTfLiteUInt8, output_shape, "output");
    values = runtime->AddTensor(kTfLiteInt8, {1, 2}, "values");
    runtime->AddOp("FMTC_REGION", {input, numbers, program}, {output, values}, {}, with_delegate ? nullptr : &resolver);
    if (!with_delegate) return;
    EXPECT(runtime->ApplyDelegate(tflite_plugin_create_delegate(nullptr, nullptr, 0, nullptr)) == kTfLiteOk);
    EXPECT(runtime->num_unresolved() == 0);
  }
};

void ExpectRuns(FakeRuntime* runtime, const RegionGraph& graph, int batch) {
  const size_t bytes = runtime->tensor(graph.input).bytes;
  EXPECT(bytes == static_cast<size_t>(batch) * kHeight * kWidth * kChannels);
  for (size_t i = 0; i < bytes; ++i) runtime->data(graph.input)[i] = static_cast<uint8_t>(i * 7);
  for (int i = 0; i < 2 * batch; ++i) {
    const float number = static_cast<float>(i) * 0.5f - 1;
    std::memcpy(runtime->data(graph.numbers) + 4 * i, &number, sizeof(number));
  }
  EXPECT(runtime->Invoke() == kTfLiteOk);
  EXPECT(runtime->dims(graph.output) == (std::vector<int>{batch, kHeight * kWidth, kChannels}));
  for (size_t i = 0; i < bytes; ++i) {
    EXPECT(runtime->data(graph.output)[i] == (runtime->data(graph.input)[i] ^ 0x80));
  }
  for (int i = 0; i < 2 * batch; ++i) EXPECT(static_cast<int8_t>(runtime->data(graph.values)[i]) == i - 2);
}

// Prepare runs again after each resize; nothing piles up.
void TestBatchIsFollowed(bool with_delegate) {
  FakeRuntime runtime;
  runtime.AlignTensors();
  RegionGraph graph;
  graph.Build(&runtime, with_delegate);
  size_t tensors = 0;
  for (int batch : {1, 1, 3, 0, 2}) {
    runtime.Resize(graph.input, {batch, kHeight, kWidth, kChannels});
    runtime.Resize(graph.numbers, {batch, 2});
    EXPECT(runtime.Prepare() == kTfLiteOk);
    ExpectRuns(&runtime, graph, batch);
    if (tensors == 0) tensors = runtime.num_tensors();
    EXPECT(runtime.num_tensors() == tensors);
  }
  EXPECT(runtime.error().empty());
}

void ExpectRefused(const std::function<void(RegionGraph*)>& change, const char* error) {
  FakeRuntime runtime;
  runtime.AlignTensors();
  RegionGraph graph;
  change(&graph);
  graph.Build(&runtime, false);
  EXPECT(runtime.Prepare() == kTfLiteError);
  ExpectError(runtime, error);
}

void TestPrepareRefuses() {
  ExpectRefused([](RegionGraph* g) { g->shape[1] = 5; },
                "FMTC_REGION 'output': 'input' was converted as int8 [*,4,3,5], got int8 [1,5,3,5]; convert again with "
                "--input_shape for this size");
  ExpectRefused([](RegionGraph* g) { g->type = kTfLiteUInt8; }, "got uint8 [1,4,3,5]");
  ExpectRefused([](RegionGraph* g) { g->numbers_shape = {2, 2}; }, "batches of 1 and 2");
  ExpectRefused([](RegionGraph* g) { g->output_shape = {1, 59}; }, "'output' was converted as uint8 [*,4,3,5]");
  ExpectRefused([](RegionGraph* g) { g->constant_program = false; }, "must be a constant uint8 tensor");
  ExpectRefused([](RegionGraph* g) { g->program_bytes[100] ^= 1; }, "checksum");
  ExpectRefused([](RegionGraph* g) { g->program_bytes.resize(48); }, "shorter");
}

void TestProgramMustBeAligned() {
  FakeRuntime runtime;
  RegionGraph graph;
  graph.Build(&runtime, false);
  EXPECT(runtime.Prepare() == kTfLiteError);
  ExpectError(runtime, "multiple of 16");
}

// What a damaged model's plan of memory can bring about.
void TestInvokeRefusesSharedMemory() {
  FakeRuntime runtime;
  runtime.AlignTensors();
  RegionGraph graph;
  graph.Build(&runtime, false);
  EXPECT(runtime.Prepare() == kTfLiteOk);
  uint8_t* const apart = runtime.tensor(graph.output).data.uint8;
  runtime.tensor(graph.output).data.uint8 = runtime.data(graph.input) + 5;
  EXPECT(runtime.Invoke() == kTfLiteError);
  ExpectError(runtime, "share memory");
  runtime.ClearError();
  runtime.tensor(graph.output).data.uint8 = nullptr;
  EXPECT(runtime.Invoke() == kTfLiteError);
  ExpectError(runtime, "has no memory");
  runtime.ClearError();
  runtime.tensor(graph.output).data.uint8 = apart;
  ExpectRuns(&runtime, graph, 1);
}

}  // namespace
}  // namespace fmtc

int main() {
  for (bool with_delegate : {false, true}) fmtc::TestBatchIsFollowed(with_delegate);
  fmtc::TestPrepareRefuses();
  fmtc::TestProgramMustBeAligned();
  fmtc::TestInvokeRefusesSharedMemory();
  return 0;
}
