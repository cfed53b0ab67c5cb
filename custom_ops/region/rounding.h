// The ways in which runtimes bring an accumulator to 8 bits (REGION.md section 4): each a policy for row functions.
#ifndef FMTC_REGION_ROUNDING_H_
#define FMTC_REGION_ROUNDING_H_

#include <cstdint>
#include <cstring>

namespace fmtc::region {

// Numbers of the rules for accumulators.
enum AccumulatorRule : uint8_t { kFloat = 0, kHalfAway = 1, kHalfUp = 2, kRoundOnce = 3 };
constexpr int kNumAccumulatorRules = 4;
constexpr bool HasShift(uint8_t rule) { return rule != kFloat; }

constexpr int32_t kMinShift = -31;
constexpr int32_t kMaxShift = 30;

// Zero point, least and greatest value, all in the unsigned domain.
struct OutputRange {
  int32_t zero;
  int32_t min;
  int32_t max;
};

inline uint8_t ClampToRange(int64_t value, const OutputRange& range) {
  if (value < range.min) return static_cast<uint8_t>(range.min);
  return static_cast<uint8_t>(value > range.max ? range.max : value);
}

// 32 bits that wrap around, as the runtimes' do.
inline int32_t ShiftLeft(int32_t value, int32_t shift) {
  return static_cast<int32_t>(static_cast<uint32_t>(value) << shift);
}

// The upper half of twice the product, rounded half away from zero.
inline int32_t DoublingHighMultiply(int32_t a, int32_t b) {
  if (a == INT32_MIN && b == INT32_MIN) return INT32_MAX;
  const int64_t product = int64_t{a} * b;
  const int64_t nudge = product >= 0 ? int64_t{1} << 30 : 1 - (int64_t{1} << 30);
  return static_cast<int32_t>((product + nudge) / (int64_t{1} << 31));
}

// value / 2^shift, rounded half away from zero; 0 <= shift <= 31.
inline int32_t DivideHalfAway(int32_t value, int32_t shift) {
  const int32_t mask = static_cast<int32_t>((int64_t{1} << shift) - 1);
  const int32_t threshold = (mask >> 1) + (value < 0);
  return (value >> shift) + ((value & mask) > threshold);
}

// The reference kernels' and gemmlowp's: two roundings, both half away from zero.
inline int32_t MultiplyHalfAway(int32_t value, int32_t multiplier, int32_t shift) {
  const int32_t left = shift > 0 ? shift : 0;
  return DivideHalfAway(DoublingHighMultiply(ShiftLeft(value, left), multiplier), left - shift);
}

struct RoundHalfAway {
  using Multiplier = int32_t;
  static int64_t Apply(int32_t value, int32_t multiplier, int32_t shift) {
    return MultiplyHalfAway(value, multiplier, shift);
  }
};

// ruy's on x86: as above, the second rounding half up.
struct RoundHalfUp {
  using Multiplier = int32_t;
  static int64_t Apply(int32_t value, int32_t multiplier, int32_t shift) {
    const int32_t left = shift > 0 ? shift : 0;
    const int32_t right = left - shift;
    const int64_t high = (int64_t{ShiftLeft(value, left)} * multiplier + (int64_t{1} << 30)) >> 31;
    return right > 0 ? (high + (int64_t{1} << (right - 1))) >> right : high;
  }
};

// One rounding, half up, of the whole product.
struct RoundOnce {
  using Multiplier = int32_t;
  static int64_t Apply(int32_t value, int32_t multiplier, int32_t shift) {
    const int32_t right = 31 - shift;  // 1 to 62
    return (int64_t{value} * multiplier + (int64_t{1} << (right - 1))) >> right;
  }
};

// XNNPACK's: the product in float, rounded to nearest, ties to even. Clamping first keeps the sum below exact.
struct RoundFloat {
  using Multiplier = float;
  static uint8_t Quantize(int32_t value, float multiplier, const OutputRange& range) {
    float scaled = static_cast<float>(value) * multiplier;
    const float least = static_cast<float>(range.min - range.zero);
    const float greatest = static_cast<float>(range.max - range.zero);
    scaled = scaled < least ? least : scaled;
    scaled = scaled > greatest ? greatest : scaled;
    constexpr float kMagic = 12582912.0f;  // 1.5 * 2^23: the sum's low bits are the rounded number
    const float sum = scaled + kMagic;
    int32_t bits;
    memcpy(&bits, &sum, sizeof(bits));
    return static_cast<uint8_t>(bits - 0x4B400000 + range.zero);
  }
};

// The 8-bit value of channel c under a rule.
template <class Rule>
inline uint8_t Requantize(int32_t value, const typename Rule::Multiplier* multipliers, const int32_t* shifts, int c,
                          const OutputRange& range) {
  return ClampToRange(Rule::Apply(value, multipliers[c], shifts[c]) + range.zero, range);
}
template <>
inline uint8_t Requantize<RoundFloat>(int32_t value, const float* multipliers, const int32_t*, int c,
                                      const OutputRange& range) {
  return RoundFloat::Quantize(value, multipliers[c], range);
}

}  // namespace fmtc::region

#endif  // FMTC_REGION_ROUNDING_H_
