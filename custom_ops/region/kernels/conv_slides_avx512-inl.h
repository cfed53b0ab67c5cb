// Convolutions whose kernels have three columns and go from column to column: a value that is loaded once serves three
// columns, each under another tap, where loading it for each of them takes longer than the products. Included behind
// conv_rows-inl.h.
#ifndef FMTC_REGION_KERNELS_CONV_SLIDES_AVX512_INL_H_
#define FMTC_REGION_KERNELS_CONV_SLIDES_AVX512_INL_H_

namespace fmtc::region {
namespace {

// Adds the taps of a kernel row. `pixel`: what lies under the first column's first tap. Pixels of a row of padding are
// all alike, so that the distance between them may be 0.
template <int kColumns, int kBlocks>
FMTC_INLINE void AddSlidingTaps(const uint8_t* pixel, int32_t bytes, ptrdiff_t column_bytes, const int8_t* weights,
                                ptrdiff_t weights_of_tap, ptrdiff_t weights_of_block,
                                Sums (&sums)[kColumns * kBlocks]) {
  const uint8_t* const end = pixel + bytes;
  ColumnPointers<kColumns + kSlidingTaps - 1> pixels(pixel, column_bytes);
  for (; pixels.first[0] < end; pixels.Advance(), weights += kChannelBlock * kStepValues) {
    StepWeights w[kSlidingTaps][kBlocks];
    FMTC_UNROLL for (int j = 0; j < kSlidingTaps; ++j) {
      FMTC_UNROLL for (int b = 0; b < kBlocks; ++b) {
        w[j][b] = StepWeights::Load(weights + j * weights_of_tap + b * weights_of_block);
      }
    }
    StepValues x[kSlidingTaps] = {StepValues::Of(LoadWord(pixels.At(0))), StepValues::Of(LoadWord(pixels.At(1)))};
    FMTC_UNROLL for (int t = 0; t < kColumns; ++t) {
      x[2] = StepValues::Of(LoadWord(pixels.At(t + 2)));
      FMTC_UNROLL for (int b = 0; b < kBlocks; ++b) {
        Sums& sum = sums[t * kBlocks + b];
        FMTC_UNROLL for (int j = 0; j < kSlidingTaps; ++j) sum = AddProducts(sum, x[j], w[j][b]);
      }
      x[0] = x[1];
      x[1] = x[2];
    }
  }
}

template <int kColumns, int kBlocks>
void SlidingTiles(const MacRow& row, const Taps&, const ConvBlocks& blocks, int32_t column, int32_t tiles) {
  const ptrdiff_t weights_of_tap = ptrdiff_t{RoundUpTo(row.in_channels, kStepValues)} * kChannelBlock;
  for (; tiles > 0; --tiles, column += kColumns) {
    Sums sums[kColumns * kBlocks];
    StartSums<kColumns, kBlocks>(blocks.start, sums);
    const int8_t* weights = blocks.weights;
    for (int i = 0; i < row.kernel_rows; ++i, weights += kSlidingTaps * weights_of_tap) {
      const ptrdiff_t column_bytes = row.rows[i].column_bytes;
      AddSlidingTaps<kColumns, kBlocks>(row.rows[i].first + column * column_bytes + blocks.group, row.in_channels,
                                        column_bytes, weights, weights_of_tap, blocks.weights_of_block, sums);
    }
    FinishTile<kColumns, kBlocks>(row, blocks.first, blocks.channels, blocks.out + column * row.out_pixel_bytes, sums);
  }
}

}  // namespace
}  // namespace fmtc::region

#endif  // FMTC_REGION_KERNELS_CONV_SLIDES_AVX512_INL_H_
