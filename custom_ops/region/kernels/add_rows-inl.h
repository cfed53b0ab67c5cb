// ADD on vectors of sums. Included behind sums_*-inl.h.
#ifndef FMTC_REGION_KERNELS_ADD_ROWS_INL_H_
#define FMTC_REGION_KERNELS_ADD_ROWS_INL_H_

#include "region/kernels/pair_rows-inl.h"

namespace fmtc::region {
namespace {

// The rules of ADD: of values of a and b, the r of the sum.

struct FixedPointSum {
  Sums multiplier_a, multiplier_b, start, shift;

  explicit FMTC_INLINE FixedPointSum(const AddParameters& p)
      : multiplier_a(Sums::Of(p.multiplier_a)), multiplier_b(Sums::Of(p.multiplier_b)), shift(Sums::Of(p.shift)) {
    start = Sums::Of(1 << (p.shift - 1)) - Sums::Of(p.zero_a) * multiplier_a - Sums::Of(p.zero_b) * multiplier_b;
  }
  FMTC_INLINE Sums operator()(Sums a, Sums b) const { return (a * multiplier_a + b * multiplier_b + start) >> shift; }
};

constexpr int32_t kAddLeftShift = 20;

struct DoubleRoundingSum {
  Rule<DoubleRounding> rule_a, rule_b, rule;
  Sums zero_a, zero_b;

  explicit FMTC_INLINE DoubleRoundingSum(const AddParameters& p)
      : rule_a(p.multiplier_a, p.shift_a),
        rule_b(p.multiplier_b, p.shift_b),
        rule(p.multiplier_sum, p.shift_sum),
        zero_a(Sums::Of(p.zero_a)),
        zero_b(Sums::Of(p.zero_b)) {}
  FMTC_INLINE Sums operator()(Sums a, Sums b) const {
    const Sums left = Sums::Of(kAddLeftShift);
    return rule(rule_a((a - zero_a) << left) + rule_b((b - zero_b) << left));
  }
};

// An operand's shift may go to the left or to the right, never both.
struct Shift {
  Sums left, right;

  explicit FMTC_INLINE Shift(int32_t shift)
      : left(Sums::Of(LeftShiftOf(shift))), right(Sums::Of(RightShiftOf(shift))) {}
  FMTC_INLINE Sums operator()(Sums sums) const { return (sums << left) >> right; }
};

template <bool kShiftFirst>
struct SumOfShifted {
  Rule<DoubleRounding> rule;
  Sums multiplier_a, multiplier_b, zero_a, zero_b;
  Shift before_a, before_b, after_a, after_b;

  explicit FMTC_INLINE SumOfShifted(const AddParameters& p)
      : rule(p.multiplier_sum, p.shift_sum),
        multiplier_a(Sums::Of(p.multiplier_a)),
        multiplier_b(Sums::Of(p.multiplier_b)),
        zero_a(Sums::Of(p.zero_a)),
        zero_b(Sums::Of(p.zero_b)),
        before_a(kAddLeftShift + (kShiftFirst ? p.shift_a : 0)),
        before_b(kAddLeftShift + (kShiftFirst ? p.shift_b : 0)),
        after_a(kShiftFirst ? 0 : p.shift_a),
        after_b(kShiftFirst ? 0 : p.shift_b) {}
  FMTC_INLINE Sums operator()(Sums a, Sums b) const {
    return rule(after_a(before_a(a - zero_a).DoublingHighMultiply(multiplier_a)) +
                after_b(before_b(b - zero_b).DoublingHighMultiply(multiplier_b)));
  }
};

template <class Sum>
void AddRowWith(const AddRow& row) {
  const AddParameters& p = *row.parameters;
  const PairRow pairs{row.a,        row.b,      row.a_pixel_bytes, row.b_pixel_bytes, 1, row.out, row.out_pixel_bytes,
                      row.channels, row.columns};
  const PairRuns runs(pairs);
  ForEachPair(pairs, runs, Sum(p), ByteRange(OutputRange{p.zero, p.low, p.high}));
}

}  // namespace
}  // namespace fmtc::region

#endif  // FMTC_REGION_KERNELS_ADD_ROWS_INL_H_
