#include "region/team.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <initializer_list>
#include <new>

#include "base/bytes.h"
#include "region/bands.h"
#include "region/halo.h"
#include "region/hazards.h"
#include "region/kind.h"
#include "region/schedule.h"
#include "region/sections.h"
#include "region/steps.h"

namespace fmtc::region {
namespace {

constexpr size_t kApart = 128;  // bytes; processors pass on pairs of cache lines
constexpr int kMaxParts = 64;
constexpr uint64_t kLeastMacs = 1'000'000;  // some tens of microseconds

constexpr uint32_t kClosed = 1u << 16;  // of Team::joined: who comes now comes too late

void Relax(uint32_t turn) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
  if (turn % 1024 == 1023) sched_yield();  // the one waited for may want this processor
}

}  // namespace

// Where a part's work is done, by one thread or another.
struct Seat {
  alignas(kApart) std::atomic<uint64_t> done;  // steps, of all items so far
  std::atomic<uint64_t> left;                  // likewise, those of passes whose tensors it reads no more
  alignas(kApart) State state;
  bool damaged;  // of the run at hand: a segment was none
  RowAccess access;
  uint8_t* state_memory;
  uint8_t* own_memory;       // of ops; null: the program's
  uint8_t* private_scratch;  // null: the run's scratch memory
  uint8_t* kept;             // rows for the parts before it
};

struct Team {
  Sections sections;
  Bands bands;
  Hazard* hazards;
  State* whole;  // of the runs that one thread does alone
  int parts;
  std::atomic<uint32_t> joined;
  std::atomic<int> threads;  // of the run at hand, once that is settled; 0 before
  Seat seats[kMaxParts];
};

namespace {

uint64_t MacsOf(const Program& program) {
  uint64_t macs = 0;
  for (int i = 0; i < program.header->ops; ++i) {
    const OpView op{&program, &program.ops[i]};
    const Kind& kind = *FindKind(op.op->kind);
    if (kind.macs != nullptr) macs += kind.macs(op);
  }
  return macs;
}

// The most that an op has which keeps nothing in it.
size_t OwnBytes(const Program& program) {
  size_t most = 0;
  for (int i = 0; i < program.header->ops; ++i) {
    const OpView op{&program, &program.ops[i]};
    if (!KeepsMemory(op, *FindKind(op.op->kind)) && op.op->memory_bytes > most) most = op.op->memory_bytes;
  }
  return most;
}

// Null for no bytes or where there are none; of large blocks, what is never touched takes no memory.
uint8_t* AllocateApart(size_t bytes) {
  return bytes == 0 ? nullptr : static_cast<uint8_t*>(std::aligned_alloc(kApart, RoundUp(bytes, kApart)));
}

bool Furnish(const Program& program, const State& checked, int part, size_t own_bytes, size_t kept_bytes, Seat* seat) {
  seat->state_memory = AllocateApart(StateBytes(program));
  if (seat->state_memory == nullptr) return false;
  seat->state = CarveState(program, seat->state_memory);
  CopyState(program, checked, &seat->state);
  if (part == 0) return true;
  const size_t scratch_bytes = program.header->scratch_bytes;
  seat->own_memory = AllocateApart(own_bytes);
  seat->private_scratch = AllocateApart(scratch_bytes);
  seat->kept = AllocateApart(kept_bytes);
  return (own_bytes == 0 || seat->own_memory != nullptr) && (scratch_bytes == 0 || seat->private_scratch != nullptr) &&
         (kept_bytes == 0 || seat->kept != nullptr);
}

struct TeamRun {
  const Program* program;
  const RowKernels* kernels;
  const RunArguments* arguments;
  uint64_t patience;  // nanoseconds
  Team* team;
  const uint8_t* scratches[kMaxParts];  // private ones
};

// The number of threads. Whoever is first closes the door when all are there or its patience ends.
int Gather(Team* team, uint64_t patience, int index) {
  if (index > 0) {
    for (uint32_t turn = 0; team->threads.load(std::memory_order_acquire) == 0; ++turn) Relax(turn);
    return team->threads.load(std::memory_order_acquire);
  }
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::nanoseconds(patience);
  const uint32_t wanted = static_cast<uint32_t>(team->parts);
  for (uint32_t turn = 0; team->joined.load(std::memory_order_acquire) < wanted; ++turn) {
    Relax(turn);
    if (turn % 16 == 15 && Clock::now() > end) break;
  }
  const int threads = static_cast<int>(team->joined.fetch_or(kClosed, std::memory_order_acq_rel));
  team->threads.store(threads, std::memory_order_release);
  return threads;
}

// One of the threads of a run, which does the parts [first, end), and how far the others are as far as it has seen.
// Each step that any of its parts needs of another one of its own it has done before.
class Worker {
 public:
  Worker(const TeamRun& run, int first, int end)
      : run_(run), program_(*run.program), team_(run.team), first_(first), end_(end) {
    for (int part = first_; part < end_; ++part) {
      Seat& seat = team_->seats[part];
      seat.access = MakeAccess(program_, *run.arguments, &seat.state);
      seat.access.damaged = &seat.damaged;
      if (seat.private_scratch != nullptr) seat.access.private_scratch = seat.private_scratch;
    }
  }

