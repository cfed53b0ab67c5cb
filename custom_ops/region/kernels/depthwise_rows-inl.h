// Depthwise convolutions on vectors of sums. Included behind sums_*-inl.h.
//
// For 16 channels, the values of a few kernel rows in a column of the input are laid beside each other once; then each
// tap column of each output column is one product of vectors.
#ifndef FMTC_REGION_KERNELS_DEPTHWISE_ROWS_INL_H_
#define FMTC_REGION_KERNELS_DEPTHWISE_ROWS_INL_H_

#include "region/kernels/rules-inl.h"

namespace fmtc::region {
namespace {

constexpr int32_t kMaxTapColumns = 48;    // of all groups of rows
constexpr int32_t kMaxSpanColumns = 192;  // of the input, times the groups of rows

// The taps of 16 channels.
struct DepthwiseTaps {
  int32_t count;
  int32_t places[kMaxTapColumns * kMaxWeightParts];  // of the first output column's values
  RowsWeights weights[kMaxTapColumns * kMaxWeightParts];
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
    RowsWeights parts[kMaxWeightParts];
    const int count = RowsWeights::Load<kRows>(rows, row.weight_zero, parts);
    for (int i = 0; i < count; ++i) {
      taps->weights[taps->count] = parts[i];
      taps->places[taps->count++] = group * plan.place + j * row.dilation;
    }
  }
}

// Calls function(integral_constant) of a number from 1 to kRowsTogether.
template <class Function>
FMTC_INLINE void WithRows(int32_t rows, const Function& function) {
  if (rows == 1) return function(std::integral_constant<int, 1>());
  if (rows == 2) return function(std::integral_constant<int, 2>());
  if constexpr (kRowsTogether > 2) {
    if (rows == 3) return function(std::integral_constant<int, 3>());
    return function(std::integral_constant<int, 4>());
  }
}

// Output columns from the values and taps; kTaps is their number, or 0 for any.
template <class Rounding, int kTaps, class Block>
FMTC_INLINE void MultiplyColumns(const MacRow& row, const Block& block, const DepthwiseTaps& taps,
                                 const RowsValues* values, int32_t channel, int32_t columns, uint8_t* out) {
  const Sums bias = Sums::Load(row.requantization.biases + channel);
  const Rule<Rounding> rule(row.requantization, channel);
  const ByteRange range(row.requantization.range);
  const int32_t count = kTaps == 0 ? taps.count : kTaps;
  for (int32_t x = 0; x < columns; x += kPackSums, values += kPackSums * row.stride) {
    Sums sums[kPackSums];
    FMTC_UNROLL for (int t = 0; t < kPackSums; ++t) sums[t] = bias;
    FMTC_UNROLL for (int32_t i = 0; i < count; ++i) {
      const RowsWeights w = taps.weights[i];
      const RowsValues* v = values + taps.places[i];
      FMTC_UNROLL for (int t = 0; t < kPackSums; ++t) sums[t] = AddProducts(sums[t], v[t * row.stride], w);
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

template <class Rounding, class Block>
FMTC_INLINE void DepthwiseBlock(const MacRow& row, const DepthwisePlan& plan, int32_t channel, const Block& block) {
  DepthwiseTaps taps;
  taps.count = 0;
  RowsValues values[kMaxSpanColumns];
  for (int32_t g = 0; g < plan.groups; ++g) {
    WithRows(FindGroup(row, g, 0, channel).count,
             [&](auto rows) { LoadTaps<decltype(rows)::value>(row, plan, g, channel, &taps); });
  }
  for (int32_t first = 0; first < row.columns; first += plan.columns) {
    const int32_t columns = row.columns - first < plan.columns ? row.columns - first : plan.columns;
    for (int32_t g = 0; g < plan.groups; ++g) {
      const RowGroup group = FindGroup(row, g, first, channel);
      WithRows(group.count, [&](auto rows) {
        InterleaveRows<decltype(rows)::value>(block, group, (columns - 1) * row.stride + plan.span,
                                              values + g * plan.place);
      });
    }
    uint8_t* out = row.out + first * row.out_pixel_bytes + channel;
    if (taps.count == kCommonTaps) {
      MultiplyColumns<Rounding, kCommonTaps>(row, block, taps, values, channel, columns, out);
    } else {
      MultiplyColumns<Rounding, 0>(row, block, taps, values, channel, columns, out);
    }
  }
}

template <class Rounding>
void DepthwiseRow(const MacRow& row) {
  DepthwisePlan plan;
  if (row.multiplier > 1 || !PlanDepthwise(row, &plan)) return PlainDepthwise<Rounding>(row);
  int32_t channel = 0;
  for (; channel + kChannelBlock <= row.out_channels; channel += kChannelBlock) {
    DepthwiseBlock<Rounding>(row, plan, channel, WholeBlock());
  }
  if (channel < row.out_channels) {
    DepthwiseBlock<Rounding>(row, plan, channel, PartOfBlock(row.out_channels - channel));
  }
}

}  // namespace
}  // namespace fmtc::region

#endif  // FMTC_REGION_KERNELS_DEPTHWISE_ROWS_INL_H_
