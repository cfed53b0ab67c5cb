#include "region/hazards.h"

#include <algorithm>
#include <cstdlib>
#include <initializer_list>

#include "region/kind.h"
#include "region/rows.h"
#include "region/schedule.h"
#include "region/share.h"
#include "region/window.h"

namespace fmtc::region {
namespace {

constexpr uint32_t kMaxCells = 1u << 16;
constexpr uint64_t kMaxVisits = uint64_t{1} << 28;  // of cells: a second or so

// Some bytes of scratch memory that follow one another. Steps count from 1.
struct Cell {
  uint32_t owner;    // who wrote it last
  uint32_t written;  // the last step that did
  uint32_t read[3];  // the last ones that read what its owner wrote, by reach
};

// What a part reads of a tensor that parts write: what it wrote itself, its neighbours' too, or anybody's.
enum Reach : uint8_t { kOwn, kNear, kAny };

// Owners: tensors, then the ops' own memory. Rows of padding are written by one part only, whatever their op.
constexpr uint32_t kRowOfPadding = UINT32_MAX;
constexpr uint32_t kFirstOp = 1u << 16;

struct Bytes {
  uint64_t first, end;
};

class HazardFinder {
 public:
  HazardFinder(const Program& program, int parts, State* state)
      : program_(program), parts_(parts), state_(state), shift_(CommonShift(program)) {
    while (((uint64_t{program.header->scratch_bytes} - 1) >> shift_) + 1 > kMaxCells) ++shift_;
  }
  ~HazardFinder() {
    std::free(cells_);
    std::free(reaches_);
  }
  HazardFinder(const HazardFinder&) = delete;
  HazardFinder& operator=(const HazardFinder&) = delete;

  bool Find(const Sections& sections, const Bands& bands, Hazard* hazards) {
    const size_t cells = (size_t{program_.header->scratch_bytes} >> shift_) + 1;
    cells_ = static_cast<Cell*>(std::calloc(cells, sizeof(Cell)));
    reaches_ = static_cast<Reach*>(std::calloc(size_t{program_.header->ops} * kMaxInputs, sizeof(Reach)));
    if (cells_ == nullptr || reaches_ == nullptr) return false;
    for (size_t i = 0; i < sections.count; ++i) {
      if (bands.sections[i].bands != nullptr) continue;  // parts begin and end sections together
      const PassRecord& section = sections.records[i];
      BeginPass(program_, section, state_);
      FindReaches(section);
      for (uint32_t step = 0; step < section.steps; ++step) {
        const uint32_t number = section.first_step + step;
        // The columns of its windows may be another's than in the section before.
        hazards[number] = {0, 0, section.first_step, false, false};
        VisitStep(program_.steps[number], number + 1, &hazards[number]);
        for (const uint32_t steps : {hazards[number].edges, hazards[number].neighbours, hazards[number].all}) {
          if (steps > 0) hazards[steps - 1].is_awaited = true;
        }
      }
      EndPass(program_, section, state_);
      if (visits_ > kMaxVisits) return false;
    }
    return true;
  }

 private:
  OpView ViewOf(int op) const { return {&program_, &program_.ops[op]}; }
  uint32_t NumberOf(const TensorRecord& tensor) const { return static_cast<uint32_t>(&tensor - program_.tensors); }
  Range WindowOf(const OpView& op) const { return state_->tensors[op.op->output].window; }
  Division DivisionOf(const OpView& op) const {
    return region::DivisionOf(op, *FindKind(op.op->kind), WindowOf(op), parts_);
  }
  Range ColumnsOf(const OpView& op, int part) const {
    return ShareOf(op, *FindKind(op.op->kind), WindowOf(op), part, parts_).columns;
  }
  Range NeededBy(const OpView& op, int operand, int part) const {
    const Range needed = FindKind(op.op->kind)->columns(op, operand, ColumnsOf(op, part));
    return Clip(needed, op.input(operand).width);
  }

  Reach& ReachOf(const OpView& op, int operand) {
    return reaches_[static_cast<size_t>(op.op - program_.ops) * kMaxInputs + static_cast<size_t>(operand)];
  }

  void FindReaches(const PassRecord& section) {
    for (int i = section.first_op; i < section.first_op + section.ops; ++i) {
      const OpView op = ViewOf(i);
      for (int operand = 0; operand < op.op->inputs; ++operand) ReachOf(op, operand) = FindReach(op, operand);
    }
  }

  Reach FindReach(const OpView& op, int operand) const {
    const TensorRecord& input = op.input(operand);
    const TensorState& tensor = state_->tensors[NumberOf(input)];
    if (input.place != kScratch || !tensor.in_pass) return kAny;
    const OpView writer = ViewOf(tensor.writer);
    const Division division = DivisionOf(op);
    if (division != DivisionOf(writer)) return kAny;
    if (division == Division::kChannels) {
      const bool keeps = FindKind(op.op->kind)->keeps_channels && input.channels == op.output().channels;
      return keeps ? kOwn : kAny;
    }
    if (division != Division::kColumns) return kAny;
    Reach reach = kOwn;
    for (int i = 0; i < parts_; ++i) {
      const Range needed = NeededBy(op, operand, i), own = ColumnsOf(writer, i);
      if (needed.first < own.first || needed.end > own.end) reach = kNear;
      if (needed.first < ColumnsOf(writer, i > 0 ? i - 1 : i).first) return kAny;
      if (needed.end > ColumnsOf(writer, i + 1 < parts_ ? i + 1 : i).end) return kAny;
    }
    return reach;
  }

