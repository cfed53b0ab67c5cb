// Rows of two operands on vectors of sums: MULTIPLY, EXTREMUM and PRELU, and what ADD shares with them. Included behind
// sums_*-inl.h.
#ifndef FMTC_REGION_KERNELS_PAIR_ROWS_INL_H_
#define FMTC_REGION_KERNELS_PAIR_ROWS_INL_H_

#include "region/kernels/rules-inl.h"

namespace fmtc::region {
namespace {

// `function` makes of two Sums of values the r of the output's.
template <class Function>
FMTC_INLINE void PairRun(const Function& function, const ByteRange& range, const uint8_t* a, const uint8_t* b,
                         ptrdiff_t count, uint8_t* out) {
  constexpr ptrdiff_t kStep = kPackSums * kChannelBlock;
  ptrdiff_t i = 0;
  for (; i + kStep <= count; i += kStep) {
    Sums sums[kPackSums];
    FMTC_UNROLL for (int j = 0; j < kPackSums; ++j) {
      sums[j] = function(Sums::FromUnsigned(WholeBlock().Load(a + i + j * kChannelBlock)),
                         Sums::FromUnsigned(WholeBlock().Load(b + i + j * kChannelBlock)));
    }
    Packed(sums, range).Store(out + i);
  }
  for (; i < count; i += kChannelBlock) {
    const PartOfBlock block(static_cast<int32_t>(count - i < kChannelBlock ? count - i : kChannelBlock));
    Sums sums[kPackSums];
    sums[0] = function(Sums::FromUnsigned(block.Load(a + i)), Sums::FromUnsigned(block.Load(b + i)));
    for (int j = 1; j < kPackSums; ++j) sums[j] = sums[0];
    Bytes16 pieces[kPackSums];
    Packed(sums, range).Split(pieces);
    block.Store(out + i, pieces[0]);
  }
}

// With one value of b for all of a.
template <class Function>
struct WithOne {
  const Function& function;
  Sums b;

  FMTC_INLINE Sums operator()(Sums a, Sums) const { return function(a, b); }
};

// Columns that are one run, and their values of b. Made before there are vectors, which the calls would have stored.
struct PairRuns {
  static constexpr ptrdiff_t kMostBytes = 256, kShort = 64;
  int32_t columns = 1;
  const uint8_t* b;
  uint8_t repeated[kMostBytes];

  // What lies between the channels and the pixel's end may be treated like them where all pixels are alike. Where b is
  // one pixel, shorter than vectors, it is repeated.
  explicit FMTC_INLINE PairRuns(const PairRow& row) : b(row.b) {
    const ptrdiff_t pixel = row.out_pixel_bytes;
    if (row.a_pixel_bytes != pixel || row.b_channel_bytes != 1) return;
    if (row.b_pixel_bytes == pixel) {
      columns = row.columns;
    } else if (row.b_pixel_bytes == 0 && pixel < kShort) {
      const int32_t most = static_cast<int32_t>(kMostBytes / pixel);
      columns = row.columns < most ? row.columns : most;
      CopyPixels(row.b, 0, columns, static_cast<size_t>(row.channels), repeated, pixel);
      b = repeated;
    }
  }
};

template <class Function>
FMTC_INLINE void ForEachPair(const PairRow& row, const PairRuns& runs, const Function& function,
                             const ByteRange& range) {
  for (int32_t column = 0; column < row.columns; column += runs.columns) {
    const int32_t last = (row.columns - column < runs.columns ? row.columns - column : runs.columns) - 1;
    const ptrdiff_t count = last * row.out_pixel_bytes + row.channels;
    const uint8_t* a = row.a + column * row.a_pixel_bytes;
    const uint8_t* b = runs.b + column * row.b_pixel_bytes;
    uint8_t* out = row.out + column * row.out_pixel_bytes;
    if (row.b_channel_bytes == 1) {
      PairRun(function, range, a, b, count, out);
    } else {
      PairRun(WithOne<Function>{function, Sums::Of(*b)}, range, a, a, count, out);
    }
  }
}

// The rules of MULTIPLY, of the product of the values less their zero points.

struct Float32Scale {
  Floats scale;

  explicit FMTC_INLINE Float32Scale(const MultiplyParameters& p) {
    float value;
    std::memcpy(&value, &p.scale, sizeof(value));
    scale = Floats::Of(value);
  }
  FMTC_INLINE Sums operator()(Sums product) const {
    return (Floats::Of(product) * scale).AtMost(kMostRounded).Rounded();
  }
};

struct DoubleRoundingScale {
  Rule<DoubleRounding> rule;

  explicit FMTC_INLINE DoubleRoundingScale(const MultiplyParameters& p)
      : rule(static_cast<int32_t>(p.scale), p.shift) {}
  FMTC_INLINE Sums operator()(Sums product) const { return rule(product); }
};

template <class Scale>
struct ScaledProduct {
  Scale scale;
  Sums zero_a, zero_b;

  explicit FMTC_INLINE ScaledProduct(const MultiplyParameters& p)
      : scale(p), zero_a(Sums::Of(p.zero_a)), zero_b(Sums::Of(p.zero_b)) {}
  FMTC_INLINE Sums operator()(Sums a, Sums b) const { return scale((a - zero_a) * (b - zero_b)); }
};

template <class Scale>
void MultiplyRow(const PairRow& row, const MultiplyParameters& p) {
  const PairRuns runs(row);
  ForEachPair(row, runs, ScaledProduct<Scale>(p), ByteRange(OutputRange{p.zero, p.low, p.high}));
}

struct Slopes {
  Rule<DoubleRounding> above, below;
  Sums zero_a, zero_b;

  explicit FMTC_INLINE Slopes(const PreluParameters& p)
      : above(p.multiplier_above, p.shift_above),
        below(p.multiplier_below, p.shift_below),
        zero_a(Sums::Of(p.zero_a)),
        zero_b(Sums::Of(p.zero_b)) {}
  FMTC_INLINE Sums operator()(Sums a, Sums b) const {
    const Sums x = a - zero_a;
    const Sums r = above(x);
    return r + (below(x * (b - zero_b)) - r) * Sums::Of(0).IsGreater(x);
  }
};

void PreluRow(const PairRow& row, const PreluParameters& p) {
  const PairRuns runs(row);
  ForEachPair(row, runs, Slopes(p), ByteRange(OutputRange{p.zero, 0, 255}));
}

template <Bytes16 (*kChoose)(Bytes16, Bytes16)>
void ExtremumRow(const PairRow& row) {
  for (int32_t column = 0; column < row.columns; ++column) {
    const uint8_t* a = row.a + column * row.a_pixel_bytes;
    const uint8_t* b = row.b + column * row.b_pixel_bytes;
    uint8_t* out = row.out + column * row.out_pixel_bytes;
    ForEachBlock(row.channels, [&](const auto& block, int32_t c) {
      const Bytes16 other = row.b_channel_bytes == 1 ? block.Load(b + c) : BytesOf(*b);
      block.Store(out + c, kChoose(block.Load(a + c), other));
    });
  }
}

}  // namespace
}  // namespace fmtc::region

#endif  // FMTC_REGION_KERNELS_PAIR_ROWS_INL_H_
