#include "region/schedule.h"

#include "region/kind.h"
#include "region/prepared_row.h"

namespace fmtc::region {
namespace {

// The pass's own numbers. Steps of passes follow one another, so that the work is bounded by the program's bytes.
bool FitsRecord(const Program& program, const PassRecord& pass, uint32_t first_step) {
  const Header& header = *program.header;
  return pass.ops >= 1 && pass.ops <= pass.steps && pass.first_op < header.ops &&
         pass.ops <= header.ops - pass.first_op && pass.first_step == first_step &&
         pass.steps <= header.steps - first_step &&
         (pass.windows_offset == 0 || program.Has(pass.windows_offset, pass.ops, sizeof(Window), 2));
}

// With the padding columns at those ends of the row that the window reaches.
bool FitsWindow(const TensorRecord& output, const Range& window) {
  const int32_t width = static_cast<int32_t>(output.width);
  if (window.first >= window.end || window.end > width) return false;
  if (!output.windowed) return true;
  uint64_t columns = static_cast<uint64_t>(window.end - window.first);
  if (window.first == 0) columns += output.left;
  if (window.end == width) columns += output.right;
  return columns * output.pixel_bytes <= output.row_bytes;
}

// A tensor of which all rows and columns stay, wherever a pass's window lies.
bool IsWhole(const TensorRecord& tensor) { return !tensor.windowed && RowsHeld(tensor) >= tensor.height; }

// Whether the columns of an input have been written when the pass has written the rows. Negative columns and those
// behind the width are padding columns, which are written with the first and last column.
bool HasColumns(const TensorRecord& tensor, const TensorState& state, Range needed) {
  const int32_t width = static_cast<int32_t>(tensor.width);
  const int32_t left = tensor.left, right = tensor.right;
  if (needed.first < -left || needed.end > width + right) return false;
  if (needed.first >= needed.end) return false;
  if (tensor.place == kInput) return true;
  Range ready = {0, state.columns_ready};
  if (state.in_pass) {
    const bool joins = IsWhole(tensor) && state.window.first <= state.columns_ready;
    ready = {joins ? 0 : state.window.first, state.window.end};
    if (joins && state.columns_ready > ready.end) ready.end = state.columns_ready;
  } else if (!IsWhole(tensor)) {
    return false;
  }
  if (ready.first == 0) ready.first = -left;
  if (ready.end == width) ready.end = width + right;
  return needed.first >= ready.first && needed.end <= ready.end;
}

bool HasRows(const TensorRecord& tensor, const TensorState& state, Range needed) {
  if (needed.first < 0 || needed.first >= needed.end || needed.end > static_cast<int32_t>(tensor.height)) return false;
  if (tensor.place == kInput || !state.in_pass) return true;
  return needed.end <= state.rows_written && int64_t{needed.first} >= int64_t{state.rows_written} - RowsHeld(tensor);
}

Status CheckColumns(const Program& program, const PassRecord& pass, const State& state) {
  for (int i = 0; i < pass.ops; ++i) {
    const OpView op{&program, &program.ops[pass.first_op + i]};
    const Kind& kind = *FindKind(op.op->kind);
    const Range window = state.tensors[op.op->output].window;
    if (!FitsWindow(op.output(), window)) return Status::kProgramSchedule;
    for (int operand = 0; operand < op.op->inputs; ++operand) {
      const TensorRecord& input = op.input(operand);
      if (!HasColumns(input, state.tensors[&input - program.tensors], kind.columns(op, operand, window))) {
        return Status::kProgramSchedule;
      }
    }
  }
  return Status::kOk;
}

Status PlaySteps(const Program& program, const PassRecord& pass, State* state) {
  for (uint32_t i = 0; i < pass.steps; ++i) {
    const int index = program.steps[pass.first_step + i];
    if (index < pass.first_op || index >= pass.first_op + pass.ops) return Status::kProgramSchedule;
    const OpView op{&program, &program.ops[index]};
    const Kind& kind = *FindKind(op.op->kind);
    const int32_t step = state->next_step[index]++;
    const int32_t steps = NumSteps(op, kind);
    if (step >= steps) return Status::kProgramSchedule;
    for (int operand = 0; operand < op.op->inputs; ++operand) {
      const TensorRecord& input = op.input(operand);
      if (!HasRows(input, state->tensors[&input - program.tensors], kind.rows(op, operand, step))) {
        return Status::kProgramSchedule;
      }
    }
    if (!kind.accumulates(op) || step == steps - 1) ++state->tensors[op.op->output].rows_written;
  }
  for (int i = 0; i < pass.ops; ++i) {
    const OpView op{&program, &program.ops[pass.first_op + i]};
    if (state->next_step[pass.first_op + i] != NumSteps(op, *FindKind(op.op->kind))) return Status::kProgramSchedule;
  }
  return Status::kOk;
}

}  // namespace

FMTC_SELDOM void BeginPass(const Program& program, const PassRecord& pass, State* state) {
  for (int i = 0; i < pass.ops; ++i) {
    const int index = pass.first_op + i;
    TensorState& tensor = state->tensors[program.ops[index].output];
    tensor.in_pass = true;
    tensor.rows_written = 0;
    tensor.window = WindowInPass(program, pass, index);
    state->next_step[index] = 0;
    if (kHasRegionFacts) {
      const int32_t channels = static_cast<int32_t>(program.tensors[program.ops[index].output].channels);
      state->ops[index].whole = {tensor.window, {0, channels}};
      if (state->ops[index].row != nullptr) state->ops[index].row->path.next = -1;
    }
  }
}

FMTC_SELDOM void EndPass(const Program& program, const PassRecord& pass, State* state) {
  for (int i = 0; i < pass.ops; ++i) {
    TensorState& tensor = state->tensors[program.ops[pass.first_op + i].output];
    tensor.in_pass = false;
    if (tensor.window.first <= tensor.columns_ready && tensor.window.end > tensor.columns_ready) {
      tensor.columns_ready = tensor.window.end;
    }
  }
}

FMTC_SELDOM Status CheckSchedule(const Program& program, State* state) {
  uint32_t first_step = 0;
  for (int i = 0; i < program.header->passes; ++i) {
    const PassRecord& pass = program.passes[i];
    if (!FitsRecord(program, pass, first_step)) return Status::kProgramSchedule;
    BeginPass(program, pass, state);
    Status status = CheckColumns(program, pass, *state);
    if (status == Status::kOk) status = PlaySteps(program, pass, state);
    if (status != Status::kOk) return status;
    EndPass(program, pass, state);
    first_step += pass.steps;
  }
  if (first_step != program.header->steps) return Status::kProgramSchedule;
  for (int i = 0; i < program.header->outputs; ++i) {
    const TensorRecord& output = program.tensors[state->output_tensors[i]];
    if (state->tensors[state->output_tensors[i]].columns_ready != static_cast<int32_t>(output.width)) {
      return Status::kProgramSchedule;
    }
  }
  return Status::kOk;
}

}  // namespace fmtc::region
