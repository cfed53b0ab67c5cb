// What tests of ops in a fake interpreter share: both ways to get the ops, and the line that an error is.
#ifndef FMTC_TESTS_OP_PATHS_H_
#define FMTC_TESTS_OP_PATHS_H_

#include <cstdio>
#include <cstdlib>
#include <string>

#include "tests/expect.h"
#include "tests/fake_runtime.h"
#include "tflite/register.h"

extern "C" {
TfLiteDelegate* tflite_plugin_create_delegate(char** keys, char** values, size_t num_options,
                                              void (*report_error)(const char*));
void tflite_plugin_destroy_delegate(TfLiteDelegate* delegate);
}

// One line.
#define EXPECT_ERROR(runtime, text)                                                             \
  do {                                                                                          \
    if ((runtime).error() != std::string(text) + "\n") {                                        \
      std::fprintf(stderr, "%s:%d: got '%s'\n", __FILE__, __LINE__, (runtime).error().c_str()); \
      std::exit(1);                                                                             \
    }                                                                                           \
  } while (0)

namespace fmtc {
namespace test {

// Builds a graph whose ops are registered with a resolver or, `with_delegate`, are the delegate's kernels.
template <typename Graph>
void Build(Graph* model, FakeRuntime* runtime, bool with_delegate) {
  FakeResolver resolver;
  AddFmtcOps(&resolver);
  model->Build(runtime, with_delegate ? nullptr : &resolver);
  if (with_delegate) {
    TfLiteDelegate* delegate = tflite_plugin_create_delegate(nullptr, nullptr, 0, nullptr);
    EXPECT(runtime->ApplyDelegate(delegate) == kTfLiteOk);
    EXPECT(runtime->num_unresolved() == 0);
    tflite_plugin_destroy_delegate(delegate);
  }
}

// Runs a test with either.
template <typename Test>
void ForBothPaths(const Test& test) {
  test(false);
  test(true);
}

}  // namespace test
}  // namespace fmtc

#endif  // FMTC_TESTS_OP_PATHS_H_
