// Rule 1 for convolutions, whose multipliers the check knows to be at least 0: the product never saturates then.
#ifndef FMTC_MICRO_REQUANTIZE_H_
#define FMTC_MICRO_REQUANTIZE_H_

#include "base/bytes.h"
#include "base/rounding.h"

namespace fmtc::region {

// An output range as limits of what the zero point is added to.
struct Limits {
  explicit Limits(const OutputRange& range)
      : zero(range.zero), low(range.low - range.zero), high(range.high - range.zero) {}

  uint8_t Clamp(int32_t value) const {
    value = value < low ? low : value;
    value = value > high ? high : value;
    return static_cast<uint8_t>(value + zero);
  }

  int32_t zero, low, high;
};

// What the values of one channel have in common.
class ChannelScale {
 public:
  ChannelScale(const Requantization& r, int32_t channel)
      : multiplier_(Load<int32_t>(r.multipliers + 4 * channel)),
        left_(LeftShiftOf(r.shifts[channel])),
        right_(RightShiftOf(r.shifts[channel])) {}

  uint8_t Apply(int32_t acc, const Limits& limits) const {
    const int64_t product = int64_t{ShiftLeft(acc, left_)} * multiplier_;
    return limits.Clamp(ShiftHalfAway(static_cast<int32_t>((product + (int64_t{1} << 30)) >> 31), right_));
  }

 private:
  int32_t multiplier_, left_, right_;
};

}  // namespace fmtc::region

#endif  // FMTC_MICRO_REQUANTIZE_H_
