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

// Where columns begin. Those of wide tiles share pointers: with a register for the distance of each there would be too
// few.
template <int kColumns>
struct ColumnPointers {
  static constexpr int kTogether = kColumns <= 8 ? kColumns : 4;
  static constexpr int kCount = (kColumns + kTogether - 1) / kTogether;
  const uint8_t* first[kCount];
  ptrdiff_t bytes;  // of a column

  FMTC_INLINE ColumnPointers(const uint8_t* p, ptrdiff_t column_bytes) : bytes(column_bytes) {
    FMTC_UNROLL for (int i = 0; i < kCount; ++i) {
      first[i] = p + i * kTogether * column_bytes;
      if (kCount > 1) __asm__("" : "+r"(first[i]));  // or the compiler goes back to distances
    }
  }
  FMTC_INLINE const uint8_t* At(int column) const { return first[column / kTogether] + column % kTogether * bytes; }
  FMTC_INLINE void Advance() { FMTC_UNROLL for (int i = 0; i < kCount; ++i) first[i] += kStepValues; }
};

// Adds the products of a tap's `bytes` values for columns that lie `column_bytes` apart. Returns the next tap's
// weights.
template <int kColumns, int kBlocks>
FMTC_INLINE const int8_t* AddTap(const uint8_t* tap, int32_t bytes, ptrdiff_t column_bytes, const int8_t* weights,
                                 ptrdiff_t weights_of_block, Sums (&sums)[kColumns * kBlocks]) {
  const uint8_t* const end = tap + bytes;
  ColumnPointers<kColumns> columns(tap, column_bytes);
  for (; columns.first[0] < end; columns.Advance(), weights += kChannelBlock * kStepValues) {
    StepWeights w[kBlocks];
    FMTC_UNROLL for (int b = 0; b < kBlocks; ++b) w[b] = StepWeights::Load(weights + b * weights_of_block);
    FMTC_UNROLL for (int t = 0; t < kColumns; ++t) {
      const StepValues x = StepValues::Of(LoadWord(columns.At(t)));
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
