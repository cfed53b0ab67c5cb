// What threads that run one program together wait for.
#ifndef FMTC_REGION_HAZARDS_H_
#define FMTC_REGION_HAZARDS_H_

#include <cstdint>

#include "region/program.h"

namespace fmtc::region {

// How many of the program's steps the others must have done before a member does its share of one: those that write
// what it reads, and those that read or write what it overwrites.
struct Hazard {
  uint32_t neighbours;  // the members with the columns beside its own
  uint32_t all;
};

// Of every step of a checked program, for so many members. `state` is the checker's. Null if there is no memory for it
// or the program would take too long to look at. To be freed with std::free.
Hazard* FindHazards(const Program& program, int members, State* state);

}  // namespace fmtc::region

#endif  // FMTC_REGION_HAZARDS_H_
