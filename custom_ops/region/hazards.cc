#include "region/hazards.h"

#include <cstdlib>

#include "region/kind.h"
#include "region/schedule.h"
#include "region/share.h"
#include "region/window.h"

namespace fmtc::region {
namespace {

constexpr uint32_t kMaxCells = 1u << 16;
constexpr uint64_t kMaxVisits = uint64_t{1} << 28;  // of cells: a second or so

// Some bytes of scratch memory that follow one another. Steps count from 1.
struct Cell {
  uint32_t owner;                  // who wrote it last
  uint32_t written;                // the last step that did
  uint32_t read_near, read_other;  // the last ones that read what its owner wrote
};

// Owners: tensors, then the ops' own memory. Rows of padding are written by one member only, whatever their op.
constexpr uint32_t kRowOfPadding = UINT32_MAX;
constexpr uint32_t kFirstOp = 1u << 16;

struct Bytes {
  uint64_t first, end;
};

uint32_t Later(uint32_t a, uint32_t b) { return a > b ? a : b; }

class HazardFinder {
 public:
  HazardFinder(const Program& program, int members, State* state)
      : program_(program), members_(members), state_(state) {
    while (((uint64_t{program.header->scratch_bytes} - 1) >> shift_) + 1 > kMaxCells) ++shift_;
  }
  ~HazardFinder() {
    std::free(cells_);
    std::free(is_near_);
  }
  HazardFinder(const HazardFinder&) = delete;
  HazardFinder& operator=(const HazardFinder&) = delete;

  bool Find(Hazard* hazards) {
    const size_t cells = (size_t{program_.header->scratch_bytes} >> shift_) + 1;
    cells_ = static_cast<Cell*>(std::calloc(cells, sizeof(Cell)));
    is_near_ = static_cast<bool*>(std::calloc(size_t{program_.header->ops} * kMaxInputs, sizeof(bool)));
    if (cells_ == nullptr || is_near_ == nullptr) return false;
    for (int i = 0; i < program_.header->passes; ++i) {
      const PassRecord& pass = program_.passes[i];
      BeginPass(program_, pass, state_);
      FindNearReads(pass);
      for (uint32_t step = 0; step < pass.steps; ++step) {
        const uint32_t number = pass.first_step + step;
        // Members begin a pass together: the columns of its windows may be another's than in the pass before.
        hazards[number] = {pass.first_step, pass.first_step};
        VisitStep(program_.steps[number], number + 1, &hazards[number]);
      }
      if (visits_ > kMaxVisits) return false;
    }
    return true;
  }

 private:
  OpView ViewOf(int op) const { return {&program_, &program_.ops[op]}; }
  Range WindowOf(const OpView& op) const { return state_->tensors[op.op->output].window; }
  uint32_t NumberOf(const TensorRecord& tensor) const { return static_cast<uint32_t>(&tensor - program_.tensors); }

  // Which reads of the pass's ops stay within the columns of the member and its neighbours.
  void FindNearReads(const PassRecord& pass) {
    for (int i = pass.first_op; i < pass.first_op + pass.ops; ++i) {
      const OpView op = ViewOf(i);
      for (int operand = 0; operand < op.op->inputs; ++operand) IsNear(op, operand) = ReadsNear(op, operand);
    }
  }

  bool& IsNear(const OpView& op, int operand) {
    return is_near_[static_cast<size_t>(op.op - program_.ops) * kMaxInputs + static_cast<size_t>(operand)];
  }

  bool ReadsNear(const OpView& op, int operand) const {
    const TensorRecord& input = op.input(operand);
    const TensorState& tensor = state_->tensors[NumberOf(input)];
    if (input.place != kScratch || !tensor.in_pass) return false;
    const OpView writer = ViewOf(tensor.writer);
    const Kind& kind = *FindKind(op.op->kind);
    const Kind& writers_kind = *FindKind(writer.op->kind);
    if (DivisionOf(op, kind, WindowOf(op), members_) != Division::kColumns ||
        DivisionOf(writer, writers_kind, tensor.window, members_) != Division::kColumns) {
      return false;
    }
    for (int i = 0; i < members_; ++i) {
      const Range own = ShareOf(op, kind, WindowOf(op), i, members_).columns;
      const Range needed = Clip(kind.columns(op, operand, own), input.width);
      const Range left = ShareOf(writer, writers_kind, tensor.window, i > 0 ? i - 1 : i, members_).columns;
      const Range right = ShareOf(writer, writers_kind, tensor.window, i + 1 < members_ ? i + 1 : i, members_).columns;
      if (needed.first < left.first || needed.end > right.end) return false;
    }
    return true;
  }

