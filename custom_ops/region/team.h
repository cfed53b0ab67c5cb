// Several threads run one program. It is divided into parts, each of which owns a band of every op's rows (bands.h), or
// a range of the columns or channels of every row (share.h), and waits only for those whose work it needs. Nothing is
// computed twice, and any number of threads, which take one part or more each, gives the same bytes.
#ifndef FMTC_REGION_TEAM_H_
#define FMTC_REGION_TEAM_H_

#include <cstdint>

#include "base/workers.h"
#include "region/bands.h"
#include "region/region.h"

namespace fmtc::region {

struct Team;

// Whether threads could gain more than they cost.
bool IsWorthATeam(const Program& program);

// Null where there is no memory for it, or the program would take too long to look at. `state` is the checker's, which
// has to stay for as long as the team.
Team* MakeTeam(const Program& program, int parts, State* state, Way way = Way::kFastest);
void FreeTeam(Team* team);

// Run() with as many threads as come within `patience` nanoseconds; `workers` may call less than all of them at once.
// No trace.
Status RunInTeam(const Program& program, const RowKernels& kernels, const RunArguments& arguments,
                 const Workers& workers, uint64_t patience, Team* team);

}  // namespace fmtc::region

#endif  // FMTC_REGION_TEAM_H_
