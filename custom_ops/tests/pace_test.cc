// The choice between two ways, fed with times in the place of a clock's.
#include "tflite/pace.h"

#include <cstdint>
#include <initializer_list>

#include "tests/expect.h"

namespace fmtc {
namespace {

constexpr uint64_t kAlone = 1000;

struct Totals {
  uint64_t runs[2] = {0, 0};
  uint64_t time = 0;
};

// Runs `count` times; took(way, i) is what the `i`th takes.
template <class Took>
Totals Play(uint64_t count, const Took& took, Pace* pace) {
  Totals totals;
  for (uint64_t i = 0; i < count; ++i) {
    const int way = pace->Choose();
    const uint64_t time = took(way, i);
    ++totals.runs[way];
    totals.time += time;
    pace->Note(time);
  }
  return totals;
}

template <class Took>
Totals PlayAnew(uint64_t count, const Took& took) {
  Pace pace = {};
  return Play(count, took, &pace);
}

// Other numbers each time, the same in every run of the test.
uint64_t Scatter(uint64_t i) { return (i * 2654435761u >> 7) % 1000; }

void TestFasterWay() {
  for (const uint64_t team : {500u, 700u, 900u}) {
    const auto took = [team](int way, uint64_t) { return way == 0 ? kAlone : team; };
    EXPECT(PlayAnew(2 * Pace::kTries, took).runs[0] == Pace::kTries);
    EXPECT(PlayAnew(100, took).runs[1] >= 80);
    EXPECT(PlayAnew(100'000, took).runs[0] < 600);
  }
}

// Trials of a way that takes three times as long cost little, and one that gains nothing is not taken.
void TestSlowerWay() {
  const Totals totals = PlayAnew(100'000, [](int way, uint64_t) { return way == 0 ? kAlone : 3 * kAlone; });
  EXPECT(totals.time < 101 * kAlone * 1000 + 200 * kAlone);
  EXPECT(PlayAnew(100'000, [](int, uint64_t) { return kAlone; }).runs[1] < 600);
  EXPECT(PlayAnew(100'000, [](int way, uint64_t) { return kAlone - 30 * way; }).runs[1] < 600);
}

// One run of eight is interrupted for long, of either way.
void TestInterruptions() {
  for (const int faster : {0, 1}) {
    const auto took = [faster](int way, uint64_t i) {
      const uint64_t time = way == faster ? 600 : kAlone;
      return Scatter(i) < 125 ? 20 * time : time;
    };
    EXPECT(PlayAnew(100'000, took).runs[1 - faster] < 1000);
  }
}

// A helper that is there in time only now and then, and one that has to be woken before the first try.
void TestHelpersThatComeLate() {
  const auto seldom = [](int way, uint64_t i) { return way == 0 ? kAlone : Scatter(i) < 250 ? 600 : 1300; };
  EXPECT(PlayAnew(10'000, seldom).runs[1] < 300);
  const auto once = [](int way, uint64_t i) { return way == 0 ? kAlone : i < 4 ? 5000 : 600; };
  EXPECT(PlayAnew(100, once).runs[1] >= 80);
}

// A helper that falls asleep while the other way is tried.
void TestHelpersThatFallAsleep() {
  int before = 0;
  const auto took = [&before](int way, uint64_t) {
    const bool is_asleep = way == 1 && before == 0;
    before = way;
    return way == 0 ? kAlone : is_asleep ? 1300 : 600;
  };
  EXPECT(PlayAnew(1000, took).runs[1] > 800);
}

// Another program takes the second processor for some time.
void TestMachineThatGetsBusy() {
  Pace pace = {};
  const auto idle = [](int way, uint64_t) { return way == 0 ? kAlone : 600; };
  const auto busy = [](int way, uint64_t) { return way == 0 ? kAlone : 2500; };
  EXPECT(Play(5000, idle, &pace).runs[1] > 4500);
  EXPECT(Play(5000, busy, &pace).runs[1] < 150);
  EXPECT(Play(2 * Pace::kMostPeriod, idle, &pace).runs[1] > 0);
  EXPECT(Play(1000, idle, &pace).runs[1] > 900);
}

// What all runs have in common does not count.
void TestMachineThatGetsSlow() {
  const auto slower = [](int way, uint64_t i) { return (way == 0 ? kAlone : 600) * (1 + i / 10'000); };
  EXPECT(PlayAnew(100'000, slower).runs[1] > 98'000);
}

// The time of the first way is known once it has been taken.
void TestKnownTime() {
  Pace pace = {};
  for (uint32_t i = 0; i < Pace::kTogether; ++i) {
    EXPECT(pace.Choose() == 0);
    pace.Note(700);
  }
  EXPECT(pace.nanoseconds[0] == 700 && pace.Choose() == 1);
}

}  // namespace
}  // namespace fmtc

int main() {
  fmtc::TestFasterWay();
  fmtc::TestSlowerWay();
  fmtc::TestInterruptions();
  fmtc::TestHelpersThatComeLate();
  fmtc::TestHelpersThatFallAsleep();
  fmtc::TestMachineThatGetsBusy();
  fmtc::TestMachineThatGetsSlow();
  fmtc::TestKnownTime();
  return 0;
}
