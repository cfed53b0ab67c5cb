// Sums of 16 outputs in a vector, for simd/matrix_tiles-inl.h. To be included between FMTC_BEGIN_TARGET_* and
// FMTC_END_TARGET.
#ifndef FMTC_SIMD_SUMS_AVX512_INL_H_
#define FMTC_SIMD_SUMS_AVX512_INL_H_

#include "simd/sums_avx2-inl.h"

namespace fmtc {
namespace {

// A vector of 16 sums is a group.
struct Sums16 : LimitedBytes {
  using Group = __m512i;
  using Pairs = __m512i;
  using Input = __m512i;
  static constexpr size_t kPixels = 8;
  static constexpr size_t kGroups = 2;

  static FMTC_INLINE Group LoadSums(const int32_t* p, int32_t more) {
    return _mm512_add_epi32(_mm512_loadu_si512(p), _mm512_set1_epi32(more));
  }
  static FMTC_INLINE Pairs LoadPairs(const int16_t* p) { return _mm512_loadu_si512(p); }
  static FMTC_INLINE Input LoadInput(const int16_t* p) {
    int32_t pair;
    memcpy(&pair, p, sizeof(pair));
    return _mm512_set1_epi32(pair);
  }
  static FMTC_INLINE void AddProducts(Pairs pairs, Input input, Group* sums) {
    *sums = _mm512_dpwssd_epi32(*sums, pairs, input);
  }
  static FMTC_INLINE void StoreSums(int32_t* p, Group sums) { _mm512_storeu_si512(p, sums); }
  static FMTC_INLINE Bytes Finish(Group sums, const Rounding& rounding) {
    const __m128i count = _mm_cvtsi32_si128(static_cast<int>(rounding.shift));
    return Limit(_mm512_cvtsepi32_epi8(_mm512_sra_epi32(sums, count)), rounding);
  }
};

}  // namespace
}  // namespace fmtc

#endif  // FMTC_SIMD_SUMS_AVX512_INL_H_
