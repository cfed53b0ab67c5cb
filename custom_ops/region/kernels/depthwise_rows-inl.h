// Depthwise convolutions on vectors of sums. Included behind sums_*-inl.h.
//
// For 16 channels, the values of a few kernel rows in a column of the input are laid beside each other once; then each
// tap column of each output column is one product of vectors.
#ifndef FMTC_REGION_KERNELS_DEPTHWISE_ROWS_INL_H_
#define FMTC_REGION_KERNELS_DEPTHWISE_ROWS_INL_H_

#include "region/kernels/expanded_pixels-inl.h"
#include "region/kernels/rules-inl.h"

namespace fmtc::region {
namespace {

constexpr int32_t kMaxTapColumns = 48;    // of all groups of rows
constexpr int32_t kMaxSpanColumns = 192;  // of the input, times the groups of rows
constexpr ptrdiff_t kValuesBytes = sizeof(RowsValues);

// The taps of 16 channels.
struct DepthwiseTaps {
  int32_t count;
  ptrdiff_t places[kMaxTapColumns * kMaxWeightParts];  // of the first output column's values, in bytes
  RowsWeights weights[kMaxTapColumns * kMaxWeightParts + kMaxWeightParts];
};

// How a row is worked on.
struct DepthwisePlan {
  int32_t groups;   // of kRowsTogether kernel rows or fewer
  int32_t span;     // columns of the input for one output column
  int32_t columns;  // of the output, at a time
  int32_t place;    // from a group's values to the next one's
};

FMTC_INLINE bool PlanDepthwise(const MacRow& row, DepthwisePlan* plan) {
  plan->groups = (row.kernel_rows + kRowsTogether - 1) / kRowsTogether;
  plan->span = (row.kernel_columns - 1) * row.dilation + 1;
  if (plan->groups * row.kernel_columns > kMaxTapColumns) return false;
  plan->place = kMaxSpanColumns / plan->groups;
  if (plan->span + (kPackSums - 1) * row.stride > plan->place) return false;
  plan->columns = (plan->place - plan->span) / row.stride + 1;
  plan->columns -= plan->columns % kPackSums;
  return true;
}

// Kernel rows of a group from `first` on, where columns begin and how far they are from each other.
struct RowGroup {
  int32_t count;
  const uint8_t* rows[kRowsTogether];
  ptrdiff_t steps[kRowsTogether];
};

FMTC_INLINE RowGroup FindGroup(const MacRow& row, int32_t group, int32_t column, int32_t channel) {
  RowGroup found;
  found.count = row.kernel_rows - group * kRowsTogether;
  if (found.count > kRowsTogether) found.count = kRowsTogether;
  for (int i = 0; i < found.count; ++i) {
    const KernelRow& r = row.rows[group * kRowsTogether + i];
    found.rows[i] = r.first + column * r.column_bytes + channel;
    found.steps[i] = r.column_bytes == 0 ? 0 : row.pixel_bytes;
  }
  return found;
}

template <int kRows, class Block>
FMTC_INLINE void InterleaveRows(const Block& block, const RowGroup& group, int32_t columns, RowsValues* values) {
  const uint8_t* rows[kRowsTogether];
  for (int i = 0; i < kRows; ++i) rows[i] = group.rows[i];
  for (int32_t x = 0; x < columns; ++x) {
    values[x] = RowsValues::Load<kRows>(block, rows);
    FMTC_UNROLL for (int i = 0; i < kRows; ++i) rows[i] += group.steps[i];
  }
}

template <int kRows>
FMTC_INLINE void LoadTaps(const MacRow& row, const DepthwisePlan& plan, int32_t group, int32_t channel,
                          DepthwiseTaps* taps) {
  const ptrdiff_t weights_of_tap = row.tap_weights;
  const int8_t* weights = row.weights + channel + group * kRowsTogether * row.kernel_columns * weights_of_tap;
  for (int32_t j = 0; j < row.kernel_columns; ++j, weights += weights_of_tap) {
    const uint8_t* rows[kRowsTogether];
    for (int i = 0; i < kRows; ++i) {
      rows[i] = reinterpret_cast<const uint8_t*>(weights + i * row.kernel_columns * weights_of_tap);
    }
    const int parts = RowsWeights::Load<kRows>(rows, row.weight_zero, taps->weights + taps->count);
    const ptrdiff_t place = ptrdiff_t{group * plan.place + j * row.dilation} * kValuesBytes;
    for (int i = 0; i < parts; ++i) taps->places[taps->count++] = place;
  }
}

// Calls function(integral_constant) of a number from 1 to kRowsTogether.
template <class Function>
FMTC_INLINE void WithRows(int32_t rows, const Function& function) {
  if (kRowsTogether == 1 || rows == 1) return function(std::integral_constant<int, 1>());
  if constexpr (kRowsTogether > 1) {
    if (rows == 2) return function(std::integral_constant<int, 2>());
  }
  if constexpr (kRowsTogether > 2) {
    if (rows == 3) return function(std::integral_constant<int, 3>());
    return function(std::integral_constant<int, 4>());
  }
}

// Output columns from the values and taps.
template <class Rounding, class Block>
FMTC_INLINE void MultiplyColumns(const MacRow& row, const Block& block, const DepthwiseTaps& taps,
                                 const RowsValues* values, int32_t channel, int32_t columns, uint8_t* out) {
  const Sums start = StartOfTaps(Sums::Load(row.requantization.biases + channel), taps.weights, taps.count);
  const Rule<Rounding> rule(row.requantization, channel);
  const ByteRange range(row.requantization.range);
  const uint8_t* under = reinterpret_cast<const uint8_t*>(values);
  const ptrdiff_t stride = row.stride * kValuesBytes;
  for (int32_t x = 0; x < columns; x += kPackSums, under += kPackSums * stride) {
    Sums sums[kPackSums];
    FMTC_UNROLL for (int t = 0; t < kPackSums; ++t) sums[t] = start;
    for (int32_t i = 0; i < taps.count; ++i) {
      const RowsWeights w = taps.weights[i];
      const uint8_t* v = under + taps.places[i];
      FMTC_UNROLL for (int t = 0; t < kPackSums; ++t) {
        sums[t] = AddProducts(sums[t], *reinterpret_cast<const RowsValues*>(v + t * stride), w);
      }
    }
    FMTC_UNROLL for (int t = 0; t < kPackSums; ++t) sums[t] = rule(sums[t]);
    Bytes16 pieces[kPackSums];
    Packed(sums, range).Split(pieces);
    FMTC_UNROLL for (int t = 0; t < kPackSums; ++t) {
      if (x + t < columns) block.Store(out, pieces[t]);
      out += row.out_pixel_bytes;
    }
  }
}

// --- 3x3 kernels without dilation: the values stay in registers while the window slides.

constexpr int kSlidingSide = 3;
constexpr int kSlidingGroups = (kSlidingSide + kRowsTogether - 1) / kRowsTogether;

// A column of the input under all kernel rows.
struct SlidingColumn {
  RowsValues groups[kSlidingGroups];

