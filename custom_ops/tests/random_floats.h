// Kinds of float32 for random programs.
#ifndef FMTC_TESTS_RANDOM_FLOATS_H_
#define FMTC_TESTS_RANDOM_FLOATS_H_

#include "tests/program_builder.h"
#include "tests/random_inputs.h"

namespace fmtc::test {

// Adds an input of the region of whole numbers and ops that make float32 of them.
uint16_t AddFloatInput(Random* random, ProgramBuilder* builder, uint32_t height, uint32_t width, uint32_t channels);

// Adds ops that make float32 of an 8-bit tensor in scratch memory, and some arithmetic. `place`: where the last tensor
// lies.
uint16_t AddFloats(Random* random, ProgramBuilder* builder, uint16_t from, uint8_t place);

// Adds a QUANTIZE from a tensor of float32 to one of 8 bits in scratch memory.
void AddQuantize(Random* random, ProgramBuilder* builder, uint16_t from, uint16_t to);

}  // namespace fmtc::test

#endif  // FMTC_TESTS_RANDOM_FLOATS_H_
