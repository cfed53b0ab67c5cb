// An op's turn, as every way to run a program takes it.
#ifndef FMTC_REGION_STEPS_H_
#define FMTC_REGION_STEPS_H_

#include "region/region.h"
#include "region/rows.h"

namespace fmtc::region {

// One of the threads of a run.
struct Member {
  int index = 0;
  int count = 1;
  uint8_t* own_memory = nullptr;  // instead of what ops have in scratch memory, unless they keep something there
};

RowAccess MakeAccess(const Program& program, const RunArguments& arguments, const State* state);

// The op's next step, or the member's share of it, and the padding columns of a row that it has written.
void RunStep(const Member& member, const RowKernels& kernels, const Trace* trace, uint16_t index, RowAccess* access,
             State* state);

}  // namespace fmtc::region

#endif  // FMTC_REGION_STEPS_H_
