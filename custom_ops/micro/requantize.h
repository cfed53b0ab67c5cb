// Rule 1 for convolutions, whose multipliers the check knows to be at least 0: the product never saturates then.
#ifndef FMTC_MICRO_REQUANTIZE_H_
#define FMTC_MICRO_REQUANTIZE_H_

#include "base/bytes.h"
#include "base/rounding.h"

namespace fmtc::region {

// An output range as limits of what the zero point is added to, so that the sum never needs more than 32 bits.
struct Limits {
  explicit Limits(const OutputRange& range)
      : zero(range.zero), low(range.low - range.zero), high(range.high - range.zero) {}

  uint8_t Clamp(int32_t value) const {
    const int32_t raised = value < low ? low : value;
    return static_cast<uint8_t>((raised > high ? high : raised) + zero);
  }

  int32_t zero, low, high;
};

inline uint8_t Requantize(int32_t acc, const Requantization& r, const Limits& limits, int32_t c) {
  const int32_t multiplier = Load<int32_t>(r.multipliers + 4 * c);
  const int32_t shift = r.shifts[c];
  const int64_t product = int64_t{ShiftLeft(acc, LeftShiftOf(shift))} * multiplier;
  const int32_t high = static_cast<int32_t>((product + (int64_t{1} << 30)) >> 31);
  return limits.Clamp(ShiftHalfAway(high, RightShiftOf(shift)));
}

}  // namespace fmtc::region

#endif  // FMTC_MICRO_REQUANTIZE_H_
