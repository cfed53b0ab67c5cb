// Convolutions of two rows that are computed together, so that their weights are read once.
#ifndef FMTC_REGION_ROW_PAIRS_H_
#define FMTC_REGION_ROW_PAIRS_H_

#include "region/program.h"

namespace fmtc::region {

// Of a checked program: sets `is_pair` of convolutions whose two steps are one behind the other wherever the schedule
// has them, and of which neither writes where the other one reads.
void FindRowPairs(const Program& program, State* state);

}  // namespace fmtc::region

#endif  // FMTC_REGION_ROW_PAIRS_H_
