// FMTC_ENCODE and FMTC_DECODE in a fake interpreter, registered with a resolver (register.h) and as delegate kernels.
#include <algorithm>
#include <climits>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "tests/expect.h"
#include "tests/fake_runtime.h"
#include "tests/op_graph.h"
#include "tests/op_paths.h"
#include "tflite/register.h"

namespace fmtc {
namespace {

using test::Build;
using test::ExpectRoundTrip;
using test::FakeResolver;
using test::FakeRuntime;
using test::Fill;
using test::MakeSideInfo;
using test::OpGraph;

void TestRoundTrip(bool with_delegate) {
  for (TfLiteType type : {kTfLiteInt8, kTfLiteUInt8}) {
    FakeRuntime runtime;
    OpGraph model;
    model.type = type;
    model.options.Set("type", type == kTfLiteInt8 ? "int8" : "uint8");
    Build(&model, &runtime, with_delegate);
    EXPECT(runtime.Prepare() == kTfLiteOk);
    ExpectRoundTrip(&runtime, model);
    ExpectRoundTrip(&runtime, model);
  }
}

// Prepare runs again after each resize. Everything is followed, and nothing piles up.
void TestBatchIsFollowed(bool with_delegate) {
  FakeRuntime runtime;
  OpGraph model;
  Build(&model, &runtime, with_delegate);
  for (int batch : {1, 1, 3, 0, 2, 17}) {
    runtime.Resize(model.input, {batch, 9, 7, 5});
    EXPECT(runtime.Prepare() == kTfLiteOk);
    EXPECT(runtime.num_tensors() == 6);
    EXPECT((runtime.dims(model.coded) == std::vector<int>{batch, 400}));
    EXPECT((runtime.dims(model.output) == std::vector<int>{batch, 9, 7, 5}));
    ExpectRoundTrip(&runtime, model);
  }
  EXPECT(runtime.error().empty());
}

void ExpectPrepareError(bool with_delegate, OpGraph model, const std::string& message) {
  FakeRuntime runtime;
  Build(&model, &runtime, with_delegate);
  EXPECT(runtime.Prepare() == kTfLiteError);
  EXPECT_ERROR(runtime, message);
}

void TestOptionErrors(bool with_delegate) {
  OpGraph model;
  model.raw_options = {1, 2, 3};
  ExpectPrepareError(with_delegate, model,
                     "FMTC_ENCODE 'coded': its options are not a flexbuffer map; convert the model again");
  model = OpGraph();
  model.options.Remove("width");
  ExpectPrepareError(with_delegate, model,
                     "FMTC_ENCODE 'conv1/relu': its option 'height', 'width' or 'channels' is missing or out of range; "
                     "convert the model again");
  model = OpGraph();
  model.options.Set("format_version", 3);
  ExpectPrepareError(with_delegate, model,
                     "FMTC_ENCODE 'conv1/relu': written by a newer version of fmtc-tflite (format 3, this library "
                     "reads up to " +
                         std::to_string(kFormatVersion) + "); update fmtc-tflite");
  model = OpGraph();
  model.options.Set("channels", 6);
  ExpectPrepareError(with_delegate, model,
                     "FMTC_ENCODE 'conv1/relu': its options say 6 channels, its side information 5; "
                     "convert the model again");
}

void TestSideInfoErrors(bool with_delegate) {
  OpGraph model;
  model.side_info.back() ^= 1;
  ExpectPrepareError(with_delegate, model,
                     "FMTC_ENCODE 'conv1/relu': side information is damaged: bad magic, checksum, field or table; "
                     "convert the model again");
  model = OpGraph();
  model.side_info[4] = 9;
  ExpectPrepareError(with_delegate, model,
                     "FMTC_ENCODE 'conv1/relu': written by a newer version of fmtc-tflite (format 9, this library "
                     "reads up to " +
                         std::to_string(kFormatVersion) + "); update fmtc-tflite");
  model = OpGraph();
  model.side_info.resize(20);
  ExpectPrepareError(with_delegate, model,
                     "FMTC_ENCODE 'conv1/relu': side information is shorter than its fields say; "
                     "convert the model again");
  model = OpGraph();
  model.constant_side_info = false;
  ExpectPrepareError(with_delegate, model,
                     "FMTC_ENCODE 'conv1/relu': its side information must be a constant uint8 tensor; "
                     "convert the model again");
}

void TestTensorErrors(bool with_delegate) {
  OpGraph model;
  model.input_type = kTfLiteUInt8;
  ExpectPrepareError(with_delegate, model,
                     "FMTC_ENCODE 'conv1/relu': converted for int8, got uint8; reconvert the model for this type");
  model = OpGraph();
  model.output_type = kTfLiteFloat32;
  ExpectPrepareError(with_delegate, model,
                     "FMTC_DECODE 'conv1/relu': converted for int8, got float32; reconvert the model for this type");
  model = OpGraph();
  model.coded_type = kTfLiteInt8;
  ExpectPrepareError(with_delegate, model,
                     "FMTC_ENCODE 'conv1/relu': its coded tensor must be uint8 [batch, bytes], got int8 [1,400]; "
                     "convert the model again");
  model = OpGraph();
  model.item_capacity = 328;
  ExpectPrepareError(with_delegate, model,
                     "FMTC_ENCODE 'conv1/relu': its coded tensor has 328 bytes per item, needs 336; "
                     "convert the model again");
  model = OpGraph();
  model.item_capacity = 2 * 336;
  FakeRuntime enough;
  Build(&model, &enough, with_delegate);
  EXPECT(enough.Prepare() == kTfLiteOk);
  for (const int too_much : {2 * 336 + 1, INT_MAX}) {
    model.item_capacity = 16;  // the fake runtime allocates at once
    FakeRuntime runtime;
    Build(&model, &runtime, with_delegate);
    runtime.tensor(model.coded).dims->data[1] = too_much;
    EXPECT(runtime.Prepare() == kTfLiteError);
    EXPECT_ERROR(runtime, "FMTC_ENCODE 'conv1/relu': its coded tensor has " + std::to_string(too_much) +
                              " bytes per item, a map of its shape needs at most 336; convert the model again");
  }
  for (const std::vector<int>& inputs : {std::vector<int>{1}, {1, -1}, {1, 99}, {0, 1, 2}}) {
    model = OpGraph();
    model.encode_inputs = inputs;
    FakeRuntime runtime;
    Build(&model, &runtime, with_delegate);
    EXPECT(runtime.Prepare() == kTfLiteError);
    EXPECT(runtime.error().find("it must have 2 inputs and 1 output") != std::string::npos);
  }
}

void TestOtherShapesAreRefused(bool with_delegate) {
  FakeRuntime runtime;
  OpGraph model;
  Build(&model, &runtime, with_delegate);
  EXPECT(runtime.Prepare() == kTfLiteOk);
  runtime.Resize(model.input, {1, 9, 8, 5});
  EXPECT(runtime.Prepare() == kTfLiteError);
  EXPECT_ERROR(runtime,
               "FMTC_ENCODE 'conv1/relu': converted for [*,9,7,5], got [1,9,8,5]; "
               "reconvert the model for this size");
  runtime.ClearError();
  runtime.Resize(model.input, {1, 315});
  EXPECT(runtime.Prepare() == kTfLiteError);
  runtime.Resize(model.input, {2, 9, 7, 5});
  EXPECT(runtime.Prepare() == kTfLiteOk);
  ExpectRoundTrip(&runtime, model);
}

void TestSmallCapacityWithLevels(bool with_delegate) {
  FakeRuntime runtime;
  OpGraph model;
  model.side_info = MakeSideInfo(5, 5);
  model.item_capacity = 16;
  Build(&model, &runtime, with_delegate);
  EXPECT(runtime.Prepare() == kTfLiteOk);
  Fill(&runtime, model.input);
  EXPECT(runtime.Invoke() == kTfLiteOk);  // the constant level
}

// The runtime plans memory for the order in which it gets the ops, and writes where it is told to.
void TestWhatInvokeCannotTrust(bool with_delegate) {
  const char* const shared = "its tensors share memory, as those of ops in a wrong order do; convert the model again";
  const auto expect_refused = [&](const char* op, const char* message, const auto& change) {
    FakeRuntime runtime;
    OpGraph model;
    Build(&model, &runtime, with_delegate);
    EXPECT(runtime.Prepare() == kTfLiteOk);
    Fill(&runtime, model.input);
    change(&runtime, model);
    EXPECT(runtime.Invoke() == kTfLiteError);
    EXPECT_ERROR(runtime, std::string(op) + " 'conv1/relu': " + message);
  };
  const auto place = [](int to, int from, long distance) {
    return [=](FakeRuntime* runtime, const OpGraph& model) {
      const int tensors[] = {model.input, model.coded, model.output, model.side, 4, 5};
      runtime->tensor(tensors[to]).data.uint8 = runtime->data(tensors[from]) + distance;
    };
  };
  constexpr int kInput = 0, kCoded = 1, kOutput = 2, kSide = 3, kEncodeWorkspace = 4, kDecodeWorkspace = 5;
  for (long distance : {0, 8, -8}) {
    expect_refused("FMTC_ENCODE", shared, place(kCoded, kInput, distance));
    expect_refused("FMTC_ENCODE", shared, place(kCoded, kSide, distance));
    expect_refused("FMTC_ENCODE", shared, place(kEncodeWorkspace, kInput, distance));
    expect_refused("FMTC_ENCODE", shared, place(kCoded, kEncodeWorkspace, distance));
    expect_refused("FMTC_DECODE", shared, place(kOutput, kCoded, distance));
    expect_refused("FMTC_DECODE", shared, place(kOutput, kSide, distance));
    expect_refused("FMTC_DECODE", shared, place(kDecodeWorkspace, kCoded, distance));
    expect_refused("FMTC_DECODE", shared, place(kOutput, kDecodeWorkspace, distance));
  }
  const char* const no_memory = "a tensor of it has no memory; its model is damaged, or was not prepared";
  expect_refused("FMTC_ENCODE", no_memory,
                 [](FakeRuntime* runtime, const OpGraph& model) { runtime->tensor(model.coded).data = {}; });
  expect_refused("FMTC_DECODE", no_memory, [](FakeRuntime* runtime, const OpGraph&) { runtime->tensor(5).data = {}; });
  const char* const constant = "its output is a constant of the model; convert the model again";
  expect_refused("FMTC_DECODE", constant, [](FakeRuntime* runtime, const OpGraph& model) {
    runtime->tensor(model.output).allocation_type = kTfLiteMmapRo;
  });
  // What another op has resized.
  const char* const size =
      "invalid argument: null pointer, or a size that is negative, too large or not the feature map's";
  expect_refused("FMTC_ENCODE", (std::string("cannot encode: ") + size).c_str(),
                 [](FakeRuntime* runtime, const OpGraph& model) {
                   runtime->Resize(model.input, {1, 9, 7, 6});
                 });
  expect_refused("FMTC_DECODE", (std::string("cannot decode: ") + size).c_str(),
                 [](FakeRuntime* runtime, const OpGraph& model) {
                   runtime->Resize(model.output, {1, 9, 7, 4});
                 });
  expect_refused("FMTC_ENCODE",
                 "cannot encode: buffer too small: output, memory or workspace is smaller than the codec asks for",
                 [](FakeRuntime* runtime, const OpGraph&) { runtime->Resize(4, {100}); });
  FakeRuntime runtime;
  OpGraph model;
  Build(&model, &runtime, with_delegate);
  EXPECT(runtime.Invoke() == kTfLiteError);
  EXPECT_ERROR(runtime, std::string("FMTC_ENCODE 'conv1/relu': ") + no_memory);
}

void TestOutputsThatCannotBe(bool with_delegate) {
  for (const TfLiteAllocationType type : {kTfLiteMmapRo, kTfLitePersistentRo}) {
    FakeRuntime runtime;
    OpGraph model;
    Build(&model, &runtime, with_delegate);
    runtime.tensor(model.coded).allocation_type = type;
    EXPECT(runtime.Prepare() == kTfLiteError);
    EXPECT_ERROR(runtime, "FMTC_ENCODE 'conv1/relu': its output is a constant of the model; convert the model again");
  }
  FakeRuntime runtime;
  FakeResolver resolver;
  AddFmtcOps(&resolver);
  const int side = runtime.AddConstant(MakeSideInfo(5), "side");
  const int map = runtime.AddTensor(kTfLiteInt8, {1, 9, 7, 5}, "map");
  const std::vector<uint8_t> options = test::MakeOptions(9, 7, 5, "int8").Bytes();
  runtime.AddOp("FMTC_ENCODE", {map, side}, {map}, options, with_delegate ? nullptr : &resolver);
  if (with_delegate) runtime.ApplyDelegate(tflite_plugin_create_delegate(nullptr, nullptr, 0, nullptr));
  EXPECT(runtime.Prepare() == kTfLiteError);
  EXPECT_ERROR(runtime, "FMTC_ENCODE 'conv1/relu': its output is one of its inputs; convert the model again");
}

// Damages the coded tensor between the two ops, by running the decoder in a graph of its own.
void TestCorruptCodedBytes(bool with_delegate) {
  FakeRuntime encoder;
  OpGraph model;
  Build(&model, &encoder, with_delegate);
  EXPECT(encoder.Prepare() == kTfLiteOk);
  Fill(&encoder, model.input);
  EXPECT(encoder.Invoke() == kTfLiteOk);
  const std::vector<uint8_t> coded(encoder.data(model.coded), encoder.data(model.coded) + 400);

  FakeRuntime decoder;
  FakeResolver resolver;
  AddFmtcOps(&resolver);
  const int side = decoder.AddConstant(model.side_info, "side");
  const int input = decoder.AddTensor(kTfLiteUInt8, {1, 400}, "coded");
  const int output = decoder.AddTensor(kTfLiteInt8, model.shape, "output");
  decoder.AddOp("FMTC_DECODE", {input, side}, {output}, model.options.Bytes(), with_delegate ? nullptr : &resolver);
  if (with_delegate) decoder.ApplyDelegate(tflite_plugin_create_delegate(nullptr, nullptr, 0, nullptr));
  EXPECT(decoder.Prepare() == kTfLiteOk);
  const uint32_t payload = Load<uint32_t>(&coded[8]);
  for (size_t i = 0; i < payload; ++i) {
    std::copy(coded.begin(), coded.end(), decoder.data(input));
    decoder.data(input)[i] ^= 1 << i % 8;
    decoder.ClearError();
    EXPECT(decoder.Invoke() == kTfLiteError);
    EXPECT(decoder.error().rfind("FMTC_DECODE 'conv1/relu': cannot decode: ", 0) == 0);
  }
  std::copy(coded.begin(), coded.end(), decoder.data(input));
  EXPECT(decoder.Invoke() == kTfLiteOk);
  EXPECT(std::memcmp(encoder.data(model.input), decoder.data(output), encoder.tensor(model.input).bytes) == 0);
}

void TestDelegateLeavesOtherOps() {
  FakeRuntime runtime;
  runtime.AddTensor(kTfLiteInt8, {1}, "x");
  for (const char* name : {"FMTC_ENCODER", "OTHER", ""}) runtime.AddOp(name, {0}, {0}, {}, nullptr);
  EXPECT(runtime.ApplyDelegate(tflite_plugin_create_delegate(nullptr, nullptr, 0, nullptr)) == kTfLiteOk);
  EXPECT(runtime.num_unresolved() == 3);
}

void TestDelegateLeavesResolvedOps() {
  FakeRuntime runtime;
  OpGraph model;
  Build(&model, &runtime, true);
  EXPECT(runtime.ApplyDelegate(tflite_plugin_create_delegate(nullptr, nullptr, 0, nullptr)) == kTfLiteOk);
  EXPECT(runtime.Prepare() == kTfLiteOk);
  ExpectRoundTrip(&runtime, model);
}

std::string g_reported;

void TestDelegateRefusesOptions() {
  char key[] = "threads", value[] = "4";
  char* keys[] = {key};
  char* values[] = {value};
  auto report = [](const char* message) { g_reported = message; };
  EXPECT(tflite_plugin_create_delegate(keys, values, 1, report) == nullptr);
  EXPECT(g_reported == "fmtc-tflite delegate: unknown option 'threads'; it takes no options");
  EXPECT(tflite_plugin_create_delegate(keys, values, 1, nullptr) == nullptr);
  tflite_plugin_destroy_delegate(nullptr);
}

}  // namespace
}  // namespace fmtc

int main() {
  for (auto* test : {fmtc::TestRoundTrip, fmtc::TestBatchIsFollowed, fmtc::TestOptionErrors, fmtc::TestSideInfoErrors,
                     fmtc::TestTensorErrors, fmtc::TestOtherShapesAreRefused, fmtc::TestSmallCapacityWithLevels,
                     fmtc::TestWhatInvokeCannotTrust, fmtc::TestOutputsThatCannotBe, fmtc::TestCorruptCodedBytes}) {
    fmtc::test::ForBothPaths(test);
  }
  fmtc::TestDelegateLeavesOtherOps();
  fmtc::TestDelegateLeavesResolvedOps();
  fmtc::TestDelegateRefusesOptions();
  return 0;
}
