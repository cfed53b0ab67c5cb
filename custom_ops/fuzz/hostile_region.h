// Hostile programs of regions.
#ifndef FMTC_FUZZ_HOSTILE_REGION_H_
#define FMTC_FUZZ_HOSTILE_REGION_H_

#include <cstdint>
#include <vector>

#include "fuzz/choices.h"

namespace fmtc::fuzz {

// Changes fields of the header, records and parameters, arrays, steps and windows of a valid program to values that are
// near, or at the edge of what fits; then mostly repairs the checksum, so that the damage is met where it is.
void MutateRegion(Choices* choices, std::vector<uint8_t>* program);

// Checks the bytes as a program and, if they are accepted, runs it, with every buffer a block of exact size. Whether
// they were accepted.
bool RunRegion(Choices choices, const std::vector<uint8_t>& bytes);

}  // namespace fmtc::fuzz

#endif  // FMTC_FUZZ_HOSTILE_REGION_H_
