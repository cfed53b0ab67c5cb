// RESIZE_BILINEAR as XNNPACK has it, on vectors of sums. Included behind sums_*-inl.h.
#ifndef FMTC_REGION_KERNELS_BILINEAR_ROWS_INL_H_
#define FMTC_REGION_KERNELS_BILINEAR_ROWS_INL_H_

#include "region/kernels/byte_rows-inl.h"
#include "region/kernels/rules-inl.h"

namespace fmtc::region {
namespace {

// Weights of an axis with which a value of 8 bits times two of them stays within 31 bits.
constexpr int32_t kMostWeight = 2048;

FMTC_INLINE bool IsSmall(const BilinearEntry& entry) {
  const int64_t a = static_cast<int32_t>(entry.weights[0]), b = static_cast<int32_t>(entry.weights[1]);
  return (a < 0 ? -a : a) + (b < 0 ? -b : b) <= kMostWeight;
}

// Columns of the input, weighted with the two rows' weights.
constexpr int32_t kMixedColumns = 128;

// Mixes columns [first, end) of the two rows, of 16 channels or fewer from `channel` on.
template <class Block>
FMTC_INLINE void MixRows(const BilinearRow& row, const Block& block, int32_t channel, int32_t first, int32_t end,
                         Sums* mixed) {
  const Sums above = Sums::Of(static_cast<int32_t>(row.row->weights[0]));
  const Sums below = Sums::Of(static_cast<int32_t>(row.row->weights[1]));
  ptrdiff_t offset = (ptrdiff_t{first} - row.rows_column) * row.pixel_bytes + channel;
  for (int32_t x = first; x < end; ++x, offset += row.pixel_bytes) {
    *mixed++ = Sums::FromUnsigned(block.Load(row.rows[0] + offset)) * above +
               Sums::FromUnsigned(block.Load(row.rows[1] + offset)) * below;
  }
}

FMTC_INLINE int32_t LastOf(const BilinearEntry& entry) {
  return static_cast<int32_t>(entry.first > entry.second ? entry.first : entry.second);
}
FMTC_INLINE int32_t FirstOf(const BilinearEntry& entry) {
  return static_cast<int32_t>(entry.first < entry.second ? entry.first : entry.second);
}

template <class Block>
FMTC_INLINE void MixColumns(const BilinearRow& row, const Block& block, int32_t channel) {
  constexpr int32_t kShift = 22;
  const Sums shift = Sums::Of(kShift);
  const ByteRange range(OutputRange{row.offset, 0, 255});
  const int32_t of_rows = static_cast<int32_t>(row.row->weights[0] + row.row->weights[1]);
  Sums mixed[kMixedColumns];
  int32_t column = 0;
  while (column < row.num_columns) {
    const int32_t first = FirstOf(row.columns[column]);
    int32_t end = column, last = first;
    for (; end < row.num_columns && LastOf(row.columns[end]) < first + kMixedColumns; ++end) {
      last = LastOf(row.columns[end]) > last ? LastOf(row.columns[end]) : last;
    }
    if (end == column) {  // two columns far from each other
      BilinearRow one = row;
      one.columns = row.columns + column;
      one.num_columns = 1;
      one.out = row.out + column * row.out_pixel_bytes;
      PlainBilinearFixedPoint(one);
      ++column;
      continue;
    }
    MixRows(row, block, channel, first, last + 1, mixed);
    for (; column < end; column += kPackSums) {
      Sums sums[kPackSums];
      for (int i = 0; i < kPackSums; ++i) {
        const BilinearEntry& entry = row.columns[column + i < end ? column + i : end - 1];
        const int32_t left = static_cast<int32_t>(entry.weights[0]), right = static_cast<int32_t>(entry.weights[1]);
        const int32_t start = (1 << (kShift - 1)) - row.offset * of_rows * (left + right);
        sums[i] = mixed[static_cast<int32_t>(entry.first) - first] * Sums::Of(left) +
                  mixed[static_cast<int32_t>(entry.second) - first] * Sums::Of(right) + Sums::Of(start);
        sums[i] = sums[i] >> shift;
      }
      Bytes16 pieces[kPackSums];
      Packed(sums, range).Split(pieces);
      for (int i = 0; i < kPackSums; ++i) {
        if (column + i < end) block.Store(row.out + (column + i) * row.out_pixel_bytes + channel, pieces[i]);
      }
    }
    column = end;
  }
}

void BilinearFixedPointRow(const BilinearRow& row) {
  bool small = IsSmall(*row.row);
  for (int32_t x = 0; x < row.num_columns; ++x) small = small && IsSmall(row.columns[x]);
  if (!small) return PlainBilinearFixedPoint(row);
  ForEachBlock(row.channels, [&](const auto& block, int32_t channel) { MixColumns(row, block, channel); });
}

}  // namespace
}  // namespace fmtc::region

#endif  // FMTC_REGION_KERNELS_BILINEAR_ROWS_INL_H_
