// The rules of REGION.md section 4, word for word, against those of rounding.h.
#include "base/rounding.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "tests/expect.h"

namespace fmtc::region {
namespace {

int64_t DoubleHigh(int64_t a, int64_t m) {
  const int64_t n = a * m >= 0 ? int64_t{1} << 30 : 1 - (int64_t{1} << 30);
  return (a * m + n) / (int64_t{1} << 31);
}

int64_t ShiftAway(int64_t a, int e) {
  const int64_t power = int64_t{1} << e;
  const int64_t r = ((a % power) + power) % power;
  const int64_t h = (power - 1) >> 1;
  return (a >> e) + (r > h + (a < 0) ? 1 : 0);
}

int64_t ShiftUp(int64_t a, int e) { return e == 0 ? a : (a + (int64_t{1} << (e - 1))) >> e; }

int64_t Wrapped(int64_t a) { return static_cast<int32_t>(static_cast<uint32_t>(a)); }

int64_t Left(int64_t a, int s) { return Wrapped(s > 0 ? a * (int64_t{1} << s) : a); }

int64_t Clamped(int64_t a) { return a < INT32_MIN ? INT32_MIN : a > INT32_MAX ? INT32_MAX : a; }

void ExpectRules(int32_t acc, int32_t m, int32_t s) {
  const int right = s < 0 ? -s : 0;
  EXPECT(MultiplyDoubleRounding(acc, m, s) == ShiftAway(DoubleHigh(Left(acc, s), m), right));
  EXPECT(MultiplyHalfUp(acc, m, s) == ShiftUp((Left(acc, s) * m + (int64_t{1} << 30)) >> 31, right));
  const int e = s < -1 ? -s : 1;
  const int64_t shifted = Clamped(static_cast<int64_t>(acc) * (int64_t{1} << (e + s)));
  EXPECT(MultiplyRndnu(acc, m, s) == ShiftUp((shifted * m) >> 31, e));
}

std::vector<int32_t> Edges() {
  std::vector<int32_t> edges = {INT32_MIN, INT32_MIN + 1, INT32_MAX, INT32_MAX - 1, 0};
  for (int bit = 0; bit < 31; ++bit) {
    for (int32_t near : {-1, 0, 1}) {
      edges.push_back((1 << bit) + near);
      edges.push_back(-(1 << bit) + near);
    }
  }
  return edges;
}

void TestRoundHalfAway() {
  for (const float value : {0.0f, 0.49999997f, 0.5f, 1.5f, 2.5f, 8388606.5f, 8388607.5f, 8388608.0f, 1e20f}) {
    EXPECT(RoundHalfAway(value) == std::round(value));
    EXPECT(RoundHalfAway(-value) == std::round(-value));
  }
  EXPECT(std::isnan(RoundHalfAway(NAN)));
}

void TestIntegerRules() {
  const std::vector<int32_t> multipliers = {0, 1 << 30, (1 << 30) + 1, 1518500250, INT32_MAX};
  for (int32_t acc : Edges()) {
    for (int32_t m : multipliers) {
      for (int32_t s = kMinShift; s <= kMaxShift; ++s) ExpectRules(acc, m, s);
    }
  }
  std::mt19937 random(1);
  for (int i = 0; i < 200000; ++i) {
    const int32_t acc = static_cast<int32_t>(random()) >> (random() % 31);
    const int32_t m = static_cast<int32_t>((1u << 30) + random() % (1u << 30));
    ExpectRules(acc, m, static_cast<int32_t>(random() % 62) + kMinShift);
  }
}

// The stored value of one accumulator.
uint8_t Stored(int64_t r, const OutputRange& range) {
  const int64_t raised = std::max<int64_t>(r + range.zero, range.low);
  return static_cast<uint8_t>(std::min<int64_t>(raised, range.high));
}

void TestFloatRules() {
  std::mt19937 random(2);
  const int32_t bias = 0;
  for (int i = 0; i < 300000; ++i) {
    const int32_t acc = static_cast<int32_t>(random()) >> (random() % 31);
    const float f = std::ldexp(static_cast<float>(1 + random() % 4096) / 4096, -static_cast<int>(random() % 40));
    const double d = static_cast<double>(f) * 1.0000001;
    const OutputRange range{static_cast<int32_t>(random() % 256), static_cast<int32_t>(random() % 256),
                            static_cast<int32_t>(random() % 256)};
    Requantization r{&bias, reinterpret_cast<const uint8_t*>(&f), nullptr, range, 0};
    const double exact32 = std::nearbyint(static_cast<double>(static_cast<float>(acc) * f));
    EXPECT(Float32::Apply(acc, r, 0) == Stored(Clamped(static_cast<int64_t>(exact32)), range));
    EXPECT(MultiplyFloat32(acc, f) == Clamped(static_cast<int64_t>(exact32)));
    r.multipliers = reinterpret_cast<const uint8_t*>(&d);
    const double exact64 = std::round(static_cast<double>(acc) * d);
    EXPECT(Float64::Apply(acc, r, 0) == Stored(Clamped(static_cast<int64_t>(exact64)), range));
  }
}

void TestMean() {
  for (int32_t count : {1, 2, 3, 49}) {
    for (int32_t acc = -300; acc <= 300; ++acc) {
      const int32_t expected = static_cast<int32_t>(std::round(static_cast<double>(acc) / count));
      EXPECT(MeanHalfAway(acc + count * 7, count, 7) == expected);
    }
  }
}

}  // namespace
}  // namespace fmtc::region

int main() {
  fmtc::region::TestRoundHalfAway();
  fmtc::region::TestIntegerRules();
  fmtc::region::TestFloatRules();
  fmtc::region::TestMean();
  return 0;
}
