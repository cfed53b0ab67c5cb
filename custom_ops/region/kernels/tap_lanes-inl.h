// A tap of a convolution whose steps take their 4 values of a column from lanes of a vector. Included behind
// products_neon-inl.h or dotprod_neon-inl.h.
//
// Those have: TapValues, the values of kTapSteps steps and how to load them, or those of one step as if it were the
// first; StepWeights, of 16 channels for a step; and AddProducts<kStep>(sums, values, weights).
#ifndef FMTC_REGION_KERNELS_TAP_LANES_INL_H_
#define FMTC_REGION_KERNELS_TAP_LANES_INL_H_

namespace fmtc::region {
namespace {

template <int kStep, int kColumns, int kBlocks>
FMTC_INLINE void AddStep(const TapValues (&x)[kColumns], const int8_t* weights, ptrdiff_t weights_of_block,
                         Sums (&sums)[kColumns * kBlocks]) {
  FMTC_UNROLL for (int b = 0; b < kBlocks; ++b) {
    const StepWeights w = StepWeights::Load(weights + b * weights_of_block);
    FMTC_UNROLL for (int t = 0; t < kColumns; ++t) {
      sums[t * kBlocks + b] = AddProducts<kStep>(sums[t * kBlocks + b], x[t], w);
    }
  }
}

template <int kColumns, int kBlocks, int... kSteps>
FMTC_INLINE void AddSteps(const TapValues (&x)[kColumns], const int8_t* weights, ptrdiff_t weights_of_block,
                          Sums (&sums)[kColumns * kBlocks], std::integer_sequence<int, kSteps...>) {
  constexpr int kStepBytes = kChannelBlock * kStepValues;
  (AddStep<kSteps, kColumns, kBlocks>(x, weights + kSteps * kStepBytes, weights_of_block, sums), ...);
}

// Adds the products of a tap's `bytes` values for columns that lie `column_bytes` apart. Returns the next tap's
// weights.
template <int kColumns, int kBlocks>
FMTC_INLINE const int8_t* AddTap(const uint8_t* tap, int32_t bytes, ptrdiff_t column_bytes, const int8_t* weights,
                                 ptrdiff_t weights_of_block, Sums (&sums)[kColumns * kBlocks]) {
  constexpr int kTapBytes = kTapSteps * kStepValues;
  const uint8_t* const end = tap + bytes;
  TapValues x[kColumns];
  for (; end - tap >= kTapBytes; tap += kTapBytes, weights += kTapBytes * kChannelBlock) {
    FMTC_UNROLL for (int t = 0; t < kColumns; ++t) x[t] = TapValues::Load(tap + t * column_bytes);
    AddSteps<kColumns, kBlocks>(x, weights, weights_of_block, sums, std::make_integer_sequence<int, kTapSteps>());
  }
  for (; tap < end; tap += kStepValues, weights += kStepValues * kChannelBlock) {
    FMTC_UNROLL for (int t = 0; t < kColumns; ++t) x[t] = TapValues::LoadStep(tap + t * column_bytes);
    AddStep<0, kColumns, kBlocks>(x, weights, weights_of_block, sums);
  }
  return weights;
}

}  // namespace
}  // namespace fmtc::region

#endif  // FMTC_REGION_KERNELS_TAP_LANES_INL_H_
