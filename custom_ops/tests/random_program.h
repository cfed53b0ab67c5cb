// Valid programs of regions, of all kinds and rules, that follow from a seed.
#ifndef FMTC_TESTS_RANDOM_PROGRAM_H_
#define FMTC_TESTS_RANDOM_PROGRAM_H_

#include "tests/program_builder.h"

namespace fmtc::test {

// What it computes follows from the seed alone; strips and windowed as in ProgramBuilder::Finish.
ProgramBytes RandomProgram(uint32_t seed, uint32_t strips, bool windowed);

// The same, in strips and windowed or not as the seed says.
ProgramBytes RandomProgram(uint32_t seed);

// With more columns and output channels, such as threads divide, in one pass or several that lie over one another.
ProgramBytes RandomWideProgram(uint32_t seed);

}  // namespace fmtc::test

#endif  // FMTC_TESTS_RANDOM_PROGRAM_H_
