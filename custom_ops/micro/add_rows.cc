// ADD by rule 1, four values at a time.
#include "micro/kernels.h"
#include "micro/pairs.h"
#include "micro/requantize.h"
#include "region/plain_kernels.h"

namespace fmtc::region {
namespace {

constexpr int32_t kTogether = 4;
constexpr int32_t kLeftShift = 20;
// A multiple of it times a number that is shifted left is a multiple of 2^31.
constexpr int32_t kExactMultiple = 1 << (31 - kLeftShift);

// M(x, m, s) of REGION.md section 5 for s below 0, of numbers below 2^29, which are given doubled: the upper half of
// the product is then M's, halves up. Shifted right, it is rounded half away from zero: less 1 where the number is
// below zero, and plus a half. If the upper half of such a product is 0, less 1 makes no difference.
struct Scale {
  int32_t Apply(int32_t doubled) const { return (AddUpperHalf(doubled, multiplier, half) + (doubled >> 31)) >> shift; }

  int32_t multiplier, half, shift;
};

Scale ScaleOf(int32_t multiplier, int32_t shift) { return {multiplier, int32_t{1} << (-shift - 1), -shift}; }

struct Operand {
  int32_t TermOf(uint32_t value) const {
    return scale.Apply(static_cast<int32_t>(value << (kLeftShift + 1)) - doubled_zero);
  }

  int32_t doubled_zero;
  Scale scale;
};

// Whether Operand does for it: with s = 0 where no product is rounded.
bool IsOperand(int32_t multiplier, int32_t shift) { return shift < 0 || multiplier % kExactMultiple == 0; }

[[gnu::noinline]] Operand OperandOf(int32_t zero, int32_t multiplier, int32_t shift) {
  if (shift < 0) return {zero << (kLeftShift + 1), ScaleOf(multiplier, shift)};
  // The zero point's own product is taken away, so that no number is below zero.
  return {0, {multiplier, -zero * (multiplier / kExactMultiple), 0}};
}

// A row's numbers.
struct Addition {
  [[gnu::noinline]] explicit Addition(const AddParameters& p)
      : a(OperandOf(p.zero_a, p.multiplier_a, p.shift_a)),
        b(OperandOf(p.zero_b, p.multiplier_b, p.shift_b)),
        sum(ScaleOf(p.multiplier_sum, p.shift_sum)),
        limits({p.zero, p.low, p.high}) {}

  uint32_t ByteOf(int32_t sum_of_terms) const { return limits.Byte(sum.Apply(2 * sum_of_terms)); }

  Operand a, b;
  Scale sum;
  Limits limits;
};

// A function of its own, and in steps, so that each step has its numbers in registers.
[[gnu::noinline]] void AddFour(const Addition& addition, const uint8_t* a, const uint8_t* b, uint8_t* out) {
  const Operand& of_a = addition.a;
  int32_t s0 = of_a.TermOf(a[0]), s1 = of_a.TermOf(a[1]), s2 = of_a.TermOf(a[2]), s3 = of_a.TermOf(a[3]);
  const Operand& of_b = addition.b;
  s0 += of_b.TermOf(b[0]), s1 += of_b.TermOf(b[1]), s2 += of_b.TermOf(b[2]), s3 += of_b.TermOf(b[3]);
  uint32_t bytes = addition.ByteOf(s0);
  bytes |= addition.ByteOf(s1) << 8;
  bytes |= addition.ByteOf(s2) << 16;
  bytes |= addition.ByteOf(s3) << 24;
  Store(out, addition.limits.Clamp(bytes));
}

// Fewer than four: small rather than fast.
[[gnu::cold]] void AddLast(const Addition& addition, const uint8_t* a, const uint8_t* b, int32_t count, uint8_t* out) {
  uint8_t bytes[3 * kTogether] = {};
  for (int32_t i = 0; i < count; ++i) bytes[i] = a[i], bytes[kTogether + i] = b[i];
  AddFour(addition, bytes, bytes + kTogether, bytes + 2 * kTogether);
  for (int32_t i = 0; i < count; ++i) out[i] = bytes[2 * kTogether + i];
}

}  // namespace

void MicroAdd(const AddRow& row) {
  const AddParameters& p = *row.parameters;
  const bool is_usual = p.shift_sum < 0 && IsOperand(p.multiplier_a, p.shift_a) && IsOperand(p.multiplier_b, p.shift_b);
  if (!is_usual) return PlainAddDoubleRounding(row);
  const Addition addition(p);
  for (int32_t column = 0; column < row.columns; ++column) {
    const uint8_t* a = row.a + column * row.a_pixel_bytes;
    const uint8_t* b = row.b + column * row.b_pixel_bytes;
    uint8_t* out = row.out + column * row.out_pixel_bytes;
    int32_t left = row.channels;
    for (; left >= kTogether; left -= kTogether) {
      AddFour(addition, a, b, out);
      a += kTogether, b += kTogether, out += kTogether;
    }
    if (left > 0) AddLast(addition, a, b, left, out);
  }
}

}  // namespace fmtc::region
