#include "region/bands.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "region/halo.h"
#include "region/schedule.h"
#include "region/share.h"

namespace fmtc::region {
namespace {

// What steps take, in picoseconds of a core with AVX-512 VNNI; what counts is how they compare.
constexpr uint64_t kStepTime = 40'000;
constexpr uint64_t kMacTime = 6;
constexpr uint64_t kDepthwiseMacTime = 25;
constexpr uint64_t kValueTime = 60;
constexpr uint64_t kSectionTime = 1'000'000;  // parts begin and end a section of bands together
constexpr uint64_t kAwaitTime = 200'000;      // a step's, where a section is divided by columns

constexpr uint64_t kMaxVisits = uint64_t{1} << 22;  // of operands: some tens of milliseconds
constexpr int32_t kFractions = 64;                  // of the height, at which the rows of an op are divided
constexpr uint64_t kLittleMemory = 1u << 16;        // that a part may take for kept rows, however small the region is

uint64_t StepTime(const OpView& op, const Kind& kind, Range window) {
  const TensorRecord& output = op.output();
  const uint64_t columns = static_cast<uint64_t>(window.end - window.first);
  const uint64_t macs = kind.macs == nullptr ? 0 : kind.macs(op) / static_cast<uint64_t>(NumSteps(op, kind));
  return kStepTime + macs * columns / output.width * (kind.keeps_channels ? kDepthwiseMacTime : kMacTime) +
         columns * output.channels * kValueTime;
}

class BandFinder {
 public:
  BandFinder(const Program& program, const Sections& sections, int parts, Way way, State* state)
      : program_(program), sections_(sections), parts_(parts), way_(way), state_(state) {}
  ~BandFinder() {
    std::free(times_);
    std::free(steps_);
    std::free(starts_);
    std::free(limits_);
  }
  BandFinder(const BandFinder&) = delete;
  BandFinder& operator=(const BandFinder&) = delete;

  bool Find(Bands* bands) {
    const size_t ops = program_.header->ops;
    size_t ops_of_sections = 0;
    for (size_t i = 0; i < sections_.count; ++i) ops_of_sections += sections_.records[i].ops;
    bands->sections = static_cast<SectionBands*>(std::calloc(sections_.count, sizeof(SectionBands)));
    bands->all = static_cast<Band*>(std::calloc(ops_of_sections * static_cast<size_t>(parts_), sizeof(Band)));
    times_ = static_cast<uint64_t*>(std::malloc(ops * sizeof(uint64_t)));
    steps_ = static_cast<int32_t*>(std::malloc(ops * sizeof(int32_t)));
    starts_ = static_cast<int32_t*>(std::malloc(ops * sizeof(int32_t)));
    limits_ = static_cast<int32_t*>(std::malloc(ops * sizeof(int32_t)));
    if (bands->sections == nullptr || bands->all == nullptr || times_ == nullptr || steps_ == nullptr ||
        starts_ == nullptr || limits_ == nullptr) {
      return false;
    }
    Band* next = bands->all;
    for (size_t i = 0; i < sections_.count; ++i) {
      section_ = &sections_.records[i];
      BeginPass(program_, *section_, state_);
      size_t kept_bytes = 0;
      if (DivideSection(next, &kept_bytes)) {
        bands->sections[i] = {next, Stores(next)};
        bands->kept_bytes = std::max(bands->kept_bytes, kept_bytes);
      }
      next += static_cast<size_t>(section_->ops) * static_cast<size_t>(parts_);
      EndPass(program_, *section_, state_);
    }
    return true;
  }

 private:
  OpView ViewOf(int op) const { return {&program_, &program_.ops[section_->first_op + op]}; }
  const Kind& KindOf(int op) const { return *state_->ops[section_->first_op + op].kind; }
  Band* BandsOf(Band* section, int op) const { return section + static_cast<size_t>(op) * static_cast<size_t>(parts_); }
  const TensorState& OutputOf(int op) const { return state_->tensors[ViewOf(op).op->output]; }

  // The op of the section that writes an operand; -1: none of it.
  int WriterOf(const OpView& op, int operand) const {
    const TensorState& input = state_->tensors[&op.input(operand) - program_.tensors];
    return input.in_pass ? input.writer - section_->first_op : -1;
  }

  // Whether all that the section reads of its own tensors are columns that it has written.
  bool ReadsItsColumns() const {
    for (int i = 0; i < section_->ops; ++i) {
      const OpView op = ViewOf(i);
      for (int operand = 0; operand < op.op->inputs; ++operand) {
        const int writer = WriterOf(op, operand);
        if (writer < 0) continue;
        const Range needed = KindOf(i).columns(op, operand, OutputOf(i).window);
        const Range written = WithPadding(op.input(operand), OutputOf(writer).window);
        if (needed.first < written.first || needed.end > written.end) return false;
      }
    }
    return true;
  }

