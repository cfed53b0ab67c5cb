// Depthwise convolutions, four channels of a column at a time.
#include "micro/kernels.h"
#include "micro/pairs.h"
#include "micro/requantize.h"

namespace fmtc::region {
namespace {

constexpr int kTogether = 4;

// The input values of four output channels: of their own numbers, or all the same one.
struct OwnChannels {
  static Pairs At(const uint8_t* pixel, int32_t channel, int32_t) { return UnsignedPairsAt(pixel + channel); }
};
struct SharedChannel {
  static Pairs At(const uint8_t* pixel, int32_t channel, int32_t multiplier) {
    const uint32_t pair = pixel[channel / multiplier] * uint32_t{0x10001};
    return {pair, pair};
  }
};
struct AnyChannels {
  static Pairs At(const uint8_t* pixel, int32_t channel, int32_t multiplier) {
    uint32_t bytes = 0;
    for (int i = 0; i < kTogether; ++i) bytes |= uint32_t{pixel[(channel + i) / multiplier]} << 8 * i;
    return UnsignedPairs(bytes);
  }
};

template <class Channels>
void DepthwiseColumn(const MacRow& row, int32_t column) {
  const Requantization& r = row.requantization;
  const Limits limits(r.range);
  const uint32_t zero = static_cast<uint16_t>(row.weight_zero) * uint32_t{0x10001};
  uint8_t* out = row.out + column * row.out_pixel_bytes;
  for (int32_t c = 0; c < row.out_channels; c += kTogether) {
    int32_t sums[kTogether] = {r.biases[c], r.biases[c + 1], r.biases[c + 2], r.biases[c + 3]};
    const int8_t* weights = row.weights + c;
    for (int i = 0; i < row.kernel_rows; ++i) {
      const uint8_t* in = row.rows[i].first + column * row.rows[i].column_bytes;
      for (int j = 0; j < row.kernel_columns; ++j, in += row.tap_bytes, weights += row.tap_weights) {
        const Pairs x = Channels::At(in, c, row.multiplier);
        const Pairs w = Minus(SignedPairsAt(weights), zero);
        sums[0] = AddLow(x.even, w.even, sums[0]);
        sums[1] = AddLow(x.odd, w.odd, sums[1]);
        sums[2] = AddHigh(x.even, w.even, sums[2]);
        sums[3] = AddHigh(x.odd, w.odd, sums[3]);
      }
    }
    for (int i = 0; i < kTogether && c + i < row.out_channels; ++i) {
      out[c + i] = Requantize(sums[i], r, limits, c + i);
    }
  }
}

template <class Channels>
void DepthwiseColumns(const MacRow& row) {
  for (int32_t column = 0; column < row.columns; ++column) DepthwiseColumn<Channels>(row, column);
}

}  // namespace

void MicroDepthwise(const MacRow& row) {
  if (row.multiplier == 1) return DepthwiseColumns<OwnChannels>(row);
  if (row.multiplier % kTogether == 0) return DepthwiseColumns<SharedChannel>(row);
  DepthwiseColumns<AnyChannels>(row);
}

}  // namespace fmtc::region
