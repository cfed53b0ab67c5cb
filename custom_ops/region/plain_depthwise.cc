// Depthwise convolutions in plain C++.
#include "region/plain_kernels.h"

namespace fmtc::region {
namespace {

constexpr int kBlock = 16;

inline int32_t PaddedTo16(int32_t channels) { return (channels + kBlock - 1) / kBlock * kBlock; }

// acc[c] += x[c] * w[c]; the caller's count is a constant as a rule, which makes vectors of the loop.
inline void AddTap(const uint8_t* x, const int8_t* weights, int32_t weight_zero, int32_t count, uint32_t* acc) {
  for (int32_t c = 0; c < count; ++c) {
    acc[c] += static_cast<uint32_t>(int16_t{x[c]} * static_cast<int16_t>(weights[c] - weight_zero));
  }
}

// As AddTap, for output channels `first` on, several of which read one input channel.
inline void AddSharedTap(const uint8_t* x, const int8_t* weights, const ConvRow& row, int32_t first, int32_t count,
                         uint32_t* acc) {
  for (int32_t c = 0; c < count; ++c) {
    acc[c] += static_cast<uint32_t>(x[(first + c) / row.groups] * (weights[c] - row.weight_zero));
  }
}

// Output channels [first, first + count) of a column; count <= 16.
inline void AddTaps(const ConvRow& row, ptrdiff_t place, int32_t first, int32_t count, uint32_t* acc) {
  const ptrdiff_t tap_weights = PaddedTo16(row.out_channels);
  const int8_t* weights = row.weights + first;
  for (int i = 0; i < row.kernel_height; ++i) {
    for (int j = 0; j < row.kernel_width; ++j, weights += tap_weights) {
      const uint8_t* x = row.rows[i] + place + j * row.tap_bytes;
      if (row.groups > 1) {
        AddSharedTap(x, weights, row, first, count, acc);
      } else if (count == kBlock) {
        AddTap(x + first, weights, row.weight_zero, kBlock, acc);
      } else {
        AddTap(x + first, weights, row.weight_zero, count, acc);
      }
    }
  }
}

template <class Rule>
void Depthwise(const ConvRow& row) {
  const Requantization& r = row.requantization;
  const auto* multipliers = static_cast<const typename Rule::Multiplier*>(r.multipliers);
  for (int32_t column = 0; column < row.columns; ++column) {
    uint8_t* out = row.out + column * row.out_pixel_bytes;
    for (int32_t first = 0; first < row.out_channels; first += kBlock) {
      const int32_t left = row.out_channels - first;
      const int32_t count = left < kBlock ? left : kBlock;
      uint32_t acc[kBlock];
      for (int c = 0; c < kBlock; ++c) acc[c] = static_cast<uint32_t>(r.biases[first + c]);
      AddTaps(row, column * row.column_bytes, first, count, acc);
      for (int32_t c = 0; c < count; ++c) {
        const int32_t sum = static_cast<int32_t>(acc[c]);
        out[first + c] = Requantize<Rule>(sum, multipliers, r.shifts, first + c, r.range) ^ r.flip;
      }
    }
  }
}

}  // namespace

void DepthwiseFloat(const ConvRow& row) { Depthwise<RoundFloat>(row); }
void DepthwiseHalfAway(const ConvRow& row) { Depthwise<RoundHalfAway>(row); }
void DepthwiseHalfUp(const ConvRow& row) { Depthwise<RoundHalfUp>(row); }
void DepthwiseRoundOnce(const ConvRow& row) { Depthwise<RoundOnce>(row); }

}  // namespace fmtc::region