  void RunItem(int32_t item) {
    for (int part = first_; part < end_; ++part) team_->seats[part].access.item = item;
    const uint64_t before = static_cast<uint64_t>(item) * program_.header->steps;
    for (size_t i = 0; i < team_->sections.count; ++i) {
      const PassRecord& section = team_->sections.records[i];
      AwaitAll(before + section.first_step);
      for (int part = first_; part < end_; ++part) BeginPass(program_, section, &team_->seats[part].state);
      if (team_->bands.sections[i].bands != nullptr) {
        RunInBands(section, team_->bands.sections[i], before);
      } else {
        RunInColumns(section, before);
      }
      for (int part = first_; part < end_; ++part) {
        EndPass(program_, section, &team_->seats[part].state);
        team_->seats[part].done.store(before + section.first_step + section.steps, std::memory_order_release);
      }
    }
  }

 private:
  void RunInColumns(const PassRecord& section, uint64_t before) {
    for (uint32_t step = section.first_step; step < section.first_step + section.steps; ++step) {
      for (int part = first_; part < end_; ++part) TakeStep(part, step, before);
    }
  }

  void RunInBands(const PassRecord& section, const SectionBands& bands, uint64_t before) {
    const uint64_t end = before + section.first_step + section.steps;
    for (int part = first_; part < end_; ++part) team_->seats[part].access.keeps_pass_apart = true;
    for (uint32_t step = section.first_step; step < section.first_step + section.steps; ++step) {
      const Band* parts = bands.bands + (program_.steps[step] - section.first_op) * team_->parts;
      for (int part = end_ - 1; part >= first_; --part) TakeStepInBand(part, parts, step, before);
    }
    for (int part = first_; part < end_; ++part) {
      Seat& seat = team_->seats[part];
      seat.access.keeps_pass_apart = false;
      seat.done.store(end - 1, std::memory_order_release);  // the last step is the first part's, or nobody waits for it
      seat.left.store(end, std::memory_order_release);
    }
    if (bands.stores && end_ > 1) Store(section, bands, end);
  }

