// Two rows of a convolution of few columns, whose weights are read once for both. Included behind conv_rows-inl.h.
#ifndef FMTC_REGION_KERNELS_CONV_PAIRS_AVX512_INL_H_
#define FMTC_REGION_KERNELS_CONV_PAIRS_AVX512_INL_H_

namespace fmtc::region {
namespace {

constexpr int32_t kPairColumns = TileColumns(kTileBlocks) / 2;

// A tap of each of two rows, of the same weights; otherwise as AddTap().
template <int kColumns, int kBlocks>
FMTC_INLINE const int8_t* AddPairOfTaps(const uint8_t* tap, const uint8_t* other, int32_t bytes, ptrdiff_t column_bytes,
                                        ptrdiff_t other_bytes, const int8_t* weights, ptrdiff_t weights_of_block,
                                        Sums (&sums)[kColumns * kBlocks], Sums (&others)[kColumns * kBlocks]) {
  const uint8_t* const end = tap + bytes;
  for (; tap < end; tap += kStepValues, other += kStepValues, weights += kChannelBlock * kStepValues) {
    StepWeights w[kBlocks];
    FMTC_UNROLL for (int b = 0; b < kBlocks; ++b) w[b] = StepWeights::Load(weights + b * weights_of_block);
    FMTC_UNROLL for (int t = 0; t < kColumns; ++t) {
      const StepValues x = StepValues::Of(LoadWord(tap + t * column_bytes));
      const StepValues y = StepValues::Of(LoadWord(other + t * other_bytes));
      FMTC_UNROLL for (int b = 0; b < kBlocks; ++b) {
        const int i = t * kBlocks + b;
        sums[i] = AddProducts(sums[i], x, w[b]);
        others[i] = AddProducts(others[i], y, w[b]);
      }
    }
  }
  return weights;
}

template <int kColumns>
void PairOfRows(const MacRow& row, const MacRow& other) {
  const Taps taps = JoinTaps(row);
  const ptrdiff_t weights_of_block = WeightsOfBlock(taps);
  const int8_t* weights = row.weights;
  for (int32_t c = 0; c < row.out_channels; c += kTileChannels, weights += kTileBlocks * weights_of_block) {
    Sums sums[kColumns * kTileBlocks], others[kColumns * kTileBlocks];
    StartSums<kColumns, kTileBlocks>(row.requantization.biases + c, sums);
    StartSums<kColumns, kTileBlocks>(row.requantization.biases + c, others);
    const int8_t* w = weights;
    for (int i = 0; i < taps.rows; ++i) {
      const KernelRow &a = row.rows[i], &b = other.rows[i];
      const uint8_t *tap = a.first, *other_tap = b.first;
      for (int j = 0; j < taps.columns; ++j, tap += row.tap_bytes, other_tap += row.tap_bytes) {
        w = AddPairOfTaps<kColumns, kTileBlocks>(tap, other_tap, taps.bytes, a.column_bytes, b.column_bytes, w,
                                                 weights_of_block, sums, others);
      }
    }
    FinishTile<kColumns, kTileBlocks>(row, c, kTileChannels, row.out + c, sums);
    FinishTile<kColumns, kTileBlocks>(row, c, kTileChannels, other.out + c, others);
  }
}

// Both rows are ConvRow<Float32>()'s.
void ConvPair(const MacRow& row, const MacRow& other) {
  const bool fits = row.weight_zero == 0 && row.has_small_factors && row.groups == 1 && row.packed_weights == nullptr &&
                    row.out_channels % kTileChannels == 0;
  if (fits && row.columns == 1) return PairOfRows<1>(row, other);
  if (fits && row.columns == 2) return PairOfRows<2>(row, other);
  if (fits && row.columns == kPairColumns) return PairOfRows<kPairColumns>(row, other);
  ConvRow<Float32>(row);
  ConvRow<Float32>(other);
}

}  // namespace
}  // namespace fmtc::region

#endif  // FMTC_REGION_KERNELS_CONV_PAIRS_AVX512_INL_H_
