// Views that FMTC_DECODE writes, in a fake interpreter, registered with a resolver (register.h) and as delegate
// kernels.
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/expect.h"
#include "tests/fake_runtime.h"
#include "tests/op_graph.h"
#include "tests/op_paths.h"
#include "tests/random_view.h"

namespace fmtc {
namespace {

using test::Build;
using test::FakeResolver;
using test::FakeRuntime;
using test::Fill;
using test::OpGraph;

// The map of an OpGraph with a row above and two columns behind, every second channel of it, and every value moved
// by 3.
test::FlexMap ViewOptions() {
  test::FlexMap options = test::MakeOptions(9, 7, 5, "int8");
  const View view{{{0, 1, 9, 1, 0}, {0, 1, 7, 0, 2}, {0, 2, 3, 0, 0}}, {0, 1, 2}, 200, nullptr};
  test::SetViewOptions(view, "uint8", &options);
  return options;
}

// A graph with one more op: a DECODE of the coded tensor that writes a view.
struct ViewGraph : OpGraph {
  test::FlexMap view_options = ViewOptions();
  std::vector<uint8_t> table_bytes = std::vector<uint8_t>(256);
  bool has_table = true;
  TfLiteType view_type = kTfLiteUInt8;
  int table, view;

  void Build(FakeRuntime* runtime, const FakeResolver* resolver) {
    OpGraph::Build(runtime, resolver);
    for (size_t i = 0; i < table_bytes.size(); ++i) table_bytes[i] = static_cast<uint8_t>(i + 3);
    table = runtime->AddConstant(table_bytes, "table");
    view = runtime->AddTensor(view_type, {1, 10, 9, 3}, "view");
    std::vector<int> inputs = {coded, side};
    if (has_table) inputs.push_back(table);
    runtime->AddOp("FMTC_DECODE", inputs, {view}, view_options.Bytes(), resolver);
  }
};

void TestView(bool with_delegate) {
  FakeRuntime runtime;
  ViewGraph model;
  model.has_table = kHasVersion2;
  Build(&model, &runtime, with_delegate);
  if (!kHasVersion2) {
    EXPECT(runtime.Prepare() == kTfLiteError);
    EXPECT_ERROR(runtime,
                 "FMTC_DECODE 'conv1/relu': written by a newer version of fmtc-tflite (format 2, this library reads up "
                 "to 1); update fmtc-tflite");
    return;
  }
  for (int batch : {1, 3, 0, 2}) {
    runtime.Resize(model.input, {batch, 9, 7, 5});
    EXPECT(runtime.Prepare() == kTfLiteOk);
    EXPECT((runtime.dims(model.view) == std::vector<int>{batch, 10, 9, 3}));
    Fill(&runtime, model.input);
    EXPECT(runtime.Invoke() == kTfLiteOk);
    const uint8_t* out = runtime.data(model.view);
    for (int n = 0; n < batch; ++n) {
      for (int y = -1; y < 9; ++y) {
        for (int x = 0; x < 9; ++x) {
          for (int c = 0; c < 3; ++c, ++out) {
            const bool is_inside = y >= 0 && x < 7;
            const uint8_t value = is_inside ? runtime.data(model.input)[((n * 9 + y) * 7 + x) * 5 + 2 * c] : 0;
            EXPECT(*out == (is_inside ? static_cast<uint8_t>(value + 3) : 200));
          }
        }
      }
    }
  }
  EXPECT(runtime.error().empty());
}

void TestViewErrors(bool with_delegate) {
  if (!kHasVersion2) return;
  const auto expect = [&](const ViewGraph& graph, const std::string& message) {
    FakeRuntime runtime;
    ViewGraph model = graph;
    Build(&model, &runtime, with_delegate);
    EXPECT(runtime.Prepare() == kTfLiteError);
    EXPECT_ERROR(runtime, "FMTC_DECODE 'conv1/relu': " + message + "; convert the model again");
  };
  ViewGraph model;
  model.view_options.Remove("before_width");
  expect(model, "its options of a view are incomplete or out of range");
  model = ViewGraph();
  model.view_options.Set("step_height", 0);
  expect(model, "its options of a view are incomplete or out of range");
  model = ViewGraph();
  model.view_options.Set("count_width", 8);
  expect(model, "its view does not fit the map that it decodes");
  model = ViewGraph();
  model.view_options.Set("axis_of_width", 1);
  expect(model, "its view does not fit the map that it decodes");
  model = ViewGraph();
  model.view_options.Set("after_height", 1);
  expect(model, "its view does not fit the map that it decodes");
  model = ViewGraph();
  model.has_table = false;
  expect(model, "its view is of another type and has no table");
  model = ViewGraph();
  model.table_bytes.resize(255);
  expect(model, "its table must be a constant uint8 tensor of 256 bytes");
}

}  // namespace
}  // namespace fmtc

int main() {
  fmtc::test::ForBothPaths(fmtc::TestView);
  fmtc::test::ForBothPaths(fmtc::TestViewErrors);
  return 0;
}
