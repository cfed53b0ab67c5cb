// What the parts of a team that runs one program wait for.
#ifndef FMTC_REGION_HAZARDS_H_
#define FMTC_REGION_HAZARDS_H_

#include <cstdint>

#include "region/bands.h"
#include "region/program.h"

namespace fmtc::region {

// How many of the program's steps the others must have done before a part does its share of one.
struct Hazard {
  uint32_t edges;       // the neighbours, which have the columns beside its own: that they have written what it reads
  uint32_t neighbours;  // that they have read what it overwrites
  uint32_t all;         // all parts, either of the two
  bool fetches;         // what others have written
  bool is_awaited;      // this step, by others
};

// Of every step of a checked program's sections that are divided by columns, for so many parts. `state` is the
// checker's, with its private tensors marked. Null if there is no memory for it or the program would take too long to
// look at. To be freed with std::free.
Hazard* FindHazards(const Program& program, const Sections& sections, int parts, const Bands& bands, State* state);

}  // namespace fmtc::region

#endif  // FMTC_REGION_HAZARDS_H_
