// Rule 1 with multipliers that the check knows to be at least 0: the product never saturates then.
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

// M(x, m, s) of REGION.md section 5, m being at least 0.
class FixedScale {
 public:
  FixedScale(int32_t multiplier, int32_t shift)
      : multiplier_(multiplier), left_(LeftShiftOf(shift)), right_(RightShiftOf(shift)) {}

  int32_t Apply(int32_t acc) const { return Down(ShiftLeft(acc, left_)); }

  // With a shift that is not above 0.
  int32_t Down(int32_t acc) const {
    const int64_t product = int64_t{acc} * multiplier_;
    const int32_t high = static_cast<int32_t>((product + (int64_t{1} << 30)) >> 31);
    if (right_ == 0) return high;
    // ShiftHalfAway in four instructions; the product is never the least number, as no multiplier is 2^31.
    return (((high + (high >> 31)) >> (right_ - 1)) + 1) >> 1;
  }

 private:
  int32_t multiplier_, left_, right_;
};

inline FixedScale ScaleOf(const Requantization& r, int32_t channel) {
  return {Load<int32_t>(r.multipliers + 4 * channel), r.shifts[channel]};
}

}  // namespace fmtc::region

#endif  // FMTC_MICRO_REQUANTIZE_H_
