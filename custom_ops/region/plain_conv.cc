// Convolutions in plain C++. Products of 16 bits and sums of 32 that wrap around: what compilers turn into vectors.
#include "region/plain_kernels.h"

namespace fmtc::region {
namespace {

constexpr int kBlock = 16;  // output channels whose weights stand together
constexpr int kStep = 4;    // values of k that do

// Of columns at a time: a step's weights serve them all.
constexpr int kTile = 4;

inline int32_t BlocksOf(int32_t channels) { return (channels + kBlock - 1) / kBlock; }

// A convolution's row with taps that follow one another in memory taken as one longer tap.
struct Taps {
  int32_t height, width;
  int32_t bytes;  // of a tap
};

// Padded weights of what lies between channels are 0, but the sum of x would count it.
Taps JoinTaps(const ConvRow& row) {
  const bool dense = row.in_channels % kStep == 0 || row.weight_zero == 0;
  const int32_t padded = (row.in_channels + kStep - 1) / kStep * kStep;
  if (row.groups == 1 && dense && row.tap_bytes == padded) {
    return {row.kernel_height, 1, row.kernel_width > 1 ? row.kernel_width * padded : row.in_channels};
  }
  return {row.kernel_height, row.kernel_width, row.in_channels};
}

int32_t SumOfInputs(const ConvRow& row, const Taps& taps, ptrdiff_t place) {
  int32_t sum = 0;
  for (int i = 0; i < taps.height; ++i) {
    for (int j = 0; j < taps.width; ++j) {
      const uint8_t* in = row.rows[i] + place + j * row.tap_bytes;
      for (int32_t k = 0; k < taps.bytes; ++k) sum += in[k];
    }
  }
  return sum;
}

// acc[column][channel] += x * w for one step: 4 values of each column, 16 channels.
template <int kColumns>
inline void AddStep(const int16_t (*x)[kStep], const int8_t* weights, uint32_t (*acc)[kBlock]) {
  for (int column = 0; column < kColumns; ++column) {
    for (int c = 0; c < kBlock; ++c) {
      int32_t sum = 0;
      for (int k = 0; k < kStep; ++k) sum += x[column][k] * int16_t{weights[c * kStep + k]};
      acc[column][c] += static_cast<uint32_t>(sum);
    }
  }
}

// Sums of some columns for 16 output channels, from `place` bytes after the row's first pixel on.
template <int kColumns>
void Accumulate(const ConvRow& row, const Taps& taps, ptrdiff_t place, const int8_t* weights,
                uint32_t (*acc)[kBlock]) {
  for (int i = 0; i < taps.height; ++i) {
    for (int j = 0; j < taps.width; ++j) {
      const uint8_t* in = row.rows[i] + place + j * row.tap_bytes;
      int16_t x[kColumns][kStep] = {};
      int32_t k = 0;
      for (; k + kStep <= taps.bytes; k += kStep, weights += kBlock * kStep) {
        for (int column = 0; column < kColumns; ++column) {
          for (int n = 0; n < kStep; ++n) x[column][n] = in[column * row.column_bytes + k + n];
        }
        AddStep<kColumns>(x, weights, acc);
      }
      if (k == taps.bytes) continue;
      for (int column = 0; column < kColumns; ++column) {
        for (int n = 0; n < kStep; ++n) {
          x[column][n] = k + n < taps.bytes ? int16_t{in[column * row.column_bytes + k + n]} : int16_t{0};
        }
      }
      AddStep<kColumns>(x, weights, acc);
      weights += kBlock * kStep;
    }
  }
}

template <class Rule>
void StoreChannels(const Requantization& r, const uint32_t* acc, int32_t first, int32_t count, uint8_t* out) {
  const auto* multipliers = static_cast<const typename Rule::Multiplier*>(r.multipliers);
  for (int32_t c = 0; c < count; ++c) {
    const int32_t sum = static_cast<int32_t>(acc[c]);
    out[c] = Requantize<Rule>(sum, multipliers, r.shifts, first + c, r.range) ^ r.flip;
  }
}

// Some columns of 16 output channels or fewer; `first` is their place in the arrays, `out` that of the first value.
template <class Rule, int kColumns>
void ConvTile(const ConvRow& row, const Taps& taps, ptrdiff_t place, const int8_t* weights, int32_t first,
              int32_t count, uint8_t* out) {
  uint32_t acc[kColumns][kBlock];
  for (int column = 0; column < kColumns; ++column) {
    uint32_t start = 0;
    if (row.weight_zero != 0) {
      const int32_t sum = SumOfInputs(row, taps, place + column * row.column_bytes);
      start = 0u - static_cast<uint32_t>(row.weight_zero) * static_cast<uint32_t>(sum);
    }
    for (int c = 0; c < kBlock; ++c) {
      acc[column][c] = start + static_cast<uint32_t>(row.requantization.biases[first + c]);
    }
  }
  Accumulate<kColumns>(row, taps, place, weights, acc);
  for (int column = 0; column < kColumns; ++column) {
    StoreChannels<Rule>(row.requantization, acc[column], first, count, out + column * row.out_pixel_bytes);
  }
}

template <class Rule>
void Conv(const ConvRow& row) {
  const Taps taps = JoinTaps(row);
  const int32_t blocks = BlocksOf(row.out_channels);
  const ptrdiff_t padded_tap = (taps.bytes + kStep - 1) / kStep * kStep;
  const ptrdiff_t block_bytes = padded_tap * taps.height * taps.width * kBlock;
  for (int32_t group = 0; group < row.groups; ++group) {
    for (int32_t block = 0; block < blocks; ++block) {
      const int8_t* weights = row.weights + (group * blocks + block) * block_bytes;
      const int32_t first = (group * blocks + block) * kBlock;
      const int32_t left = row.out_channels - block * kBlock;
      const int32_t count = left < kBlock ? left : kBlock;
      uint8_t* out = row.out + group * row.out_channels + block * kBlock;
      ptrdiff_t place = ptrdiff_t{group} * row.in_channels;
      int32_t column = 0;
      for (; column + kTile <= row.columns; column += kTile) {
        ConvTile<Rule, kTile>(row, taps, place, weights, first, count, out);
        place += kTile * row.column_bytes;
        out += kTile * row.out_pixel_bytes;
      }
      for (; column < row.columns; ++column) {
        ConvTile<Rule, 1>(row, taps, place, weights, first, count, out);
        place += row.column_bytes;
        out += row.out_pixel_bytes;
      }
    }
  }
}

}  // namespace

void ConvFloat(const ConvRow& row) { Conv<RoundFloat>(row); }
void ConvHalfAway(const ConvRow& row) { Conv<RoundHalfAway>(row); }
void ConvHalfUp(const ConvRow& row) { Conv<RoundHalfUp>(row); }
void ConvRoundOnce(const ConvRow& row) { Conv<RoundOnce>(row); }

}  // namespace fmtc::region
