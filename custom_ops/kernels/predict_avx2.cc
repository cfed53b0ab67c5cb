// Prediction with AVX2, 32 components at a time.
#if defined(__x86_64__)
#include <immintrin.h>

#include "kernels/lookup_avx2.h"
#include "kernels/target.h"
#include "kernels/x86_kernels.h"

FMTC_BEGIN_TARGET_AVX2

#include "kernels/predict_rows.h"

namespace fmtc {
namespace {

struct Vector32 {
  using Type = __m256i;
  using Mask = __m256i;
  static constexpr size_t kBytes = 32;

  static FMTC_INLINE Mask Active(size_t count) { return FirstBytes(count); }
  static FMTC_INLINE Mask Equal(const uint8_t* bytes, char value) {
    return _mm256_cmpeq_epi8(LoadVector(bytes), _mm256_set1_epi8(value));
  }
  static FMTC_INLINE Mask Not(Mask mask) { return _mm256_xor_si256(mask, _mm256_set1_epi8(-1)); }
  static FMTC_INLINE Type Load(const uint8_t* p, Mask) { return LoadVector(p); }
  static FMTC_INLINE void Store(uint8_t* p, Mask active, Type value, Type before) {
    StoreVector(p, _mm256_blendv_epi8(before, value, active));
  }
  static FMTC_INLINE Type Zero() { return _mm256_setzero_si256(); }
  static FMTC_INLINE Type Keep(Mask mask, Type a) { return _mm256_and_si256(mask, a); }
  static FMTC_INLINE Type Select(Mask mask, Type a, Type b) { return _mm256_blendv_epi8(b, a, mask); }
  static FMTC_INLINE Type Add(Type a, Type b) { return _mm256_add_epi8(a, b); }
  static FMTC_INLINE Type Sub(Type a, Type b) { return _mm256_sub_epi8(a, b); }
  static FMTC_INLINE Type Min(Type a, Type b) { return _mm256_min_epi8(a, b); }
  static FMTC_INLINE Type Max(Type a, Type b) { return _mm256_max_epi8(a, b); }
  // The instruction rounds up and is unsigned: complements and an offset of 128 on both sides.
  static FMTC_INLINE Type Average(Type a, Type b) {
    const __m256i flip = _mm256_set1_epi8(0x7F);
    return _mm256_xor_si256(_mm256_avg_epu8(_mm256_xor_si256(a, flip), _mm256_xor_si256(b, flip)), flip);
  }
};

}  // namespace

void ResidualsOfRowAvx2(RowShape shape, const uint8_t* codes, const uint8_t* above, uint8_t* row) {
  ProcessAnyRow<Vector32, false>(shape, codes, above, row);
}

void IndicesOfRowAvx2(RowShape shape, const uint8_t* codes, const uint8_t* above, uint8_t* row) {
  ProcessAnyRow<Vector32, true>(shape, codes, above, row);
}

}  // namespace fmtc

FMTC_END_TARGET
#endif
