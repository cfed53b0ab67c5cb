// Products of convolutions with dot products of bytes in vectors of 256 bits; all else is AVX2's. Included where
// FMTC_BEGIN_TARGET_AVX2 or _AVX512VL_VNNI holds, behind DotProducts, which has their instruction in its encoding:
//
//   __m256i DotProducts(__m256i sums, __m256i x, __m256i w)   of unsigned bytes x and signed bytes w, four for each sum
#ifndef FMTC_REGION_KERNELS_PRODUCTS_AVX_VNNI_INL_H_
#define FMTC_REGION_KERNELS_PRODUCTS_AVX_VNNI_INL_H_

#include "region/kernels/sums_avx2-inl.h"

namespace fmtc::region {
namespace {

// Products of a convolution's step: 4 values of x, the same for all channels, and 4 weights for each. The sums of 6
// columns take 12 of 16 registers.
constexpr int kTileBlocks = 1;
constexpr int TileColumns(int) { return 6; }
constexpr int TileBlocks(int) { return kTileBlocks; }
constexpr int kBlocksOfColumn = 6;   // where there is one column only
constexpr int kHalfTileColumns = 0;  // no such tiles
constexpr int kSlidingBlocks = 0;    // no such tiles

struct StepValues {
  __m256i v;

  static FMTC_INLINE StepValues Of(uint32_t word) { return {_mm256_set1_epi32(static_cast<int32_t>(word))}; }
};

struct StepWeights {
  __m256i a, b;

  static FMTC_INLINE StepWeights Load(const int8_t* p) { return {Load32(p), Load32(p + 32)}; }
};

FMTC_INLINE Sums AddProducts(Sums sums, const StepValues& x, const StepWeights& w) {
  return {DotProducts(sums.a, x.v, w.a), DotProducts(sums.b, x.v, w.b)};
}

}  // namespace
}  // namespace fmtc::region

#include "region/kernels/tap_words-inl.h"

#endif  // FMTC_REGION_KERNELS_PRODUCTS_AVX_VNNI_INL_H_
