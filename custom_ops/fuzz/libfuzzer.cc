// Entry points of libFuzzer for the target that the environment variable FMTC_FUZZ_TARGET names. Its inputs are those
// of the driver, and half of the mutations, too.
#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>

#include "codec/kernels/dispatch.h"
#include "fuzz/mutate.h"
#include "fuzz/target.h"
#include "tests/expect.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned int seed);

namespace {

using fmtc::fuzz::FuzzCase;

// So few that all stay in memory: building one takes as long as a hundred inputs.
constexpr uint32_t kCases = 1024;

const fmtc::fuzz::Target& ThisTarget() {
  static const char* const name = std::getenv("FMTC_FUZZ_TARGET");
  static const fmtc::fuzz::Target* const target = fmtc::fuzz::FindTarget(name != nullptr ? name : "");
  EXPECT(target != nullptr);
  return *target;
}

const FuzzCase& CaseOf(const fmtc::fuzz::Input& input) {
  static std::map<uint32_t, std::unique_ptr<FuzzCase>> cases;
  std::unique_ptr<FuzzCase>& c = cases[input.case_number % kCases];
  if (c == nullptr) c = std::make_unique<FuzzCase>(input.case_number % kCases);
  return *c;
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const fmtc::fuzz::Input input = fmtc::fuzz::ReadInput(data, size);
  RunInput(ThisTarget(), CaseOf(input), fmtc::ChosenKernels().kernels, input);
  return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned int seed) {
  fmtc::fuzz::Choices choices(seed);
  if (choices.OneIn(2)) return LLVMFuzzerMutate(data, size, max_size);
  fmtc::fuzz::Input input = fmtc::fuzz::ReadInput(data, size);
  const FuzzCase& c = CaseOf(input);
  if (input.bytes.empty() || choices.OneIn(8)) {
    input = MakeInput(ThisTarget(), c, static_cast<uint32_t>(choices.Next()));
  } else {
    ThisTarget().mutate(c, &choices, &input.bytes);
  }
  const fmtc::fuzz::Bytes bytes = WriteInput(input);
  const size_t written = std::min(bytes.size(), max_size);
  std::copy_n(bytes.begin(), written, data);
  return written;
}
