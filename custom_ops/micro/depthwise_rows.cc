// Depthwise convolutions, four channels of a column at a time.
#include "micro/kernels.h"
#include "micro/pairs.h"
#include "micro/requantize.h"

namespace fmtc::region {
namespace {

constexpr int kTogether = 4;

// The input values of four output channels: of their own numbers, or of those that several share.
struct OwnChannels {
  static Pairs At(const uint8_t* pixel, int32_t channel, int32_t) { return UnsignedPairsAt(pixel + channel); }
};
struct SharedChannels {
  static Pairs At(const uint8_t* pixel, int32_t channel, int32_t multiplier) {
    if (multiplier % kTogether == 0) {
      const uint32_t pair = pixel[channel / multiplier] * uint32_t{0x10001};
      return {pair, pair};
    }
    uint32_t bytes = 0;
    for (int i = 0; i < kTogether; ++i) bytes |= uint32_t{pixel[(channel + i) / multiplier]} << 8 * i;
    return UnsignedPairs(bytes);
  }
};

struct Sums {
  int32_t of[kTogether];
};

// The sums of four channels from `channel` on. `weight_step`: from a tap's weights to the next one's.
// A function of its own, so that the loop has all registers.
template <class Channels>
[[gnu::noinline]] Sums AddTaps(const MacRow& row, int32_t column, int32_t channel, const int8_t* weights,
                               ptrdiff_t weight_step, const int32_t* start) {
  int32_t s0 = start[0], s1 = start[1], s2 = start[2], s3 = start[3];
  const ptrdiff_t tap_bytes = row.tap_bytes;
  const int32_t multiplier = row.multiplier;
  const KernelRow* kernel_row = row.rows;
  for (int32_t rows = row.kernel_rows; rows > 0; --rows, ++kernel_row) {
    const uint8_t* in = kernel_row->first + column * kernel_row->column_bytes;
    for (int32_t taps = row.kernel_columns; taps > 0; --taps) {
      const Pairs x = Channels::At(in, channel, multiplier);
      const Pairs w = SignedPairsAt(weights);
      in += tap_bytes;
      weights += weight_step;
      s0 = AddLow(x.even, w.even, s0);
      s1 = AddLow(x.odd, w.odd, s1);
      s2 = AddHigh(x.even, w.even, s2);
      s3 = AddHigh(x.odd, w.odd, s3);
    }
  }
  return {{s0, s1, s2, s3}};
}

using AddTapsFunction = Sums (*)(const MacRow& row, int32_t column, int32_t channel, const int8_t* weights,
                                 ptrdiff_t weight_step, const int32_t* start);

// Less the weights' zero point times what is under the taps.
[[gnu::noinline]] void TakeZeros(AddTapsFunction add_taps, const MacRow& row, int32_t column, int32_t channel,
                                 Sums* sums) {
  constexpr int8_t kOnes[kTogether] = {1, 1, 1, 1};
  constexpr int32_t kNothing[kTogether] = {};
  const Sums values = add_taps(row, column, channel, kOnes, 0, kNothing);
  for (int i = 0; i < kTogether; ++i) {
    const uint32_t zeros = static_cast<uint32_t>(row.weight_zero) * static_cast<uint32_t>(values.of[i]);
    sums->of[i] = static_cast<int32_t>(static_cast<uint32_t>(sums->of[i]) - zeros);
  }
}

}  // namespace

// Channels in the outer loop, so that what belongs to them is found once a row.
void MicroDepthwise(const MacRow& row) {
  const AddTapsFunction add_taps = row.multiplier == 1 ? AddTaps<OwnChannels> : AddTaps<SharedChannels>;
  const Requantization& r = row.requantization;
  const Limits limits(r.range);
  for (int32_t c = 0; c < row.out_channels; c += kTogether) {
    const int32_t left = row.out_channels - c;
    uint8_t* out = row.out + c;
    const FourScales scales(r, c);
    for (int32_t column = 0; column < row.columns; ++column, out += row.out_pixel_bytes) {
      Sums sums = add_taps(row, column, c, row.weights + c, row.tap_weights, r.biases + c);
      if (row.weight_zero != 0) TakeZeros(add_taps, row, column, c, &sums);
      StoreFirst(Requantize(sums.of, scales, limits), left, out);
    }
  }
}

}  // namespace fmtc::region
