// The ways in which runtimes bring an accumulator to 8 bits (REGION.md section 4): each a policy for row functions, of
// regions and of decoders that do a convolution.
#ifndef FMTC_BASE_ROUNDING_H_
#define FMTC_BASE_ROUNDING_H_

#include <cmath>
#include <cstdint>
#include <cstring>

#include "base/features.h"

namespace fmtc {

// Numbers of the rules of section 4; other kinds number theirs likewise, from 1 on.
enum Rule : uint8_t {
  kDoubleRounding = 1,
  kHalfUp = 2,
  kFloat32Rule = 3,
  kFloat64Rule = 4,
  kRndnu = 5,
  kBlocksRule = 6,  // DEPTHWISE, TRANSPOSE_CONV and MEAN: kHalfUp for the channels of whole blocks, kDoubleRounding for
                    // the others
};
constexpr int kNumRules = 7;  // as an array has them

constexpr int32_t kMinShift = -31;
constexpr int32_t kMaxShift = 30;

// Zero point, least and greatest value, all in the unsigned domain.
struct OutputRange {
  int32_t zero;
  int32_t low;
  int32_t high;
};

inline uint8_t AddZeroAndClamp(int32_t value, const OutputRange& range) {
  // The zero point comes last, so that no sum needs more than 32 bits.
  const int32_t low = range.low - range.zero, high = range.high - range.zero;
  const int32_t raised = value < low ? low : value;
  return static_cast<uint8_t>((raised > high ? high : raised) + range.zero);
}

inline int32_t Saturate(int64_t value) {
  if (value < INT32_MIN) return INT32_MIN;
  return value > INT32_MAX ? INT32_MAX : static_cast<int32_t>(value);
}

// 32 bits that wrap around, as the runtimes' do.
inline int32_t ShiftLeft(int32_t value, int32_t shift) {
  return static_cast<int32_t>(static_cast<uint32_t>(value) << shift);
}

inline int32_t LeftShiftOf(int32_t shift) { return shift > 0 ? shift : 0; }
inline int32_t RightShiftOf(int32_t shift) { return shift < 0 ? -shift : 0; }

// double_high of REGION.md, the upper half of twice the product: the text's two cases come to one, halves up.
inline int32_t DoublingHighMultiply(int32_t a, int32_t b) {
  return Saturate((int64_t{a} * b + (int64_t{1} << 30)) >> 31);
}

// value / 2^shift, rounded half away from zero; 0 <= shift <= 31.
FMTC_ONE_COPY inline int32_t ShiftHalfAway(int32_t value, int32_t shift) {
  const int32_t mask = static_cast<int32_t>((uint32_t{1} << shift) - 1);
  const int32_t threshold = (mask >> 1) + (value < 0);
  return (value >> shift) + ((value & mask) > threshold);
}

// value / 2^shift, rounded half up; 0 <= shift <= 31.
inline int32_t ShiftHalfUp(int32_t value, int32_t shift) {
  return static_cast<int32_t>((int64_t{value} + ((int64_t{1} << shift) >> 1)) >> shift);
}

// The reference kernels': two roundings, both half away from zero.
FMTC_ONE_COPY inline int32_t MultiplyDoubleRounding(int32_t value, int32_t multiplier, int32_t shift) {
  return ShiftHalfAway(DoublingHighMultiply(ShiftLeft(value, LeftShiftOf(shift)), multiplier), RightShiftOf(shift));
}

// ruy's on x86: the second rounding is half up.
inline int32_t MultiplyHalfUp(int32_t value, int32_t multiplier, int32_t shift) {
  return ShiftHalfUp(DoublingHighMultiply(ShiftLeft(value, LeftShiftOf(shift)), multiplier), RightShiftOf(shift));
}

// XNNPACK's rndnu: the product is cut off, the shift, of 1 at least, rounds half up.
inline int32_t MultiplyRndnu(int32_t value, int32_t multiplier, int32_t shift) {
  const int32_t right = shift < -1 ? -shift : 1;
  const int32_t shifted = Saturate(int64_t{value} * (int64_t{1} << (right + shift)));
  return ShiftHalfUp(Saturate((int64_t{shifted} * multiplier) >> 31), right);
}

// 1.5 * 2^23: what is added to it, if less than 2^22, is rounded to whole numbers, ties to even.
constexpr float kWholeNumbers = 12582912.0f;

// The library's function is a call wherever the compiler may not assume an instruction for it.
inline float RoundTiesToEven(float value) {
  constexpr float kEnd = 4194304.0f;
  if (value > -kEnd && value < kEnd) return (value + kWholeNumbers) - kWholeNumbers;
  return std::nearbyint(value);
}

// As std::round does, but for the sign of zero, and without a call.
inline float RoundHalfAway(float value) {
  constexpr float kWholeFrom = 8388608.0f;
  if (!(value > -kWholeFrom && value < kWholeFrom)) return value;
  const float whole = static_cast<float>(static_cast<int32_t>(value));
  const float rest = value - whole;
  if (rest >= 0.5f) return whole + 1.0f;
  return rest <= -0.5f ? whole - 1.0f : whole;
}

// Clamped to 32 bits.
template <float (*kRound)(float) = RoundTiesToEven>
int32_t RoundFloat32(float value) {
  if (!(value > -2147483648.0f)) return INT32_MIN;
  return value < 2147483648.0f ? static_cast<int32_t>(kRound(value)) : INT32_MAX;
}

// XNNPACK's fp32.
inline int32_t MultiplyFloat32(int32_t value, float multiplier) {
  return RoundFloat32(static_cast<float>(value) * multiplier);
}

// XNNPACK's for means, and the built-in kernels' for sums; product and sum are rounded each, never fused.
template <float (*kRound)(float)>
int32_t MultiplyAddFloat32(int32_t value, float multiplier, float addend) {
  const float product = static_cast<float>(value) * multiplier;
  return RoundFloat32<kRound>(product + addend);
}

// Halves away from zero.
inline int32_t MultiplyFloat64(int32_t value, double multiplier) {
  const double product = static_cast<double>(value) * multiplier;
  if (!(product > -2147483648.0)) return INT32_MIN;
  return product < 2147483647.0 ? static_cast<int32_t>(std::round(product)) : INT32_MAX;
}

// The mean of values less their zero point, halves away from zero.
FMTC_ONE_COPY inline int32_t MeanHalfAway(int32_t sum, int32_t count, int32_t zero) {
  const int32_t acc = sum - count * zero;  // at most 2^22 values of 8 bits
  return acc > 0 ? (acc + count / 2) / count : (acc - count / 2) / count;
}

// How accumulators become output values; arrays of one entry for each channel, padded as the kind says.
struct Requantization {
  const int32_t* biases;
  const uint8_t* multipliers;  // of the rule's type; of 8 bytes they may lie at multiples of 4
  const int8_t* shifts;
  OutputRange range;
  int32_t blocks_end;  // kBlocksRule: the channel behind the last whole block
};

// The policies: the value of channel c.
template <int32_t (*kMultiply)(int32_t, int32_t, int32_t)>
struct Integer {
  static uint8_t Apply(int32_t acc, const Requantization& r, int c) {
    int32_t multiplier;
    memcpy(&multiplier, r.multipliers + 4 * c, sizeof(multiplier));
    return AddZeroAndClamp(kMultiply(acc, multiplier, r.shifts[c]), r.range);
  }
};
using DoubleRounding = Integer<MultiplyDoubleRounding>;
using HalfUp = Integer<MultiplyHalfUp>;
using Rndnu = Integer<MultiplyRndnu>;

struct Blocks {
  static uint8_t Apply(int32_t acc, const Requantization& r, int c) {
    return c < r.blocks_end ? HalfUp::Apply(acc, r, c) : DoubleRounding::Apply(acc, r, c);
  }
};

// Clamping the product to the range first keeps the sum exact, and its low bits are then the rounded number.
struct Float32 {
  static uint8_t Apply(int32_t acc, const Requantization& r, int c) {
    float multiplier;
    memcpy(&multiplier, r.multipliers + 4 * c, sizeof(multiplier));
    float product = static_cast<float>(acc) * multiplier;
    const float low = static_cast<float>(r.range.low - r.range.zero);
    const float high = static_cast<float>(r.range.high - r.range.zero);
    product = product < low ? low : product;
    product = product > high ? high : product;
    constexpr int32_t kWholeNumbersBits = 0x4B400000;
    const float sum = product + kWholeNumbers;
    int32_t bits;
    memcpy(&bits, &sum, sizeof(bits));
    return static_cast<uint8_t>(bits - kWholeNumbersBits + r.range.zero);
  }
};

struct Float64 {
  static uint8_t Apply(int32_t acc, const Requantization& r, int c) {
    double multiplier;
    memcpy(&multiplier, r.multipliers + 8 * c, sizeof(multiplier));
    return AddZeroAndClamp(MultiplyFloat64(acc, multiplier), r.range);
  }
};

}  // namespace fmtc

#endif  // FMTC_BASE_ROUNDING_H_