  // What it must wait for first, so that it does not find itself.
  void VisitStep(uint16_t index, uint32_t number, Hazard* hazard) {
    const OpView op = ViewOf(index);
    const Kind& kind = *FindKind(op.op->kind);
    const int32_t step = state_->next_step[index]++;
    const bool accumulates = kind.accumulates(op);
    const bool writes = op.output().place == kScratch && (!accumulates || step + 1 == NumSteps(op, kind));
    const uint32_t own = accumulates ? kFirstOp + index : kRowOfPadding;
    const uint32_t output = op.op->output;
    const Bytes own_bytes = {op.op->memory_offset, uint64_t{op.op->memory_offset} + op.op->memory_bytes};
    const Bytes row = writes ? RowBytes(op.output(), accumulates ? 0 : step) : Bytes{0, 0};
    for (int operand = 0; operand < op.op->inputs; ++operand) {
      ForInput(op, kind, operand, step, [&](Cell* cell) { AwaitWrite(*cell, op, operand, hazard); });
    }
    ForCells(row, [&](Cell* cell) { AwaitReads(*cell, output, hazard); });
    ForCells(own_bytes, [&](Cell* cell) { AwaitReads(*cell, own, hazard); });
    for (int operand = 0; operand < op.op->inputs; ++operand) {
      const bool near = IsNear(op, operand);
      ForInput(op, kind, operand, step, [&](Cell* cell) { (near ? cell->read_near : cell->read_other) = number; });
    }
    ForCells(row, [&](Cell* cell) { Write(output, number, cell); });
    ForCells(own_bytes, [&](Cell* cell) { Write(own, number, cell); });
  }

  void AwaitWrite(const Cell& cell, const OpView& op, int operand, Hazard* hazard) {
    const bool near = cell.owner == NumberOf(op.input(operand)) && IsNear(op, operand);
    uint32_t& members = near ? hazard->neighbours : hazard->all;
    members = Later(members, cell.written);
  }

  // Who wrote what is there itself needs to wait for its readers only: each member overwrites what it wrote.
  static void AwaitReads(const Cell& cell, uint32_t writer, Hazard* hazard) {
    if (cell.owner == writer) {
      hazard->neighbours = Later(hazard->neighbours, cell.read_near);
      hazard->all = Later(hazard->all, cell.read_other);
    } else {
      hazard->all = Later(hazard->all, Later(cell.written, Later(cell.read_near, cell.read_other)));
    }
  }

  static void Write(uint32_t writer, uint32_t number, Cell* cell) {
    if (cell->owner != writer) {
      cell->read_other = Later(cell->written, Later(cell->read_near, cell->read_other));
      cell->read_near = 0;
    }
    cell->owner = writer;
    cell->written = number;
  }

  template <class Function>
  void ForInput(const OpView& op, const Kind& kind, int operand, int32_t step, const Function& function) {
    const TensorRecord& input = op.input(operand);
    if (input.place != kScratch) return;
    const Range rows = kind.rows(op, operand, step);
    for (int32_t row = rows.first; row < rows.end; ++row) ForCells(RowBytes(input, row), function);
  }

  static Bytes RowBytes(const TensorRecord& tensor, int32_t row) {
    const uint64_t slot = (static_cast<uint64_t>(row) + tensor.phase) % tensor.depth;
    const uint64_t first = tensor.offset + slot * tensor.row_bytes;
    return {first, first + tensor.row_bytes};
  }

  template <class Function>
  void ForCells(Bytes bytes, const Function& function) {
    if (bytes.first == bytes.end || visits_ > kMaxVisits) return;
    for (uint64_t i = bytes.first >> shift_; i <= (bytes.end - 1) >> shift_; ++i) function(&cells_[i]);
    visits_ += (bytes.end - bytes.first) >> shift_;
    ++visits_;
  }

  const Program& program_;
  const int members_;
  State* const state_;
  int shift_ = 6;
  uint64_t visits_ = 0;
  Cell* cells_ = nullptr;
  bool* is_near_ = nullptr;
};

}  // namespace

Hazard* FindHazards(const Program& program, int members, State* state) {
  auto* hazards = static_cast<Hazard*>(std::malloc(size_t{program.header->steps} * sizeof(Hazard)));
  if (hazards == nullptr || HazardFinder(program, members, state).Find(hazards)) return hazards;
  std::free(hazards);
  return nullptr;
}

}  // namespace fmtc::region
