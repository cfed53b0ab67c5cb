// Damage to programs of regions, for whichever executor.
#ifndef FMTC_FUZZ_MUTATE_REGION_H_
#define FMTC_FUZZ_MUTATE_REGION_H_

#include <cstdint>
#include <vector>

#include "fuzz/choices.h"
#include "region/program.h"

namespace fmtc::fuzz {

// Changes fields of the header, records and parameters, arrays, steps and windows of a valid program to values that are
// near, or at the edge of what fits; then mostly repairs the checksum, so that the damage is met where it is.
void MutateRegion(Choices* choices, std::vector<uint8_t>* program);

// Whether a program that has been checked takes little memory and time: hostile programs may be valid and slow.
bool IsCheap(const region::Program& program);

}  // namespace fmtc::fuzz

#endif  // FMTC_FUZZ_MUTATE_REGION_H_
