#include "region/team.h"

#include <sched.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <new>

#include "base/bytes.h"
#include "region/hazards.h"
#include "region/kind.h"
#include "region/schedule.h"
#include "region/steps.h"

namespace fmtc::region {
namespace {

constexpr size_t kCacheLine = 64;
constexpr int kMaxMembers = 64;
constexpr uint64_t kLeastMacs = 1'000'000;  // some tens of microseconds

// The first to come waits for the others a tenth of what all the work takes one of them, about.
constexpr uint64_t kMacsANanosecond = 50;
constexpr uint64_t kPatience = 10;

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

struct alignas(kCacheLine) Seat {
  std::atomic<uint64_t> done;  // steps, of all items so far
  State state;
  uint8_t* state_memory;
  uint8_t* own_memory;
};

struct Team {
  Hazard* hazards;
  uint64_t patience;  // nanoseconds
  int size;
  std::atomic<uint32_t> joined;
  std::atomic<int> members;  // of the run at hand, once that is settled; 0 before
  Seat seats[kMaxMembers];
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
    if (!FindKind(op.op->kind)->accumulates(op) && op.op->memory_bytes > most) most = op.op->memory_bytes;
  }
  return most;
}

bool Furnish(const Program& program, const State& checked, int index, size_t own_bytes, Seat* seat) {
  const size_t state_bytes = StateBytes(program);
  seat->state_memory = static_cast<uint8_t*>(std::malloc(state_bytes));
  if (seat->state_memory == nullptr) return false;
  seat->state = CarveState(program, seat->state_memory);
  CopyState(program, checked, &seat->state);
  if (index == 0 || own_bytes == 0) return true;
  seat->own_memory = static_cast<uint8_t*>(std::aligned_alloc(kCacheLine, RoundUp(own_bytes, kCacheLine)));
  return seat->own_memory != nullptr;
}

struct TeamRun {
  const Program* program;
  const RowKernels* kernels;
  const RunArguments* arguments;
  Team* team;
};

// The number of members. Whoever is first closes the door when all are there or its patience ends.
int Gather(Team* team, int index) {
  if (index > 0) {
    for (uint32_t turn = 0; team->members.load(std::memory_order_acquire) == 0; ++turn) Relax(turn);
    return team->members.load(std::memory_order_acquire);
  }
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::nanoseconds(team->patience);
  const uint32_t wanted = static_cast<uint32_t>(team->size);
  for (uint32_t turn = 0; team->joined.load(std::memory_order_acquire) < wanted; ++turn) {
    Relax(turn);
    if (turn % 16 == 15 && Clock::now() > end) break;
  }
  const int members = static_cast<int>(team->joined.fetch_or(kClosed, std::memory_order_acq_rel));
  team->members.store(members, std::memory_order_release);
  return members;
}

// How far the others are, as far as a member has seen.
class Watch {
 public:
  Watch(Team* team, int index, int members) : team_(team), index_(index), members_(members) {}

  // Where fewer came than the hazards were found for, all of them count as neighbours.
  void Await(uint64_t neighbours, uint64_t all) {
    for (int i = 0; i < members_; ++i) {
      if (i == index_) continue;
      const bool is_neighbour = members_ < team_->size || i == index_ - 1 || i == index_ + 1;
      AwaitOne(i, is_neighbour && neighbours > all ? neighbours : all);
    }
  }

 private:
  void AwaitOne(int other, uint64_t steps) {
    for (uint32_t turn = 0; seen_[other] < steps; ++turn) {
      seen_[other] = team_->seats[other].done.load(std::memory_order_acquire);
      if (seen_[other] < steps) Relax(turn);
    }
  }

  Team* const team_;
  const int index_, members_;
  uint64_t seen_[kMaxMembers] = {};
};

void RunShare(const TeamRun& run, int index, int members) {
  const Program& program = *run.program;
  Team* team = run.team;
  Seat& seat = team->seats[index];
  const Member member{index, members, seat.own_memory};
  Watch watch(team, index, members);
  RowAccess access = MakeAccess(program, *run.arguments, &seat.state);
  uint64_t before = 0;  // steps of the items before
  for (; access.item < access.batch; ++access.item, before += program.header->steps) {
    for (int i = 0; i < program.header->passes; ++i) {
      const PassRecord& pass = program.passes[i];
      BeginPass(program, pass, &seat.state);
      for (uint32_t step = pass.first_step; step < pass.first_step + pass.steps; ++step) {
        const Turn turn = NextTurn(member, program.steps[step], access, &seat.state);
        if (!turn.share.IsEmpty()) {
          watch.Await(before + team->hazards[step].neighbours, before + team->hazards[step].all);
          RunTurn(turn, *run.kernels, &access);
        }
        seat.done.store(before + step + 1, std::memory_order_release);
      }
    }
  }
}

void Join(void* argument, uint32_t) {
  const TeamRun& run = *static_cast<const TeamRun*>(argument);
  const uint32_t index = run.team->joined.fetch_add(1, std::memory_order_acq_rel);
  if (index >= kClosed) return;
  RunShare(run, static_cast<int>(index), Gather(run.team, static_cast<int>(index)));
}

}  // namespace

uint64_t PatienceFor(const Program& program) {
  const uint64_t macs = MacsOf(program);
  return macs < kLeastMacs ? 0 : macs / kMacsANanosecond / kPatience;
}

Team* MakeTeam(const Program& program, int members, uint64_t patience, State* state) {
  auto* team = new (std::nothrow) Team();
  if (team == nullptr) return nullptr;
  team->size = members < kMaxMembers ? members : kMaxMembers;
  team->patience = patience;
  team->hazards = FindHazards(program, team->size, state);
  bool complete = team->hazards != nullptr;
  const size_t own_bytes = OwnBytes(program);
  for (int i = 0; complete && i < team->size; ++i) complete = Furnish(program, *state, i, own_bytes, &team->seats[i]);
  if (complete) return team;
  FreeTeam(team);
  return nullptr;
}

void FreeTeam(Team* team) {
  if (team == nullptr) return;
  for (Seat& seat : team->seats) {
    std::free(seat.state_memory);
    std::free(seat.own_memory);
  }
  std::free(team->hazards);
  delete team;
}

void RunInTeam(const Program& program, const RowKernels& kernels, const RunArguments& arguments, const Workers& workers,
               Team* team) {
  team->joined.store(0);
  team->members.store(0);
  for (int i = 0; i < team->size; ++i) team->seats[i].done.store(0);
  TeamRun run{&program, &kernels, &arguments, team};
  workers.Run(static_cast<uint32_t>(team->size), Join, &run);
}

}  // namespace fmtc::region
