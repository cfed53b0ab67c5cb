// Depthwise convolutions in plain C++.
#include "region/plain_kernels.h"

namespace fmtc::region {
namespace {

// acc[c] += x[c] * w[c]; the count is a constant as a rule, which makes vectors of the loop.
inline void AddTap(const uint8_t* x, const int8_t* weights, int32_t weight_zero, int32_t count, uint32_t* acc) {
  for (int32_t c = 0; c < count; ++c) {
    acc[c] += static_cast<uint32_t>(int16_t{x[c]} * static_cast<int16_t>(weights[c] - weight_zero));
  }
}

// As AddTap, for output channels `first` on, several of which read one input channel.
inline void AddSharedTap(const uint8_t* x, const int8_t* weights, const MacRow& row, int32_t first, int32_t count,
                         uint32_t* acc) {
  for (int32_t c = 0; c < count; ++c) {
    acc[c] += static_cast<uint32_t>(x[(first + c) / row.multiplier] * (weights[c] - row.weight_zero));
  }
}

// Adds the taps of a column for output channels [first, first + count), at most 16.
inline void AddTaps(const MacRow& row, int32_t column, int32_t first, int32_t count, uint32_t* acc) {
  const int8_t* weights = row.weights + first;
  for (int i = 0; i < row.kernel_rows; ++i) {
    for (int j = 0; j < row.kernel_columns; ++j, weights += row.tap_weights) {
      const uint8_t* x = row.rows[i].first + column * row.rows[i].column_bytes + j * row.tap_bytes;
      if (row.multiplier > 1) {
        AddSharedTap(x, weights, row, first, count, acc);
      } else if (count == kChannelBlock) {
        AddTap(x + first, weights, row.weight_zero, kChannelBlock, acc);
      } else {
        AddTap(x + first, weights, row.weight_zero, count, acc);
      }
    }
  }
}

}  // namespace

template <class Rounding>
void PlainDepthwise(const MacRow& row) {
  const Requantization& r = row.requantization;
  for (int32_t column = 0; column < row.columns; ++column) {
    uint8_t* out = row.out + column * row.out_pixel_bytes;
    for (int32_t first = 0; first < row.out_channels; first += kChannelBlock) {
      const int32_t left = row.out_channels - first;
      const int32_t count = left < kChannelBlock ? left : kChannelBlock;
      uint32_t acc[kChannelBlock];
      for (int c = 0; c < kChannelBlock; ++c) acc[c] = static_cast<uint32_t>(r.biases[first + c]);
      AddTaps(row, column, first, count, acc);
      for (int32_t c = 0; c < count; ++c) out[first + c] = Rounding::Apply(static_cast<int32_t>(acc[c]), r, first + c);
    }
  }
}

template void PlainDepthwise<DoubleRounding>(const MacRow& row);
template void PlainDepthwise<HalfUp>(const MacRow& row);
template void PlainDepthwise<Float32>(const MacRow& row);
template void PlainDepthwise<Float64>(const MacRow& row);
template void PlainDepthwise<Rndnu>(const MacRow& row);
template void PlainDepthwise<Blocks>(const MacRow& row);

}  // namespace fmtc::region
