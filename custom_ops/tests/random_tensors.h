// Tensors in scratch memory for random programs.
#ifndef FMTC_TESTS_RANDOM_TENSORS_H_
#define FMTC_TESTS_RANDOM_TENSORS_H_

#include "base/bytes.h"
#include "tests/program_builder.h"
#include "tests/random_inputs.h"

namespace fmtc::test {

inline uint8_t EightBit(Random* random) { return Draw(random, 0, 1) != 0 ? region::kInt8 : region::kUInt8; }

// Of 8 bits, with pixels of a multiple of 4 bytes or dense ones, and any padding.
inline uint16_t AddScratch(Random* random, ProgramBuilder* builder, uint32_t height, uint32_t width,
                           uint32_t channels) {
  const uint16_t index = builder->AddTensor(region::kScratch, EightBit(random), height, width, channels);
  region::TensorRecord& t = builder->tensor(index);
  if (Draw(random, 0, 1) != 0) t.pixel_bytes = static_cast<uint32_t>(RoundUp(channels, 4));
  t.padding = static_cast<uint8_t>(Draw(random, 0, 255));
  return index;
}

}  // namespace fmtc::test

#endif  // FMTC_TESTS_RANDOM_TENSORS_H_
