#include "region/sections.h"

#include <cstdlib>

#include "region/kind.h"
#include "region/schedule.h"

namespace fmtc::region {
namespace {

constexpr uint32_t kLeastSteps = 8;                 // of what is left; else one thread does it while the others begin
constexpr uint64_t kMaxVisits = uint64_t{1} << 22;  // of operands: some tens of milliseconds

class SectionFinder {
 public:
  SectionFinder(const Program& program, State* state) : program_(program), state_(state) {}

  bool Find(Sections* sections) {
    sections->count = 0;
    sections->records = static_cast<PassRecord*>(std::malloc(Most() * sizeof(PassRecord)));
    if (sections->records == nullptr) return false;
    for (int i = 0; i < program_.header->passes; ++i) {
      BeginPass(program_, program_.passes[i], state_);
      Divide(program_.passes[i], sections);
      EndPass(program_, program_.passes[i], state_);
    }
    return true;
  }

 private:
  size_t Most() const {
    size_t most = program_.header->passes;
    for (int i = 0; i < program_.header->passes; ++i) {
      const PassRecord& pass = program_.passes[i];
      for (int op = 0; op < pass.ops; ++op) most += state_->ops[pass.first_op + op].accumulates ? 1 : 0;
    }
    return most;
  }

  void Divide(const PassRecord& pass, Sections* sections) {
    PassRecord rest = pass;
    const uint32_t end = pass.first_step + pass.steps;
    for (uint32_t next = pass.first_step + 1; next + kLeastSteps <= end; ++next) {
      const uint16_t index = program_.steps[next - 1];
      ++state_->next_step[index];
      const uint16_t first_behind = static_cast<uint16_t>(index + 1);
      if (!state_->ops[index].accumulates || !IsDone(index) || !CanBegin(pass, first_behind)) continue;
      PassRecord section = rest;
      section.ops = static_cast<uint16_t>(first_behind - rest.first_op);
      section.steps = next - rest.first_step;
      sections->records[sections->count++] = section;
      rest.ops = static_cast<uint16_t>(rest.ops - section.ops);
      rest.steps -= section.steps;
      rest.first_op = first_behind;
      rest.first_step = next;
      if (rest.windows_offset != 0) rest.windows_offset += section.ops * static_cast<uint32_t>(sizeof(Window));
    }
    sections->records[sections->count++] = rest;
  }

  bool IsDone(int op) const { return state_->next_step[op] == state_->ops[op].steps; }

  // Whether all steps of the pass's ops before one are behind, and all of its own and those behind it before them, and
  // these find all rows that they read.
  bool CanBegin(const PassRecord& pass, int first) {
    for (int i = pass.first_op; i < pass.first_op + pass.ops; ++i) {
      const OpView op{&program_, &program_.ops[i]};
      visits_ += op.op->inputs + uint64_t{1};
      if (visits_ > kMaxVisits || (i < first ? !IsDone(i) : state_->next_step[i] != 0)) return false;
      for (int operand = 0; i >= first && operand < op.op->inputs; ++operand) {
        const TensorRecord& input = op.input(operand);
        const TensorState& tensor = state_->tensors[&input - program_.tensors];
        if (tensor.in_pass && tensor.writer < first && RowsHeld(input) < input.height) return false;
      }
    }
    return true;
  }

  const Program& program_;
  State* const state_;
  uint64_t visits_ = 0;
};

}  // namespace

bool FindSections(const Program& program, State* state, Sections* sections) {
  return SectionFinder(program, state).Find(sections);
}

}  // namespace fmtc::region
