// An op's turn, as every way to run a program takes it.
#ifndef FMTC_REGION_STEPS_H_
#define FMTC_REGION_STEPS_H_

#include "region/kind.h"
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

// An op's next step.
struct Turn {
  const OpRecord* op;
  const Kind* kind;
  int32_t step;
  int32_t row;  // that it completes; -1: none
  Share share;  // the member's
  uint8_t* own_memory;
};

Turn NextTurn(const Member& member, uint16_t index, const RowAccess& access, State* state);

// The step's work, and the padding columns of a row that reaches the tensor's sides.
void RunTurn(const Turn& turn, const RowKernels& kernels, RowAccess* access);

}  // namespace fmtc::region

#endif  // FMTC_REGION_STEPS_H_
