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

// To be freed with FreeHazards.
struct Hazards {
  Hazard* steps;  // of the program
  // For each pass, op and member: the columns of its share for which it need not wait for neighbours, as nobody else
  // reads or writes what they read and write; empty for ops that do not divide columns.
  Range* inner;
};

// Of a checked program, for so many members. `state` is the checker's. False if there is no memory for it or the
// program would take too long to look at.
bool FindHazards(const Program& program, int members, State* state, Hazards* hazards);
void FreeHazards(const Hazards& hazards);

}  // namespace fmtc::region

#endif  // FMTC_REGION_HAZARDS_H_
