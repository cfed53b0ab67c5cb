// Products of convolutions with AVX2, which has them of words only. Included where FMTC_BEGIN_TARGET_AVX2 holds.
#ifndef FMTC_REGION_KERNELS_PRODUCTS_AVX2_INL_H_
#define FMTC_REGION_KERNELS_PRODUCTS_AVX2_INL_H_

#include "region/kernels/sums_avx2-inl.h"

namespace fmtc::region {
namespace {

// Products of a convolution's step: 4 values of x, the same for all channels, and 4 weights for each; as words, of
// which those of even places and those of odd places have a vector each.
constexpr int kTileBlocks = 1;
constexpr int TileColumns(int) { return 4; }
constexpr int TileBlocks(int) { return kTileBlocks; }
constexpr int kBlocksOfColumn = 4;   // where there is one column only
constexpr int kHalfTileColumns = 8;  // where there are 8 channels or fewer
constexpr int kSlidingBlocks = 0;    // no such tiles

struct StepValues {
  __m256i even, odd;

  static FMTC_INLINE StepValues Of(uint32_t word) {
    const __m256i bytes = _mm256_set1_epi32(static_cast<int32_t>(word));
    return {_mm256_and_si256(bytes, _mm256_set1_epi16(0xFF)), _mm256_srli_epi16(bytes, 8)};
  }
};

struct StepWeights {
  Sums even, odd;

  static FMTC_INLINE StepWeights Load(const int8_t* p) {
    const __m256i a = Load32(p), b = Load32(p + 32);
    return {{_mm256_srai_epi16(_mm256_slli_epi16(a, 8), 8), _mm256_srai_epi16(_mm256_slli_epi16(b, 8), 8)},
            {_mm256_srai_epi16(a, 8), _mm256_srai_epi16(b, 8)}};
  }
};

FMTC_INLINE Sums AddProducts(Sums sums, const StepValues& x, const StepWeights& w) {
  sums = sums + Sums{_mm256_madd_epi16(x.even, w.even.a), _mm256_madd_epi16(x.even, w.even.b)};
  return sums + Sums{_mm256_madd_epi16(x.odd, w.odd.a), _mm256_madd_epi16(x.odd, w.odd.b)};
}

}  // namespace
}  // namespace fmtc::region

#include "region/kernels/tap_words-inl.h"

#endif  // FMTC_REGION_KERNELS_PRODUCTS_AVX2_INL_H_
