// A tap of a convolution, whose steps take their 4 values of a column as a word that all channels share. Included by
// sums_*-inl.h.
#ifndef FMTC_REGION_KERNELS_TAP_WORDS_INL_H_
#define FMTC_REGION_KERNELS_TAP_WORDS_INL_H_

#include "region/kernels/words-inl.h"

namespace fmtc::region {
namespace {

// Where the sums of blocks of 16 channels start.
FMTC_INLINE const int32_t* StartOfBlocks(const int32_t* biases, const int8_t*, ptrdiff_t, int32_t, int32_t*) {
  return biases;
}

// The same for a depthwise convolution of 16 channels.
FMTC_INLINE Sums StartOfTaps(Sums bias, const RowsWeights*, int32_t) { return bias; }

// Adds the products of a tap's `bytes` values for columns that lie `column_bytes` apart. Returns the next tap's
// weights.
template <int kColumns, int kBlocks>
FMTC_INLINE const int8_t* AddTap(const uint8_t* tap, int32_t bytes, ptrdiff_t column_bytes, const int8_t* weights,
                                 ptrdiff_t weights_of_block, Sums (&sums)[kColumns * kBlocks]) {
  const uint8_t* const end = tap + bytes;
  for (const uint8_t* in = tap; in < end; in += kStepValues, weights += kChannelBlock * kStepValues) {
    StepWeights w[kBlocks];
    FMTC_UNROLL for (int b = 0; b < kBlocks; ++b) w[b] = StepWeights::Load(weights + b * weights_of_block);
    FMTC_UNROLL for (int t = 0; t < kColumns; ++t) {
      const StepValues x = StepValues::Of(LoadWord(in + t * column_bytes));
      FMTC_UNROLL for (int b = 0; b < kBlocks; ++b) {
        sums[t * kBlocks + b] = AddProducts(sums[t * kBlocks + b], x, w[b]);
      }
    }
  }
  return weights;
}

}  // namespace
}  // namespace fmtc::region

#endif  // FMTC_REGION_KERNELS_TAP_WORDS_INL_H_
