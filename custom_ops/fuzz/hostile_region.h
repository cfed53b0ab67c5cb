// Hostile programs of regions.
#ifndef FMTC_FUZZ_HOSTILE_REGION_H_
#define FMTC_FUZZ_HOSTILE_REGION_H_

#include <cstdint>
#include <vector>

#include "fuzz/choices.h"

namespace fmtc::fuzz {

// Checks the bytes as a program and, if they are accepted, runs it, with every buffer a block of exact size. Whether
// they were accepted.
bool RunRegion(Choices choices, const std::vector<uint8_t>& bytes);

}  // namespace fmtc::fuzz

#endif  // FMTC_FUZZ_HOSTILE_REGION_H_