  // What it must wait for first, so that it does not find itself.
  void VisitStep(uint16_t index, uint32_t number, Hazard* hazard) {
    const OpView op = ViewOf(index);
    const Kind& kind = *FindKind(op.op->kind);
    const int32_t step = state_->next_step[index]++;
    const bool accumulates = kind.accumulates(op);
    const bool writes = op.output().place == kScratch && (!accumulates || step + 1 == NumSteps(op, kind));
    const uint32_t own = KeepsMemory(op, kind) ? kFirstOp + index : kRowOfPadding;
    const uint32_t output = op.op->output;
    const Bytes own_bytes = {op.op->memory_offset, uint64_t{op.op->memory_offset} + op.op->memory_bytes};
    const Bytes row = writes ? RowBytes(op.output(), accumulates ? 0 : step) : Bytes{0, 0};
    for (int operand = 0; operand < op.op->inputs; ++operand) {
      const bool is_private = IsPrivate(op.input(operand));
      const Range rows = is_private ? NewRows(op, kind, operand, step) : kind.rows(op, operand, step);
      ForInput(op, operand, rows, [&](Cell* cell) { AwaitWrite(*cell, op, operand, hazard); });
      if (is_private && rows.first < rows.end && ReachOf(op, operand) != kOwn) hazard->fetches = true;
    }
    ForCells(row, [&](Cell* cell) { AwaitReads(*cell, output, hazard); });
    ForCells(own_bytes, [&](Cell* cell) { AwaitReads(*cell, own, hazard); });
    for (int operand = 0; operand < op.op->inputs; ++operand) MarkReads(op, kind, operand, step, number);
    ForCells(row, [&](Cell* cell) { Write(output, number, cell); });
    ForCells(own_bytes, [&](Cell* cell) { Write(own, number, cell); });
  }

  bool IsPrivate(const TensorRecord& tensor) const { return state_->tensors[NumberOf(tensor)].is_private; }

  // Of private rows, what others have written is read once, and from then on the part's own.
  void MarkReads(const OpView& op, const Kind& kind, int operand, int32_t step, uint32_t number) {
    const Reach reach = ReachOf(op, operand);
    const bool is_private = IsPrivate(op.input(operand));
    const Range rows = kind.rows(op, operand, step);
    ForInput(op, operand, rows, [&](Cell* cell) { cell->read[is_private ? kOwn : reach] = number; });
    if (!is_private) return;
    ForInput(op, operand, NewRows(op, kind, operand, step), [&](Cell* cell) { cell->read[reach] = number; });
  }

  void AwaitWrite(const Cell& cell, const OpView& op, int operand, Hazard* hazard) {
    const Reach reach = cell.owner == NumberOf(op.input(operand)) ? ReachOf(op, operand) : kAny;
    if (reach == kNear) hazard->edges = std::max(hazard->edges, cell.written);
    if (reach == kAny) hazard->all = std::max(hazard->all, cell.written);
  }

  static uint32_t LastUse(const Cell& cell) {
    return std::max({cell.written, cell.read[kOwn], cell.read[kNear], cell.read[kAny]});
  }

  // Who wrote what is there itself needs to wait for its readers only: each part overwrites what it wrote.
  static void AwaitReads(const Cell& cell, uint32_t writer, Hazard* hazard) {
    if (cell.owner == writer) {
      hazard->neighbours = std::max(hazard->neighbours, cell.read[kNear]);
      hazard->all = std::max(hazard->all, cell.read[kAny]);
    } else {
      hazard->all = std::max(hazard->all, LastUse(cell));
    }
  }

  static void Write(uint32_t writer, uint32_t number, Cell* cell) {
    if (cell->owner != writer) *cell = {writer, number, {0, 0, LastUse(*cell)}};
    cell->written = number;
  }

  template <class Function>
  void ForInput(const OpView& op, int operand, Range rows, const Function& function) {
    const TensorRecord& input = op.input(operand);
    if (input.place != kScratch) return;
    for (int32_t row = rows.first; row < rows.end; ++row) ForCells(RowBytes(input, row), function);
  }

  static Bytes RowBytes(const TensorRecord& tensor, int32_t row) {
    const uint64_t first = tensor.offset + uint64_t{PlacesOf(tensor).SlotOf(row)} * tensor.row_bytes;
    return {first, first + tensor.row_bytes};
  }

  template <class Function>
  void ForCells(Bytes bytes, const Function& function) {
    if (bytes.first == bytes.end || visits_ > kMaxVisits) return;
    for (uint64_t i = bytes.first >> shift_; i <= (bytes.end - 1) >> shift_; ++i) function(&cells_[i]);
    visits_ += (bytes.end - bytes.first) >> shift_;
    ++visits_;
  }

  // Of the largest power of 2 that everything in scratch memory begins and ends at multiples of, so that no cell is
  // part of two rows.
  static int CommonShift(const Program& program) {
    uint32_t bits = program.header->scratch_bytes;
    for (int i = 0; i < program.header->tensors; ++i) {
      const TensorRecord& tensor = program.tensors[i];
      if (tensor.place == kScratch) bits |= tensor.offset | tensor.row_bytes;
    }
    int shift = 4;
    while (shift < 6 && (bits >> shift) % 2 == 0) ++shift;
    return shift;
  }

  const Program& program_;
  const int parts_;
  State* const state_;
  int shift_;
  uint64_t visits_ = 0;
  Cell* cells_ = nullptr;
  Reach* reaches_ = nullptr;  // of the section at hand
};

}  // namespace

Hazard* FindHazards(const Program& program, const Sections& sections, int parts, const Bands& bands, State* state) {
  auto* hazards = static_cast<Hazard*>(std::malloc(size_t{program.header->steps} * sizeof(Hazard)));
  if (hazards == nullptr || HazardFinder(program, parts, state).Find(sections, bands, hazards)) return hazards;
  std::free(hazards);
  return nullptr;
}

}  // namespace fmtc::region
