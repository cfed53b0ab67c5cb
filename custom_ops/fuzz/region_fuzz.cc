// Hostile programs of regions are refused or run, and touch nothing that is not theirs.
//
// Input: eight bytes from which damage to a program follows, and the program.
#include "base/bytes.h"
#include "fuzz/fuzz_target.h"
#include "fuzz/hostile_region.h"
#include "tests/random_program.h"

namespace fmtc::fuzz {

constexpr size_t kSeedBytes = 8;

std::vector<uint8_t> MakeSeed(uint32_t index) {
  std::vector<uint8_t> seed(kSeedBytes);
  Store(seed.data(), uint64_t{index});
  const std::vector<uint8_t> program = test::RandomProgram(index);
  seed.insert(seed.end(), program.begin(), program.end());
  return seed;
}

}  // namespace fmtc::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fmtc;
  if (size < fuzz::kSeedBytes) return 0;
  fuzz::Choices choices(Load<uint64_t>(data));
  std::vector<uint8_t> program(data + fuzz::kSeedBytes, data + size);
  fuzz::MutateRegion(&choices, &program);
  fuzz::RunRegion(choices, program);
  return 0;
}