  // Its own step, or the same part's as what it takes the row of.
  void TakeStepInBand(int part, const Band* parts, uint32_t step, uint64_t before) {
    Seat& seat = team_->seats[part];
    const Band& band = parts[part];
    const Turn turn = NextTurn({0, 1, seat.own_memory}, program_.steps[step], seat.access, &seat.state);
    if (turn.step < band.first || turn.step >= std::max(band.end, band.taken_end)) return;
    const OpView op{&program_, turn.op};
    if (turn.step >= band.end) {
      AwaitBehind(part, before + step + 1);
      int owner = part + 1;
      while (turn.step >= parts[owner].end) ++owner;
      TakeRow(op, seat.access, turn.step, KeptRow(op, owner, parts[owner], turn.step));
      return;
    }
    seat.done.store(before + step, std::memory_order_release);
    AwaitBehind(part, before + step);
    RunTurn(turn, *run_.kernels, &seat.access);
    if (turn.step < band.kept_end) KeepRow(op, seat.access, turn.step, KeptRow(op, part, band, turn.step));
  }

  uint8_t* KeptRow(const OpView& op, int part, const Band& band, int32_t row) const {
    return team_->seats[part].kept + band.kept_offset + static_cast<size_t>(row - band.first) * op.output().row_bytes;
  }

  void Store(const PassRecord& section, const SectionBands& bands, uint64_t end) {
    for (int other = 0; other < team_->parts; ++other) {
      for (uint32_t turn = 0; team_->seats[other].left.load(std::memory_order_acquire) < end; ++turn) Relax(turn);
    }
    for (int i = 0; i < section.ops; ++i) {
      const OpView op{&program_, &program_.ops[section.first_op + i]};
      for (int part = std::max(first_, 1); part < end_; ++part) {
        StoreRows(op, team_->seats[part].access, bands.bands[i * team_->parts + part]);
      }
    }
  }

  void TakeStep(int part, uint32_t step, uint64_t before) {
    Seat& seat = team_->seats[part];
    const Hazard& hazard = team_->hazards[step];
    const Part own = {part, team_->parts, seat.own_memory};
    const Turn turn = NextTurn(own, program_.steps[step], seat.access, &seat.state);
    if (!turn.share.IsEmpty()) {
      AwaitAll(before + hazard.all);
      AwaitNeighbours(part, before + hazard.neighbours);
      RunShare(part, turn, hazard, before + hazard.edges);
    }
    if (hazard.is_awaited) seat.done.store(before + step + 1, std::memory_order_release);
  }

  // Where the neighbours have not yet written what lies beside the part's own columns, does the others meanwhile.
  void RunShare(int part, const Turn& turn, const Hazard& hazard, uint64_t edges) {
    Seat& seat = team_->seats[part];
    const OpView op{&program_, turn.op};
    const Range columns = turn.share.columns;
    Range inner = {columns.first, columns.first};
    seat.access.share = turn.share;
    if (!HaveNeighboursDone(part, edges)) {
      inner = InnerColumns(op, *turn.kind, seat.access, part, team_->parts);
      RunColumns(turn, inner, &seat.access);
      AwaitNeighbours(part, edges);
    }
    seat.access.share = turn.share;
    if (hazard.fetches) FetchHalo(op, *turn.kind, turn.step, seat.access, part, team_->parts, run_.scratches);
    RunColumns(turn, {columns.first, inner.first}, &seat.access);
    RunColumns(turn, {inner.end, columns.end}, &seat.access);
  }

  void RunColumns(Turn turn, Range columns, RowAccess* access) {
    turn.share.columns = columns;
    if (columns.first < columns.end) RunTurn(turn, *run_.kernels, access);
  }

  bool IsMine(int part) const { return part >= first_ && part < end_; }

  void AwaitAll(uint64_t steps) {
    for (int other = 0; other < team_->parts; ++other) {
      if (!IsMine(other)) AwaitOne(other, steps);
    }
  }

  void AwaitBehind(int part, uint64_t steps) {
    for (int other = std::max(part + 1, end_); other < team_->parts; ++other) AwaitOne(other, steps);
  }

  // There may be none at a side, or one of the worker's own.
  bool IsOthers(int part) const { return part >= 0 && part < team_->parts && !IsMine(part); }

