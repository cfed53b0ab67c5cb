// ENCODE and DECODE for random programs.
#ifndef FMTC_TESTS_RANDOM_CODERS_H_
#define FMTC_TESTS_RANDOM_CODERS_H_

#include "tests/program_builder.h"
#include "tests/random_inputs.h"

namespace fmtc::test {

// Of rows, and of columns.
struct SegmentCounts {
  uint32_t shares, groups;
};

// Side information that regions take: of steps, or lossless.
SideInfoSpec RandomStorable(Random* random, uint32_t channels, Transform transform);

// Adds an op that encodes a tensor of 8 bits in scratch memory in so many segments, and one that decodes them.
uint16_t AddCoders(Random* random, ProgramBuilder* builder, uint16_t from, SegmentCounts counts,
                   const SideInfoSpec& spec);

// In random numbers of them, with random side information.
uint16_t AddCoders(Random* random, ProgramBuilder* builder, uint16_t from);

}  // namespace fmtc::test

#endif  // FMTC_TESTS_RANDOM_CODERS_H_
