// Sums of eight outputs in a vector, for simd/matrix_tiles-inl.h. To be included between FMTC_BEGIN_TARGET_* and
// FMTC_END_TARGET.
#ifndef FMTC_SIMD_SUMS_AVX2_INL_H_
#define FMTC_SIMD_SUMS_AVX2_INL_H_

#include "simd/matrix_tiles-inl.h"

namespace fmtc {
namespace {

// What the sums of a group become, also where there are wider vectors.
struct LimitedBytes {
  using Bytes = __m128i;

  static FMTC_INLINE Bytes Limit(Bytes bytes, const Rounding& rounding) {
    bytes = _mm_max_epi8(_mm_min_epi8(bytes, _mm_set1_epi8(rounding.hi)), _mm_set1_epi8(rounding.lo));
    return _mm_xor_si128(bytes, _mm_set1_epi8(static_cast<char>(rounding.flip)));
  }
  static FMTC_INLINE void Store(uint8_t* p, Bytes bytes) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), bytes); }
};

// Two vectors of eight sums make a group.
struct Sums8 : LimitedBytes {
  struct Group {
    __m256i low, high;
  };
  using Pairs = Group;
  using Input = __m256i;
  static constexpr size_t kPixels = 4;
  static constexpr size_t kGroups = 1;

  static FMTC_INLINE __m256i Load(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
  static FMTC_INLINE Group LoadSums(const int32_t* p, int32_t more) {
    const __m256i added = _mm256_set1_epi32(more);
    return {_mm256_add_epi32(Load(p), added), _mm256_add_epi32(Load(p + 8), added)};
  }
  static FMTC_INLINE Pairs LoadPairs(const int16_t* p) { return {Load(p), Load(p + 16)}; }
  static FMTC_INLINE Input LoadInput(const int16_t* p) {
    int32_t pair;
    memcpy(&pair, p, sizeof(pair));
    return _mm256_set1_epi32(pair);
  }
  static FMTC_INLINE void AddProducts(const Pairs& pairs, Input input, Group* sums) {
    sums->low = _mm256_add_epi32(sums->low, _mm256_madd_epi16(pairs.low, input));
    sums->high = _mm256_add_epi32(sums->high, _mm256_madd_epi16(pairs.high, input));
  }
  static FMTC_INLINE void StoreSums(int32_t* p, const Group& sums) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), sums.low);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p + 8), sums.high);
  }
  static FMTC_INLINE Bytes Finish(const Group& sums, const Rounding& rounding) {
    const __m128i count = _mm_cvtsi32_si128(static_cast<int>(rounding.shift));
    const __m256i words = _mm256_packs_epi32(_mm256_sra_epi32(sums.low, count), _mm256_sra_epi32(sums.high, count));
    const __m256i ordered = _mm256_permute4x64_epi64(words, 0xD8);
    return Limit(_mm_packs_epi16(_mm256_castsi256_si128(ordered), _mm256_extracti128_si256(ordered, 1)), rounding);
  }
};

}  // namespace
}  // namespace fmtc

#endif  // FMTC_SIMD_SUMS_AVX2_INL_H_
