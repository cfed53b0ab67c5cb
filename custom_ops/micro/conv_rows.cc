// Convolutions and fully connected ops: two output channels of two columns at a time, or four of one, so that what is
// made of a word of bytes serves as often as the registers allow.
#include "micro/kernels.h"
#include "micro/pairs.h"
#include "micro/requantize.h"
#include "region/taps.h"

namespace fmtc::region {
namespace {

constexpr ptrdiff_t kStepBytes = kChannelBlock * kStepValues;  // from a channel's weights of four k to the next four

// Sums of some columns and channels, [column][channel], whose weights are `weights` of their first k on.
struct Tile {
  int32_t sums[4];
  const int8_t* weights;
};

inline void AddTwoByTwo(const uint8_t* in, ptrdiff_t column_bytes, int32_t steps, Tile* tile) {
  int32_t s0 = tile->sums[0], s1 = tile->sums[1], s2 = tile->sums[2], s3 = tile->sums[3];
  const uint8_t* beside = in + column_bytes;
  const int8_t* weights = tile->weights;
  for (const uint8_t* end = in + steps * kStepValues; in < end; in += kStepValues, beside += kStepValues) {
    const Pairs x = UnsignedPairsAt(in), y = UnsignedPairsAt(beside);
    const Pairs v = SignedPairsAt(weights);
    s0 = AddProducts(x, v, s0);
    s2 = AddProducts(y, v, s2);
    const Pairs w = SignedPairsAt(weights + kStepValues);
    s1 = AddProducts(x, w, s1);
    s3 = AddProducts(y, w, s3);
    weights += kStepBytes;
  }
  tile->weights = weights;
  tile->sums[0] = s0, tile->sums[1] = s1, tile->sums[2] = s2, tile->sums[3] = s3;
}

inline void AddOneByFour(const uint8_t* in, ptrdiff_t, int32_t steps, Tile* tile) {
  int32_t s0 = tile->sums[0], s1 = tile->sums[1], s2 = tile->sums[2], s3 = tile->sums[3];
  const int8_t* weights = tile->weights;
  for (const uint8_t* end = in + steps * kStepValues; in < end; in += kStepValues) {
    const Pairs x = UnsignedPairsAt(in);
    s0 = AddProducts(x, SignedPairsAt(weights), s0);
    s1 = AddProducts(x, SignedPairsAt(weights + kStepValues), s1);
    s2 = AddProducts(x, SignedPairsAt(weights + 2 * kStepValues), s2);
    s3 = AddProducts(x, SignedPairsAt(weights + 3 * kStepValues), s3);
    weights += kStepBytes;
  }
  tile->weights = weights;
  tile->sums[0] = s0, tile->sums[1] = s1, tile->sums[2] = s2, tile->sums[3] = s3;
}

using AddSteps = void (*)(const uint8_t*, ptrdiff_t, int32_t, Tile*);

// The last bytes of a tap, fewer than four, one by one: what follows them may be another group's or none of ours.
template <AddSteps kAddSteps>
void AddLastBytes(const uint8_t* in, ptrdiff_t column_bytes, int32_t bytes, Tile* tile) {
  uint8_t padded[2 * kStepValues] = {};
  for (int32_t i = 0; i < bytes; ++i) {
    padded[i] = in[i];
    padded[kStepValues + i] = in[column_bytes + i];
  }
  kAddSteps(padded, kStepValues, 1, tile);
}

// All taps for the tile's columns, from `column` on. `group`: where its input channels begin.
template <AddSteps kAddSteps>
void AddTaps(const MacRow& row, const Taps& taps, int32_t column, ptrdiff_t group, Tile* tile) {
  // What follows a pixel's channels meets weights of 0, but where it counts in a sum or is another group's.
  const bool takes_whole_words = row.weight_zero == 0 && row.groups == 1;
  const int32_t bytes = takes_whole_words ? RoundUpTo(taps.bytes, kStepValues) : taps.bytes;
  const int32_t last_bytes = bytes % kStepValues;
  for (int i = 0; i < taps.rows; ++i) {
    const KernelRow& kernel_row = row.rows[i];
    const uint8_t* in = kernel_row.first + column * kernel_row.column_bytes + group;
    for (int j = 0; j < taps.columns; ++j, in += row.tap_bytes) {
      kAddSteps(in, kernel_row.column_bytes, bytes / kStepValues, tile);
      if (last_bytes == 0) continue;
      AddLastBytes<kAddSteps>(in + (bytes - last_bytes), kernel_row.column_bytes, last_bytes, tile);
    }
  }
}

// The sum of what lies under a column's taps, for weights whose zero point is not 0.
uint32_t SumTaps(const MacRow& row, const Taps& taps, int32_t column, ptrdiff_t group) {
  uint32_t sum = 0;
  for (int i = 0; i < taps.rows; ++i) {
    const uint8_t* in = row.rows[i].first + column * row.rows[i].column_bytes + group;
    for (int j = 0; j < taps.columns; ++j, in += row.tap_bytes) {
      for (int32_t k = 0; k < taps.bytes; ++k) sum += in[k];
    }
  }
  return sum;
}

uint32_t ZeroOf(const MacRow& row, const Taps& taps, int32_t column, ptrdiff_t group) {
  return row.weight_zero == 0 ? 0 : static_cast<uint32_t>(row.weight_zero) * SumTaps(row, taps, column, group);
}

inline int32_t Minus(int32_t sum, uint32_t zero) { return static_cast<int32_t>(static_cast<uint32_t>(sum) - zero); }

// So many columns, and channels at a time, of a group.
template <AddSteps kAddSteps, int kColumns, int kChannels>
void ConvColumns(const MacRow& row, const Taps& taps, int32_t column, int32_t group) {
  const Requantization& r = row.requantization;
  const Limits limits(r.range);
  const ptrdiff_t first_input = ptrdiff_t{group} * row.in_channels;
  const ptrdiff_t block_weights = WeightsOfBlock(taps);
  uint32_t zeros[kColumns];
  for (int t = 0; t < kColumns; ++t) zeros[t] = ZeroOf(row, taps, column + t, first_input);
  const int32_t first = group * RoundUpTo(row.out_channels, kChannelBlock);
  const int8_t* weights = row.weights + first / kChannelBlock * block_weights;
  uint8_t* out = row.out + column * row.out_pixel_bytes + group * row.out_channels;
  for (int32_t c = 0; c < row.out_channels; c += kChannels) {
    Tile tile;
    for (int i = 0; i < 4; ++i) {
      tile.sums[i] = Minus(r.biases[first + c + i % kChannels], zeros[i / kChannels]);
    }
    tile.weights = weights + c / kChannelBlock * block_weights + c % kChannelBlock * kStepValues;
    AddTaps<kAddSteps>(row, taps, column, first_input, &tile);
    for (int i = 0; i < 4; ++i) {
      const int32_t channel = c + i % kChannels;
      if (channel >= row.out_channels) continue;
      out[i / kChannels * row.out_pixel_bytes + channel] = Requantize(tile.sums[i], r, limits, first + channel);
    }
  }
}

}  // namespace

void MicroConv(const MacRow& row) {
  const Taps taps = JoinTaps(row);
  for (int32_t group = 0; group < row.groups; ++group) {
    int32_t column = 0;
    for (; column + 2 <= row.columns; column += 2) ConvColumns<AddTwoByTwo, 2, 2>(row, taps, column, group);
    if (column < row.columns) ConvColumns<AddOneByFour, 1, 4>(row, taps, column, group);
  }
}

void MicroAddProducts(const MacRow& row, int32_t* acc) {
  const Taps taps = JoinTaps(row);
  const uint32_t zero = ZeroOf(row, taps, 0, 0);
  for (int32_t c = 0; c < row.out_channels; c += 4) {
    Tile tile;
    for (int i = 0; i < 4; ++i) {
      tile.sums[i] = Minus(acc[c + i], zero);
    }
    tile.weights = row.weights + c / kChannelBlock * WeightsOfBlock(taps) + c % kChannelBlock * kStepValues;
    AddTaps<AddOneByFour>(row, taps, 0, 0, &tile);
    for (int i = 0; i < 4; ++i) acc[c + i] = tile.sums[i];
  }
}

}  // namespace fmtc::region
