// Valid programs of regions, of all kinds and rules, that follow from a seed.
#ifndef FMTC_TESTS_RANDOM_PROGRAM_H_
#define FMTC_TESTS_RANDOM_PROGRAM_H_

#include "tests/program_builder.h"

namespace fmtc::test {

ProgramBytes RandomProgram(uint32_t seed);

}  // namespace fmtc::test

#endif  // FMTC_TESTS_RANDOM_PROGRAM_H_
