// Four bytes of a word as two pairs of numbers of 16 bits, and what processors do with pairs in one instruction: the
// DSP extension of Arm's microcontrollers, and the same in plain C++.
#ifndef FMTC_MICRO_PAIRS_H_
#define FMTC_MICRO_PAIRS_H_

#include <cstdint>

#include "base/bytes.h"

#if defined(__ARM_FEATURE_DSP)
#include <arm_acle.h>
#endif

namespace fmtc::region {

// Numbers 0 and 2 of four, or 1 and 3, in the halves of a word.
struct Pairs {
  uint32_t even, odd;
};

#if defined(__ARM_FEATURE_DSP)

inline Pairs UnsignedPairs(uint32_t bytes) {
  uint32_t odd;
  asm("uxtb16 %0, %1, ror #8" : "=r"(odd) : "r"(bytes));
  return {__uxtb16(bytes), odd};
}

inline Pairs SignedPairs(uint32_t bytes) {
  uint32_t odd;
  asm("sxtb16 %0, %1, ror #8" : "=r"(odd) : "r"(bytes));
  return {static_cast<uint32_t>(__sxtb16(bytes)), odd};
}

inline Pairs Minus(const Pairs& a, uint32_t pair) {
  return {static_cast<uint32_t>(__ssub16(static_cast<int16x2_t>(a.even), static_cast<int16x2_t>(pair))),
          static_cast<uint32_t>(__ssub16(static_cast<int16x2_t>(a.odd), static_cast<int16x2_t>(pair)))};
}

// acc + the products of both halves.
inline int32_t AddBoth(uint32_t a, uint32_t b, int32_t acc) {
  return __smlad(static_cast<int16x2_t>(a), static_cast<int16x2_t>(b), acc);
}

inline int32_t AddLow(uint32_t a, uint32_t b, int32_t acc) {
  return __smlabb(static_cast<int32_t>(a), static_cast<int32_t>(b), acc);
}

inline int32_t AddHigh(uint32_t a, uint32_t b, int32_t acc) {
  return __smlatt(static_cast<int32_t>(a), static_cast<int32_t>(b), acc);
}

// acc + a * b, where a compiler would take a factor apart that several products share.
inline int64_t AddProduct(int32_t a, int32_t b, int64_t acc) {
  asm("smlal %Q0, %R0, %1, %2" : "+r"(acc) : "r"(a), "r"(b));
  return acc;
}

// acc + a * b / 2^32, rounded half up.
inline int32_t AddUpperHalf(int32_t a, int32_t b, int32_t acc) {
  int32_t sum;
  asm("smmlar %0, %1, %2, %3" : "=r"(sum) : "r"(a), "r"(b), "r"(acc));
  return sum;
}

// Of the four bytes each.
inline uint32_t AddUpTo255(uint32_t a, uint32_t b) { return __uqadd8(a, b); }
inline uint32_t SubtractDownTo0(uint32_t a, uint32_t b) { return __uqsub8(a, b); }

// value + other as near as 8 bits come.
inline uint32_t ByteOfSum(int32_t value, int32_t other) { return __usat(__qadd(value, other), 8); }

#else

constexpr uint32_t PairOf(int32_t low, int32_t high) {
  return static_cast<uint16_t>(low) | static_cast<uint32_t>(high) << 16;
}
constexpr int32_t LowOf(uint32_t pair) { return static_cast<int16_t>(pair); }
constexpr int32_t HighOf(uint32_t pair) { return static_cast<int16_t>(pair >> 16); }
constexpr uint8_t ByteOf(uint32_t bytes, int i) { return static_cast<uint8_t>(bytes >> 8 * i); }

inline Pairs UnsignedPairs(uint32_t bytes) {
  return {PairOf(ByteOf(bytes, 0), ByteOf(bytes, 2)), PairOf(ByteOf(bytes, 1), ByteOf(bytes, 3))};
}

inline Pairs SignedPairs(uint32_t bytes) {
  const auto at = [bytes](int i) { return static_cast<int8_t>(ByteOf(bytes, i)); };
  return {PairOf(at(0), at(2)), PairOf(at(1), at(3))};
}

inline Pairs Minus(const Pairs& a, uint32_t pair) {
  const auto minus = [pair](uint32_t x) { return PairOf(LowOf(x) - LowOf(pair), HighOf(x) - HighOf(pair)); };
  return {minus(a.even), minus(a.odd)};
}

inline int32_t Wrapped(int32_t acc, int32_t product) {
  return static_cast<int32_t>(static_cast<uint32_t>(acc) + static_cast<uint32_t>(product));
}

inline int32_t AddLow(uint32_t a, uint32_t b, int32_t acc) { return Wrapped(acc, LowOf(a) * LowOf(b)); }
inline int32_t AddHigh(uint32_t a, uint32_t b, int32_t acc) { return Wrapped(acc, HighOf(a) * HighOf(b)); }
inline int32_t AddBoth(uint32_t a, uint32_t b, int32_t acc) { return AddHigh(a, b, AddLow(a, b, acc)); }

inline int64_t AddProduct(int32_t a, int32_t b, int64_t acc) { return acc + int64_t{a} * b; }

inline int32_t AddUpperHalf(int32_t a, int32_t b, int32_t acc) {
  return acc + static_cast<int32_t>((int64_t{a} * b + (int64_t{1} << 31)) >> 32);
}

inline uint32_t ByteOfSum(int32_t value, int32_t other) {
  const int64_t sum = int64_t{value} + other;
  return static_cast<uint32_t>(sum < 0 ? 0 : sum > 255 ? 255 : sum);
}

inline uint32_t AddUpTo255(uint32_t a, uint32_t b) {
  uint32_t bytes = 0;
  for (int i = 0; i < 4; ++i) bytes |= ByteOfSum(ByteOf(a, i), ByteOf(b, i)) << 8 * i;
  return bytes;
}
inline uint32_t SubtractDownTo0(uint32_t a, uint32_t b) {
  uint32_t bytes = 0;
  for (int i = 0; i < 4; ++i) bytes |= ByteOfSum(ByteOf(a, i), -int32_t{ByteOf(b, i)}) << 8 * i;
  return bytes;
}

#endif

inline Pairs UnsignedPairsAt(const uint8_t* bytes) { return UnsignedPairs(Load<uint32_t>(bytes)); }
inline Pairs SignedPairsAt(const int8_t* bytes) {
  return SignedPairs(Load<uint32_t>(reinterpret_cast<const uint8_t*>(bytes)));
}

// Two words that follow one another, at a multiple of 4, which one instruction loads.
struct Words {
  uint32_t first, second;
};
inline Words WordsAt(const int8_t* bytes) {
  const auto* words = reinterpret_cast<const uint8_t*>(__builtin_assume_aligned(bytes, 4));
  return {Load<uint32_t>(words), Load<uint32_t>(words + 4)};
}

inline int32_t AddProducts(const Pairs& x, const Pairs& w, int32_t acc) {
  return AddBoth(x.odd, w.odd, AddBoth(x.even, w.even, acc));
}

}  // namespace fmtc::region

#endif  // FMTC_MICRO_PAIRS_H_
