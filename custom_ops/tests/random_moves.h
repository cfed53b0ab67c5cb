// Ops that move values (PAD, SLICE, CONCATENATION, MIRROR_PAD and blocks of pixels) for random programs.
#ifndef FMTC_TESTS_RANDOM_MOVES_H_
#define FMTC_TESTS_RANDOM_MOVES_H_

#include "tests/program_builder.h"
#include "tests/random_tensors.h"

namespace fmtc::test {

class RandomMoves {
 public:
  RandomMoves(Random* random, ProgramBuilder* builder) : random_(*random), builder_(*builder) {}

  // What an op makes of a tensor; the tensor itself where it would be too large.
  uint16_t Add(uint16_t tensor);

 private:
  int32_t Draw(int32_t low, int32_t high) { return test::Draw(&random_, low, high); }
  uint32_t Number(int32_t low, int32_t high) { return static_cast<uint32_t>(Draw(low, high)); }
  uint8_t Byte(int32_t low = 0, int32_t high = 255) { return static_cast<uint8_t>(Draw(low, high)); }
  uint16_t AddScratch(uint32_t height, uint32_t width, uint32_t channels) {
    return test::AddScratch(&random_, &builder_, height, width, channels);
  }
  uint32_t Mirrored(uint32_t size, uint32_t skipped);
  uint16_t AddPad(uint16_t tensor);
  uint16_t AddSlice(uint16_t tensor);
  uint16_t AddConcatenation(uint16_t tensor);
  uint16_t AddMirrorPad(uint16_t tensor);
  uint16_t AddDepthToSpace(uint16_t tensor);
  uint16_t AddSpaceToDepth(uint16_t tensor);

  Random& random_;
  ProgramBuilder& builder_;
};

}  // namespace fmtc::test

#endif  // FMTC_TESTS_RANDOM_MOVES_H_
