// Rule 1 with multipliers that the check knows to be at least 0: the product never saturates then.
#ifndef FMTC_MICRO_REQUANTIZE_H_
#define FMTC_MICRO_REQUANTIZE_H_

#include "base/bytes.h"
#include "base/rounding.h"
#include "micro/pairs.h"

namespace fmtc::region {

// An output range as limits of four values, each of which is first limited to 0 and 255, less the least output.
struct Limits {
  [[gnu::noinline]] explicit Limits(const OutputRange& range) {
    const int32_t low = range.low < range.high ? range.low : range.high;  // the upper limit has the last word
    zero = range.zero - low;
    raise = OfFour(255 + low - range.high);
    lower = OfFour(255 - range.high);
  }

  static uint32_t OfFour(int32_t byte) { return static_cast<uint32_t>(byte) * 0x01010101u; }

  uint32_t Byte(int32_t value) const { return ByteOfSum(value, zero); }
  uint32_t Clamp(uint32_t bytes) const { return SubtractDownTo0(AddUpTo255(bytes, raise), lower); }

  int32_t zero;
  uint32_t raise, lower;
};

// The first of four bytes, at least one of them.
inline void StoreFirst(uint32_t bytes, int32_t count, uint8_t* out) {
  if (count >= 4) return Store(out, bytes);
  for (; count > 0; --count, bytes >>= 8) *out++ = static_cast<uint8_t>(bytes);
}

// M(x, m, s) of REGION.md section 5, m being at least 0.
class FixedScale {
 public:
  FixedScale(int32_t multiplier, int32_t shift)
      : multiplier_(multiplier), left_(LeftShiftOf(shift)), right_(RightShiftOf(shift)) {}

  int32_t Apply(int32_t acc) const { return Down(ShiftLeft(acc, left_)); }

  // With a shift that is not above 0.
  int32_t Down(int32_t acc) const {
    const int32_t high = static_cast<int32_t>(AddProduct(acc, multiplier_, int64_t{1} << 30) >> 31);
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

// Of four channels.
struct FourScales {
  FMTC_ONE_COPY FourScales(const Requantization& r, int32_t channel)
      : of{ScaleOf(r, channel), ScaleOf(r, channel + 1), ScaleOf(r, channel + 2), ScaleOf(r, channel + 3)} {}

  FixedScale of[4];
};

// Their output bytes.
FMTC_ONE_COPY inline uint32_t Requantize(const int32_t* sums, const FourScales& scales, const Limits& limits) {
  uint32_t bytes = 0;
  for (const FixedScale& scale : scales.of) bytes = bytes >> 8 | limits.Byte(scale.Apply(*sums++)) << 24;
  return limits.Clamp(bytes);
}

}  // namespace fmtc::region

#endif  // FMTC_MICRO_REQUANTIZE_H_
