// Passes as the parts of a team go through them.
//
// What reads an op that adds up whole rows begins when that has its last one. The ops up to there and those behind it
// are sections of their own then, which are divided as passes are: in one of both, parts would have to wait for all
// rows of the first half before they begin the second one.
#ifndef FMTC_REGION_SECTIONS_H_
#define FMTC_REGION_SECTIONS_H_

#include <cstddef>

#include "region/program.h"

namespace fmtc::region {

struct Sections {
  PassRecord* records;  // as a program has them
  size_t count;
};

// Of a checked program; `state` is the checker's. False if there is no memory for it. `records` is to be freed with
// std::free.
bool FindSections(const Program& program, State* state, Sections* sections);

}  // namespace fmtc::region

#endif  // FMTC_REGION_SECTIONS_H_
