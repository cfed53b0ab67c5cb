// Convolutions and fully connected ops in plain C++. Products of 16 bits, and sums of 32 that wrap around.
#include "region/plain_kernels.h"
#include "region/taps.h"

namespace fmtc::region {
namespace {

// Columns at a time: a step's weights serve them all.
constexpr int kTile = 2;

// acc[column][channel] += x * w for one step.
template <int kColumns>
inline void AddStep(const int16_t (*x)[kStepValues], const int8_t* weights, int32_t weight_zero,
                    uint32_t (*acc)[kChannelBlock]) {
  for (int column = 0; column < kColumns; ++column) {
    for (int c = 0; c < kChannelBlock; ++c) {
      int32_t sum = 0;
      for (int n = 0; n < kStepValues; ++n)
        sum += x[column][n] * static_cast<int16_t>(weights[c * kStepValues + n] - weight_zero);
      acc[column][c] += static_cast<uint32_t>(sum);
    }
  }
}

// Adds the taps of columns from `column` on for 16 output channels. `group` is where the input channels begin.
template <int kColumns>
void AddTaps(const MacRow& row, const Taps& taps, int32_t column, ptrdiff_t group, const int8_t* weights,
             uint32_t (*acc)[kChannelBlock]) {
  for (int i = 0; i < taps.rows; ++i) {
    const ptrdiff_t column_bytes = row.rows[i].column_bytes;
    for (int j = 0; j < taps.columns; ++j) {
      const uint8_t* in = row.rows[i].first + column * column_bytes + group + j * row.tap_bytes;
      int16_t x[kColumns][kStepValues];
      int32_t k = 0;
      for (; k + kStepValues <= taps.bytes; k += kStepValues, weights += kChannelBlock * kStepValues) {
        for (int t = 0; t < kColumns; ++t) {
          for (int n = 0; n < kStepValues; ++n) x[t][n] = in[t * column_bytes + k + n];
        }
        AddStep<kColumns>(x, weights, row.weight_zero, acc);
      }
      if (k == taps.bytes) continue;
      for (int t = 0; t < kColumns; ++t) {
        for (int n = 0; n < kStepValues; ++n) {
          x[t][n] = k + n < taps.bytes ? int16_t{in[t * column_bytes + k + n]} : int16_t{0};
        }
      }
      AddStep<kColumns>(x, weights, row.weight_zero, acc);
      weights += kChannelBlock * kStepValues;
    }
  }
}

// The 16 output channels or fewer of a block.
struct Block {
  int32_t first;  // in the arrays
  int32_t count;
  const int8_t* weights;
  ptrdiff_t group;  // where its input channels begin
  uint8_t* out;     // its channels of the first column
};

template <class Rounding, int kColumns>
void ConvTile(const MacRow& row, const Taps& taps, const Block& block, int32_t column) {
  uint32_t acc[kColumns][kChannelBlock];
  for (int t = 0; t < kColumns; ++t) {
    for (int c = 0; c < kChannelBlock; ++c) {
      acc[t][c] = static_cast<uint32_t>(row.requantization.biases[block.first + c]);
    }
  }
  AddTaps<kColumns>(row, taps, column, block.group, block.weights, acc);
  for (int t = 0; t < kColumns; ++t) {
    uint8_t* out = block.out + (column + t) * row.out_pixel_bytes;
    for (int32_t c = 0; c < block.count; ++c) {
      out[c] = Rounding::Apply(static_cast<int32_t>(acc[t][c]), row.requantization, block.first + c);
    }
  }
}

}  // namespace

template <class Rounding>
void PlainConv(const MacRow& row) {
  const Taps taps = JoinTaps(row);
  Block block{0, 0, row.weights, 0, row.out};
  for (int32_t group = 0; group < row.groups; ++group) {
    block.group = ptrdiff_t{group} * row.in_channels;
    for (int32_t c = 0; c < row.out_channels; c += kChannelBlock) {
      const int32_t left = row.out_channels - c;
      block.count = left < kChannelBlock ? left : kChannelBlock;
      block.out = row.out + group * row.out_channels + c;
      int32_t column = 0;
      for (; column + kTile <= row.columns; column += kTile) ConvTile<Rounding, kTile>(row, taps, block, column);
      for (; column < row.columns; ++column) ConvTile<Rounding, 1>(row, taps, block, column);
      block.first += kChannelBlock;
      block.weights += WeightsOfBlock(taps);
    }
  }
}

template void PlainConv<DoubleRounding>(const MacRow& row);
template void PlainConv<HalfUp>(const MacRow& row);
template void PlainConv<Float32>(const MacRow& row);
template void PlainConv<Float64>(const MacRow& row);
template void PlainConv<Rndnu>(const MacRow& row);
template void PlainConv<Blocks>(const MacRow& row);

void PlainAddProducts(const MacRow& row, int32_t* acc) {
  const Taps taps = JoinTaps(row);
  const ptrdiff_t weights_of_block = WeightsOfBlock(taps);
  const int8_t* weights = row.weights;
  for (int32_t first = 0; first < row.out_channels; first += kChannelBlock, weights += weights_of_block) {
    uint32_t sums[1][kChannelBlock];
    for (int c = 0; c < kChannelBlock; ++c) sums[0][c] = static_cast<uint32_t>(acc[first + c]);
    AddTaps<1>(row, taps, 0, 0, weights, sums);
    for (int c = 0; c < kChannelBlock; ++c) acc[first + c] = static_cast<int32_t>(sums[0][c]);
  }
}

}  // namespace fmtc::region
