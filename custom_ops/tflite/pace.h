// Which of two ways to do the same thing is the faster one on this machine, as busy as it is.
#ifndef FMTC_TFLITE_PACE_H_
#define FMTC_TFLITE_PACE_H_

#include <cstdint>

namespace fmtc {

// All zero to begin with. A way is tried some times in a row, for threads that slept are slow to come to a processor of
// their own; the faster one is then taken, and the other one tried again now and then.
struct Pace {
  static constexpr uint32_t kTries = 24;
  static constexpr uint32_t kPeriod = 1024;

  uint64_t nanoseconds[2];  // that the ways take: the least at their tries, then what they took lately
  uint32_t turns;
  int tried;  // way that is being tried, or was at last

  // The way to take now: 0 or 1.
  int Choose() {
    const uint32_t turn = turns % kPeriod;
    if (turn == 0) tried = turns == 0 ? 1 : 1 - Faster();
    if (turns == kTries) tried = 0;
    return IsTry() ? tried : Faster();
  }

  void Note(int way, uint64_t took) {
    uint64_t& known = nanoseconds[way];
    if (IsTry()) {
      const bool is_first = turns % kPeriod == 0 || turns == kTries;
      known = is_first || took < known ? took : known;
    } else {
      const uint64_t counted = took < 2 * known ? took : 2 * known;  // one interruption says little
      known = (7 * known + counted) / 8;
    }
    ++turns;
  }

 private:
  bool IsTry() const { return turns % kPeriod < kTries || turns < 2 * kTries; }
  int Faster() const { return nanoseconds[1] < nanoseconds[0] ? 1 : 0; }
};

}  // namespace fmtc

#endif  // FMTC_TFLITE_PACE_H_
