// An op's turn, as every way to run a program takes it.
#ifndef FMTC_REGION_STEPS_H_
#define FMTC_REGION_STEPS_H_

#include "region/kind.h"
#include "region/path.h"
#include "region/region.h"
#include "region/rows.h"
#include "region/share.h"

namespace fmtc::region {

// One of the parts of a run.
struct Part {
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
  Share share;  // the part's
  uint8_t* own_memory;
};

inline Turn NextTurn(const Part& part, uint16_t index, const RowAccess& access, State* state) {
  const OpView op{access.program, &access.program->ops[index]};
  const OpFacts& facts = state->ops[index];
  Turn turn;
  turn.op = op.op;
  turn.kind = facts.kind;
  turn.step = state->next_step[index]++;
  turn.row = turn.step;
  if (facts.accumulates) turn.row = turn.step + 1 == facts.steps ? 0 : -1;
  turn.share = part.count == 1 ? facts.whole : ShareAmong(op, *facts.kind, facts.whole.columns, part.index, part.count);
  const bool has_own = part.own_memory != nullptr && !facts.keeps_memory;
  turn.own_memory = has_own ? part.own_memory : access.scratch + op.op->memory_offset;
  return turn;
}

// The padding columns of a tensor that has some, at those sides of a row that the share reaches.
void WritePadding(const RowAccess& access, const TensorRecord& tensor, int32_t row);

// The step's work, and the padding columns of a row that reaches the tensor's sides.
inline void RunTurn(const Turn& turn, const RowKernels& kernels, RowAccess* access) {
  const OpView op{access->program, turn.op};
  if (kHasRegionFacts) {
    PreparedRow* row = access->FactsOf(op).row;
    if (IsNext(row, turn.step, turn.share)) return FollowPath(row);
  }
  access->share = turn.share;
  access->own_memory = turn.own_memory;
  turn.kind->run(op, *access, kernels, turn.step);
  if (turn.row < 0) return;
  const TensorRecord& output = op.output();
  if ((output.left | output.right) != 0) WritePadding(*access, output, turn.row);
}

}  // namespace fmtc::region

#endif  // FMTC_REGION_STEPS_H_