  // Ops that go through their rows in order, and those behind them, are the first part's: `steps_` is 0.
  void FindSteps() {
    for (int i = 0; i < section_->ops; ++i) {
      const OpView op = ViewOf(i);
      const OpFacts& facts = state_->ops[section_->first_op + i];
      bool is_serial = facts.keeps_memory || facts.accumulates;
      for (int operand = 0; operand < op.op->inputs; ++operand) {
        const int writer = WriterOf(op, operand);
        is_serial |= writer >= 0 && steps_[writer] == 0;
      }
      steps_[i] = is_serial ? 0 : facts.steps;
      times_[i] = StepTime(op, KindOf(i), OutputOf(i).window);
    }
  }

  // Where bands begin that end at the section's end, so that those ops which none of it reads begin at a fraction of
  // their rows; and the time of all steps from there on.
  uint64_t FindStarts(int32_t fraction) {
    std::fill(limits_, limits_ + section_->ops, INT32_MAX);
    uint64_t time = 0;
    for (int i = section_->ops - 1; i >= 0; --i) {
      const int32_t steps = steps_[i];
      starts_[i] = limits_[i] < INT32_MAX ? std::clamp(limits_[i], 0, steps) : steps * fraction / kFractions;
      if (starts_[i] == steps) continue;
      const OpView op = ViewOf(i);
      for (int operand = 0; operand < op.op->inputs; ++operand) {
        const int writer = WriterOf(op, operand);
        if (writer >= 0) limits_[writer] = std::min(limits_[writer], KindOf(i).rows(op, operand, starts_[i]).first);
      }
      time += static_cast<uint64_t>(steps - starts_[i]) * times_[i];
    }
    return time;
  }

  // Fills in `starts_` for a band that takes about so much.
  void FindStartsFor(uint64_t time) {
    int32_t low = 0, high = kFractions;  // more than that, and no more
    while (high - low > 1) {
      const int32_t middle = (low + high) / 2;
      (FindStarts(middle) > time ? low : high) = middle;
    }
    const uint64_t more = FindStarts(low), less = FindStarts(high);
    if (more > time && more - time < time - std::min(less, time)) FindStarts(low);
  }

  uint64_t TimeOfAll() const {
    uint64_t time = 0;
    for (int i = 0; i < section_->ops; ++i) {
      time += times_[i] * static_cast<uint64_t>(state_->ops[section_->first_op + i].steps);
    }
    return time;
  }

  uint64_t TimeInColumns() const {
    uint64_t time = 0;
    for (int i = 0; i < section_->ops; ++i) {
      const Division division = DivisionOf(ViewOf(i), KindOf(i), OutputOf(i).window, parts_);
      const uint64_t own = division == Division::kNone ? times_[i] : times_[i] / static_cast<uint64_t>(parts_);
      time += (own + kAwaitTime) * static_cast<uint64_t>(state_->ops[section_->first_op + i].steps);
    }
    return time;
  }

  // Of the part that has most to do.
  uint64_t TimeInBands(Band* section) const {
    uint64_t most = 0;
    for (int part = 0; part < parts_; ++part) {
      uint64_t time = 0;
      for (int i = 0; i < section_->ops; ++i) {
        const Band& band = BandsOf(section, i)[part];
        time += static_cast<uint64_t>(band.end - band.first) * times_[i];
      }
      most = std::max(most, time);
    }
    return most + kSectionTime;
  }

  // A look at all operands of the section for each guess of where a band begins, and some more.
  bool HasTime() {
    uint64_t operands = 0;
    for (int i = 0; i < section_->ops; ++i) operands += ViewOf(i).op->inputs + uint64_t{1};
    visits_ += operands * (4 + 9 * static_cast<uint64_t>(parts_ - 1));
    return visits_ <= kMaxVisits;
  }

  bool DivideSection(Band* section, size_t* kept_bytes) {
    if (way_ == Way::kColumns || !HasTime() || !ReadsItsColumns()) return false;
    FindSteps();
    const uint64_t all = TimeOfAll(), parts = static_cast<uint64_t>(parts_);
    for (int i = 0; i < section_->ops; ++i) BandsOf(section, i)[0].first = 0;
    for (int part = 1; part < parts_; ++part) {
      FindStartsFor(all / parts * (parts - static_cast<uint64_t>(part)));
      for (int i = 0; i < section_->ops; ++i) BandsOf(section, i)[part].first = starts_[i];
    }
    for (int i = 0; i < section_->ops; ++i) EndBands(i, BandsOf(section, i));
    if (way_ == Way::kFastest) {
      const uint64_t in_bands = TimeInBands(section), in_columns = TimeInColumns();
      if (in_columns < in_bands && in_columns < all) return false;
      if (all < in_bands) TakeWhole(section);
    }
    for (int i = 0; i < section_->ops; ++i) FindTaken(i, section);
    return Keep(section, kept_bytes);
  }

  // Serial ops are the first part's to their end.
  void EndBands(int op, Band* bands) const {
    const int32_t steps = state_->ops[section_->first_op + op].steps;
    for (int part = 0; part < parts_; ++part) {
      if (steps_[op] == 0 && part > 0) bands[part].first = steps;
      bands[part].end = steps;
      if (part > 0) bands[part - 1].end = bands[part].first;
    }
  }

