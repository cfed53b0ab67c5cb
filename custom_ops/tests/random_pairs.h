// Ops of two operands (ADD, MULTIPLY, EXTREMUM, PRELU) for random programs.
#ifndef FMTC_TESTS_RANDOM_PAIRS_H_
#define FMTC_TESTS_RANDOM_PAIRS_H_

#include <vector>

#include "tests/program_builder.h"
#include "tests/random_tensors.h"

namespace fmtc::test {

class RandomPairs {
 public:
  RandomPairs(Random* random, ProgramBuilder* builder) : random_(*random), builder_(*builder) {}

  // An op of a tensor and a second operand: the same, a pixel of it, another input of the region, or constants. Its
  // output has the tensor's shape.
  uint16_t Add(uint16_t tensor);

 private:
  int32_t Draw(int32_t low, int32_t high) { return test::Draw(&random_, low, high); }
  uint8_t Byte(int32_t low = 0, int32_t high = 255) { return static_cast<uint8_t>(Draw(low, high)); }
  uint16_t AddScratch(uint32_t height, uint32_t width, uint32_t channels) {
    return test::AddScratch(&random_, &builder_, height, width, channels);
  }
  std::vector<uint16_t> Operands(uint16_t tensor, bool is_sum, uint32_t* constants_offset);
  uint16_t AddMean(uint16_t tensor);
  uint16_t AddNarrowInput(uint16_t tensor, bool all_channels);
  void AddSum(const std::vector<uint16_t>& operands, uint32_t constants_offset, uint16_t to);
  void AddProduct(const std::vector<uint16_t>& operands, uint32_t constants_offset, uint16_t to);
  void AddPrelu(const std::vector<uint16_t>& operands, uint32_t constants_offset, uint16_t to);

  Random& random_;
  ProgramBuilder& builder_;
};

}  // namespace fmtc::test

#endif  // FMTC_TESTS_RANDOM_PAIRS_H_