  template <class Block>
  static FMTC_INLINE SlidingColumn Load(const Block& block, const uint8_t* const* rows, ptrdiff_t offset) {
    constexpr int kBefore = (kSlidingGroups - 1) * kRowsTogether;
    const uint8_t* at[kSlidingSide];
    FMTC_UNROLL for (int i = 0; i < kSlidingSide; ++i) at[i] = rows[i] + offset;
    SlidingColumn column;
    FMTC_UNROLL for (int g = 0; g + 1 < kSlidingGroups; ++g) {
      column.groups[g] = RowsValues::Load<kRowsTogether>(block, at + g * kRowsTogether);
    }
    column.groups[kSlidingGroups - 1] = RowsValues::Load<kSlidingSide - kBefore>(block, at + kBefore);
    return column;
  }
};

FMTC_INLINE bool Slides(const MacRow& row) {
  if (row.kernel_rows != kSlidingSide || row.kernel_columns != kSlidingSide || row.dilation != 1 || row.stride > 2 ||
      row.weight_zero != 0) {
    return false;
  }
  // Rows far apart may all be padding.
  return row.rows[0].column_bytes != 0 || row.rows[1].column_bytes != 0 || row.rows[2].column_bytes != 0;
}

// Where the kernel rows begin. Rows of padding are taken from the sums beforehand, with weights of 0 and a row of the
// input in their place.
struct SlidingRows {
  const uint8_t* first[kSlidingSide];
  const uint8_t* padding[kSlidingSide];  // null where there is none
  bool has_padding;
};

FMTC_INLINE SlidingRows FindSlidingRows(const MacRow& row) {
  SlidingRows rows;
  const uint8_t* any = nullptr;
  rows.has_padding = false;
  for (int i = 0; i < kSlidingSide; ++i) {
    const bool is_padding = row.rows[i].column_bytes == 0;
    rows.first[i] = is_padding ? nullptr : row.rows[i].first;
    rows.padding[i] = is_padding ? row.rows[i].first : nullptr;
    if (!is_padding) any = row.rows[i].first;
    rows.has_padding = rows.has_padding || is_padding;
  }
  for (const uint8_t*& first : rows.first) {
    if (first == nullptr) first = any;
  }
  return rows;
}

// What the window of 16 channels is multiplied with.
struct SlidingTaps {
  RowsWeights weights[kSlidingGroups][kSlidingSide];
  Sums bias;
};

// Weights of a tap column, of kernel rows from kFirst on.
template <int kFirst, int kRows>
FMTC_INLINE RowsWeights LoadSlidingWeights(const uint8_t* weights, ptrdiff_t weights_of_tap) {
  const uint8_t* rows[kRowsTogether];
  FMTC_UNROLL for (int i = 0; i < kRows; ++i) rows[i] = weights + (kFirst + i) * kSlidingSide * weights_of_tap;
  return RowsWeights::LoadPlain<kRows>(rows);
}

// Takes rows of padding from the weights to the bias.
template <int kFirst, int kRows, class Block>
void MovePadding(const SlidingRows& rows, const Block& block, const uint8_t* weights, ptrdiff_t weights_of_tap,
                 int32_t channel, RowsWeights* real, Sums* bias) {
  alignas(kChannelBlock) constexpr uint8_t kZeros[kChannelBlock] = {};
  const uint8_t* of_rows[kRowsTogether];
  const uint8_t* of_padding[kRowsTogether];
  const uint8_t* values[kRowsTogether];
  for (int i = 0; i < kRows; ++i) {
    const uint8_t* own = weights + (kFirst + i) * kSlidingSide * weights_of_tap;
    const uint8_t* padding = rows.padding[kFirst + i];
    of_rows[i] = padding == nullptr ? own : kZeros;
    of_padding[i] = padding == nullptr ? kZeros : own;
    values[i] = (padding == nullptr ? rows.first[kFirst + i] : padding) + channel;
  }
  *real = RowsWeights::LoadPlain<kRows>(of_rows);
  const RowsWeights taps = RowsWeights::LoadPlain<kRows>(of_padding);
  *bias = AddProducts(StartOfTaps(*bias, &taps, 1), RowsValues::Load<kRows>(block, values), taps);
}

template <int kGroup, class Block>
FMTC_INLINE void LoadSlidingTaps(const MacRow& row, const SlidingRows& rows, const Block& block, int32_t channel,
                                 SlidingTaps* taps) {
  constexpr int kFirst = kGroup * kRowsTogether;
  constexpr int kRows = kSlidingSide - kFirst < kRowsTogether ? kSlidingSide - kFirst : kRowsTogether;
  const ptrdiff_t weights_of_tap = row.tap_weights;
  const uint8_t* weights = reinterpret_cast<const uint8_t*>(row.weights) + channel;
  for (int j = 0; j < kSlidingSide; ++j) {
    const uint8_t* at = weights + j * weights_of_tap;
    if (rows.has_padding) {
      MovePadding<kFirst, kRows>(rows, block, at, weights_of_tap, channel, &taps->weights[kGroup][j], &taps->bias);
    } else {
      taps->weights[kGroup][j] = LoadSlidingWeights<kFirst, kRows>(at, weights_of_tap);
    }
  }
  taps->bias = StartOfTaps(taps->bias, taps->weights[kGroup], kSlidingSide);
}

// `kPackSums` output columns under `columns`.
template <class Rounding, int kStride>
FMTC_INLINE Packed MultiplyWindows(const SlidingColumn* columns, const SlidingTaps& taps, const Rule<Rounding>& rule,
                                   const ByteRange& range) {
  Sums sums[kPackSums];
  FMTC_UNROLL for (int t = 0; t < kPackSums; ++t) sums[t] = taps.bias;
  FMTC_UNROLL for (int g = 0; g < kSlidingGroups; ++g) {
    FMTC_UNROLL for (int j = 0; j < kSlidingSide; ++j) {
      FMTC_UNROLL for (int t = 0; t < kPackSums; ++t) {
        sums[t] = AddProducts(sums[t], columns[t * kStride + j].groups[g], taps.weights[g][j]);
      }
    }
  }
  FMTC_UNROLL for (int t = 0; t < kPackSums; ++t) sums[t] = rule(sums[t]);
  return Packed(sums, range);
}

template <class Rounding, int kStride, class Block>
FMTC_INLINE void SlideWindow(const MacRow& row, const SlidingRows& rows, const Block& block, const SlidingTaps& taps,
                             int32_t channel) {
  constexpr int kKept = kSlidingSide - kStride, kNew = kPackSums * kStride;
  const Rule<Rounding> rule(row.requantization, channel);
  const ByteRange range(row.requantization.range);
  ptrdiff_t offset = channel;
  const auto next = [&] {
    const SlidingColumn column = SlidingColumn::Load(block, rows.first, offset);
    offset += row.pixel_bytes;
    return column;
  };
  SlidingColumn columns[kKept + kNew];
  FMTC_UNROLL for (int i = 0; i < kKept; ++i) columns[i] = next();
  uint8_t* out = row.out + channel;
  Bytes16 pieces[kPackSums];
  int32_t x = 0;
  for (; x + kPackSums <= row.columns; x += kPackSums) {
    FMTC_UNROLL for (int i = 0; i < kNew; ++i) columns[kKept + i] = next();
    MultiplyWindows<Rounding, kStride>(columns, taps, rule, range).Split(pieces);
    FMTC_UNROLL for (int t = 0; t < kPackSums; ++t) {
      block.Store(out, pieces[t]);
      out += row.out_pixel_bytes;
    }
    FMTC_UNROLL for (int i = 0; i < kKept; ++i) columns[i] = columns[kNew + i];
  }
  if (x == row.columns) return;
  // Behind the row's last column the values do not matter.
  const int32_t left = (row.columns - x) * kStride;
  FMTC_UNROLL for (int i = 0; i < kNew; ++i) { columns[kKept + i] = i < left ? next() : columns[0]; }
  MultiplyWindows<Rounding, kStride>(columns, taps, rule, range).Split(pieces);
  FMTC_UNROLL for (int t = 0; t < kPackSums; ++t) {
    if (x + t < row.columns) block.Store(out + t * row.out_pixel_bytes, pieces[t]);
  }
}

// The same, 64 channels from `channel` on, where an instruction set has them.
template <class Rounding, int kStride>
void SlideWideWindow(const MacRow& row, int32_t channel);

template <class Rounding>
constexpr bool kHasWideWindows = false;
template <class Rounding>
constexpr bool kHasWideWindows<Small<Rounding>> = kWideChannels > 0 && !std::is_same<Rounding, Blocks>::value;

// Returns how many channels it has done.
template <class Rounding, int kStride>
FMTC_INLINE int32_t SlideWideWindows(const MacRow& row) {
  int32_t channel = 0;
  if constexpr (kHasWideWindows<Rounding>) {
    for (; channel + kWideChannels <= row.out_channels; channel += kWideChannels)
      SlideWideWindow<Rounding, kStride>(row, channel);
  }
  return channel;
}

// --- Rows.

template <class Rounding, class Block>
FMTC_INLINE void DepthwiseBlock(const MacRow& row, const DepthwisePlan& plan, int32_t channel, const Block& block) {
  DepthwiseTaps taps;
  taps.count = 0;
  for (int32_t g = 0; g < plan.groups; ++g) {
    WithRows(FindGroup(row, g, 0, channel).count,
             [&](auto rows) { LoadTaps<decltype(rows)::value>(row, plan, g, channel, &taps); });
  }
  RowsValues values[kMaxSpanColumns];
  for (int32_t first = 0; first < row.columns; first += plan.columns) {
    const int32_t columns = row.columns - first < plan.columns ? row.columns - first : plan.columns;
    for (int32_t g = 0; g < plan.groups; ++g) {
      const RowGroup group = FindGroup(row, g, first, channel);
      WithRows(group.count, [&](auto rows) {
        InterleaveRows<decltype(rows)::value>(block, group, (columns - 1) * row.stride + plan.span,
                                              values + g * plan.place);
      });
    }
    MultiplyColumns<Rounding>(row, block, taps, values, channel, columns,
                              row.out + first * row.out_pixel_bytes + channel);
  }
}

template <class Rounding, int kStride>
void SlidingRow(const MacRow& row) {
  const int32_t first = SlideWideWindows<Rounding, kStride>(row);
  if (first == row.out_channels) return;
  const SlidingRows rows = FindSlidingRows(row);
  ForEachBlock(row.out_channels - first, [&](const auto& block, int32_t behind) {
    const int32_t channel = first + behind;
    SlidingTaps taps;
    taps.bias = Sums::Load(row.requantization.biases + channel);
    LoadSlidingTaps<0>(row, rows, block, channel, &taps);
    if constexpr (kSlidingGroups > 1) LoadSlidingTaps<1>(row, rows, block, channel, &taps);
    if constexpr (kSlidingGroups > 2) LoadSlidingTaps<2>(row, rows, block, channel, &taps);
    SlideWindow<Rounding, kStride>(row, rows, block, taps, channel);
  });
}

template <class Rounding>
FMTC_INLINE void SlidingRowOfStride(const MacRow& row) {
  return row.stride == 1 ? SlidingRow<Rounding, 1>(row) : SlidingRow<Rounding, 2>(row);
}

template <class Rounding>
void DepthwiseRow(const MacRow& row) {
  if constexpr (std::is_same<Rounding, Blocks>::value) {
    if (row.requantization.blocks_end == row.out_channels) return DepthwiseRow<HalfUp>(row);
  }
  DepthwisePlan plan;
  if (row.multiplier > 1) {
    if (!ForExpandedColumns(row, DepthwiseRow<Rounding>)) PlainDepthwise<Rounding>(row);
    return;
  }
  if (Slides(row)) {
    return row.has_small_factors ? SlidingRowOfStride<Small<Rounding>>(row) : SlidingRowOfStride<Rounding>(row);
  }
  if (!PlanDepthwise(row, &plan)) return PlainDepthwise<Rounding>(row);
  ForEachBlock(row.out_channels,
               [&](const auto& block, int32_t channel) { DepthwiseBlock<Rounding>(row, plan, channel, block); });
}

}  // namespace
}  // namespace fmtc::region

#endif  // FMTC_REGION_KERNELS_DEPTHWISE_ROWS_INL_H_