  // All is the first part's.
  void TakeWhole(Band* section) const {
    for (int i = 0; i < section_->ops; ++i) {
      const int32_t steps = state_->ops[section_->first_op + i].steps;
      for (int part = 0; part < parts_; ++part) BandsOf(section, i)[part] = {part == 0 ? 0 : steps, steps, 0, 0, 0};
    }
  }

  // What each part's steps of an op take of other parts' rows.
  void FindTaken(int reader, Band* section) {
    const OpView op = ViewOf(reader);
    const Band* own = BandsOf(section, reader);
    for (int operand = 0; operand < op.op->inputs; ++operand) {
      const int writer = WriterOf(op, operand);
      if (writer < 0 || state_->ops[section_->first_op + writer].accumulates) continue;
      Band* read = BandsOf(section, writer);
      for (int part = 0; part < parts_; ++part) {
        if (own[part].first == own[part].end) continue;
        const int32_t end = KindOf(reader).rows(op, operand, own[part].end - 1).end;
        read[part].taken_end = std::max(read[part].taken_end, end);
      }
    }
  }

  // Sets the bytes that the part with most of them keeps. False if these are many and more than its rings could be.
  bool Keep(Band* section, size_t* most) const {
    const uint64_t enough = std::max<uint64_t>(program_.header->scratch_bytes, kLittleMemory);
    for (int part = 1; part < parts_; ++part) {
      uint64_t bytes = 0;
      for (int i = 0; i < section_->ops; ++i) {
        Band* bands = BandsOf(section, i);
        Band& band = bands[part];
        band.kept_end = band.first;
        for (int other = 0; other < part; ++other) band.kept_end = std::max(band.kept_end, bands[other].taken_end);
        band.kept_end = std::min(band.kept_end, band.end);
        band.kept_offset = static_cast<uint32_t>(bytes);
        bytes += static_cast<uint64_t>(band.kept_end - band.first) * ViewOf(i).output().row_bytes;
        if (bytes > enough) return false;
      }
      *most = std::max(*most, static_cast<size_t>(bytes));
    }
    return true;
  }

  bool Stores(Band* section) const {
    for (int i = 0; i < section_->ops; ++i) {
      const bool is_stored = ViewOf(i).output().place == kScratch && !OutputOf(i).is_private;
      const Band& first = BandsOf(section, i)[0];
      if (is_stored && first.end < state_->ops[section_->first_op + i].steps) return true;
    }
    return false;
  }

  const Program& program_;
  const Sections& sections_;
  const int parts_;
  const Way way_;
  State* const state_;
  const PassRecord* section_ = nullptr;
  uint64_t visits_ = 0;
  // Of each op of the section:
  uint64_t* times_ = nullptr;  // of a step
  int32_t* steps_ = nullptr;   // that can be divided
  int32_t* starts_ = nullptr;  // of the band at hand
  int32_t* limits_ = nullptr;  // of its start, for those that read it
};

// The bytes of a row that a section writes, from the row's start.
struct Piece {
  ptrdiff_t first;
  size_t bytes;
};

Piece PieceOf(const RowAccess& access, const TensorRecord& tensor) {
  const Range columns = WithPadding(tensor, access.StateOf(tensor).window);
  return {access.ColumnOffset(tensor, columns.first),
          static_cast<size_t>(columns.end - columns.first) * tensor.pixel_bytes};
}

ptrdiff_t RowOffset(const TensorRecord& tensor, int32_t row) {
  return static_cast<ptrdiff_t>(tensor.offset + size_t{PlacesOf(tensor).SlotOf(row)} * tensor.row_bytes);
}

}  // namespace

bool FindBands(const Program& program, const Sections& sections, int parts, Way way, State* state, Bands* bands) {
  return BandFinder(program, sections, parts, way, state).Find(bands);
}

void FreeBands(Bands* bands) {
  std::free(bands->sections);
  std::free(bands->all);
}

void KeepRow(const OpView& op, const RowAccess& access, int32_t row, uint8_t* kept) {
  const Piece piece = PieceOf(access, op.output());
  memcpy(kept + piece.first, access.private_scratch + RowOffset(op.output(), row) + piece.first, piece.bytes);
}

void TakeRow(const OpView& op, const RowAccess& access, int32_t row, const uint8_t* kept) {
  const Piece piece = PieceOf(access, op.output());
  memcpy(access.private_scratch + RowOffset(op.output(), row) + piece.first, kept + piece.first, piece.bytes);
}

void StoreRows(const OpView& op, const RowAccess& access, const Band& band) {
  const TensorRecord& tensor = op.output();
  if (tensor.place != kScratch || access.StateOf(tensor).is_private) return;
  const Piece piece = PieceOf(access, tensor);
  for (int32_t row = band.first; row < band.end; ++row) {
    const ptrdiff_t first = RowOffset(tensor, row) + piece.first;
    memcpy(access.scratch + first, access.private_scratch + first, piece.bytes);
  }
}

}  // namespace fmtc::region