  void AwaitNeighbours(int part, uint64_t steps) {
    for (const int other : {part - 1, part + 1}) {
      if (IsOthers(other)) AwaitOne(other, steps);
    }
  }

  bool HaveNeighboursDone(int part, uint64_t steps) {
    for (const int other : {part - 1, part + 1}) {
      if (IsOthers(other) && !HasDone(other, steps)) return false;
    }
    return true;
  }

  bool HasDone(int other, uint64_t steps) {
    if (seen_[other] < steps) seen_[other] = team_->seats[other].done.load(std::memory_order_acquire);
    return seen_[other] >= steps;
  }

  void AwaitOne(int other, uint64_t steps) {
    for (uint32_t turn = 0; !HasDone(other, steps); ++turn) Relax(turn);
  }

  const TeamRun& run_;
  const Program& program_;
  Team* const team_;
  const int first_, end_;
  uint64_t seen_[kMaxParts] = {};
};

void Join(void* argument, uint32_t) {
  const TeamRun& run = *static_cast<const TeamRun*>(argument);
  Team* const team = run.team;
  const uint32_t joined = team->joined.fetch_add(1, std::memory_order_acq_rel);
  if (joined >= kClosed) return;
  const int index = static_cast<int>(joined), threads = Gather(team, run.patience, index);
  if (threads == 1) {  // parts would only cost it
    team->seats[0].damaged = Run(*run.program, *run.kernels, *run.arguments, team->whole) != Status::kOk;
    return;
  }
  Worker worker(run, team->parts * index / threads, team->parts * (index + 1) / threads);
  for (int32_t item = 0; item < run.arguments->batch; ++item) worker.RunItem(item);
}

}  // namespace

bool IsWorthATeam(const Program& program) { return MacsOf(program) >= kLeastMacs; }

Team* MakeTeam(const Program& program, int parts, State* state, Way way) {
  auto* team = new (std::nothrow) Team();
  if (team == nullptr) return nullptr;
  team->parts = parts < kMaxParts ? parts : kMaxParts;
  team->whole = state;
  bool complete = FindSections(program, state, &team->sections);
  if (complete) FindPrivateTensors(program, team->sections, state);
  complete = complete && FindBands(program, team->sections, team->parts, way, state, &team->bands);
  if (complete) team->hazards = FindHazards(program, team->sections, team->parts, team->bands, state);
  complete = team->hazards != nullptr;
  const size_t own_bytes = OwnBytes(program);
  for (int i = 0; complete && i < team->parts; ++i) {
    complete = Furnish(program, *state, i, own_bytes, team->bands.kept_bytes, &team->seats[i]);
  }
  if (complete) return team;
  FreeTeam(team);
  return nullptr;
}

void FreeTeam(Team* team) {
  if (team == nullptr) return;
  for (Seat& seat : team->seats) {
    std::free(seat.state_memory);
    std::free(seat.own_memory);
    std::free(seat.private_scratch);
    std::free(seat.kept);
  }
  FreeBands(&team->bands);
  std::free(team->sections.records);
  std::free(team->hazards);
  delete team;
}

Status RunInTeam(const Program& program, const RowKernels& kernels, const RunArguments& arguments,
                 const Workers& workers, uint64_t patience, Team* team) {
  team->joined.store(0);
  team->threads.store(0);
  TeamRun run{&program, &kernels, &arguments, patience, team, {}};
  for (int i = 0; i < team->parts; ++i) {
    Seat& seat = team->seats[i];
    seat.done.store(0);
    seat.left.store(0);
    seat.damaged = false;
    run.scratches[i] = seat.private_scratch != nullptr ? seat.private_scratch : arguments.scratch;
  }
  workers.Run(static_cast<uint32_t>(team->parts), Join, &run);
  bool damaged = false;
  for (int i = 0; i < team->parts; ++i) damaged |= team->seats[i].damaged;
  return damaged ? Status::kStreamCorrupt : Status::kOk;
}

}  // namespace fmtc::region
