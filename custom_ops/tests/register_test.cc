// register.h alone: a program that links the ops, and neither the delegate nor the C API.
#include "tflite/register.h"

#include "tests/expect.h"
#include "tests/fake_runtime.h"
#include "tests/op_graph.h"

int main() {
  fmtc::test::FakeResolver resolver;
  fmtc::AddFmtcOps(&resolver);
  EXPECT(resolver.ops.size() == 3);
  EXPECT(resolver.ops.at("FMTC_ENCODE") == FmtcRegisterEncode());
  EXPECT(resolver.ops.at("FMTC_DECODE") == FmtcRegisterDecode());
  EXPECT(resolver.ops.at("FMTC_REGION") == FmtcRegisterRegion());

  fmtc::test::FakeRuntime runtime;
  fmtc::test::OpGraph graph;
  graph.Build(&runtime, &resolver);
  EXPECT(runtime.Prepare() == kTfLiteOk);
  ExpectRoundTrip(&runtime, graph);
  EXPECT(runtime.error().empty());
  return 0;
}
