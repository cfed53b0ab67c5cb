// Which of two ways to do the same thing is the faster one on this machine, as busy as it is.
#ifndef FMTC_TFLITE_PACE_H_
#define FMTC_TFLITE_PACE_H_

#include <cstdint>

namespace fmtc {

// All zero to begin with. In a trial the ways take turns, so that both see the same machine, and their medians count,
// so that neither an interruption nor a lucky time decides. A turn is a few tries, since the first one may find threads
// asleep and caches cold that would not be so if the way were taken always. The faster way is then taken until it takes
// longer than the other one did, or for a while, which gets longer with each trial that comes to the same end.
//
// Way 1 has to be clearly faster: it takes more of the machine.
struct Pace {
  static constexpr uint32_t kTries = 9;  // of each way in a trial
  static constexpr uint32_t kTogether = 3;
  static constexpr uint32_t kLeastPeriod = 64;
  static constexpr uint32_t kMostPeriod = 2048;

  uint64_t nanoseconds[2];  // that the ways take: the medians of their tries, then what the chosen one took lately
  uint64_t tries[2][kTries];
  uint32_t turn;    // since the trial began
  uint32_t period;  // turns from one trial to the next
  int chosen;

  // The way to take now: 0 or 1.
  int Choose() const { return IsTrial() ? static_cast<int>(turn / kTogether % 2) : chosen; }

  // What the way took that was to be taken.
  void Note(uint64_t took) {
    if (IsTrial()) {
      NoteTry(turn / kTogether % 2, turn / (2 * kTogether) * kTogether + turn % kTogether, took);
      if (turn + 1 == 2 * kTries) EndTrial();
    } else {
      uint64_t& known = nanoseconds[chosen];
      const uint64_t counted = took < 2 * known ? took : 2 * known;  // one interruption says little
      known = (7 * known + counted) / 8;
    }
    ++turn;
    if (turn >= 2 * kTries + period || (turn >= kLeastPeriod && Faster() != chosen)) turn = 0;
  }

 private:
  bool IsTrial() const { return turn < 2 * kTries; }
  int Faster() const { return nanoseconds[1] < nanoseconds[0] - nanoseconds[0] / 16 ? 1 : 0; }

  void NoteTry(uint32_t way, uint32_t before, uint64_t took) {
    uint64_t* sorted = tries[way];
    uint32_t at = before;
    for (; at > 0 && sorted[at - 1] > took; --at) sorted[at] = sorted[at - 1];
    sorted[at] = took;
    nanoseconds[way] = sorted[before / 2];
  }

  void EndTrial() {
    const bool is_confirmed = Faster() == chosen && period > 0;
    period = !is_confirmed ? kLeastPeriod : period < kMostPeriod ? 2 * period : period;
    chosen = Faster();
  }
};

}  // namespace fmtc

#endif  // FMTC_TFLITE_PACE_H_
