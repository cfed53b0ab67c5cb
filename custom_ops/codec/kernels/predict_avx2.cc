// Prediction with AVX2, 32 components at a time.
#if defined(__x86_64__)
#include <immintrin.h>

#include <cstring>
#include <tuple>

#include "codec/kernels/x86_kernels.h"
#include "cpu/target.h"

FMTC_BEGIN_TARGET_AVX2

#include "codec/kernels/predict_rows-inl.h"
#include "simd/bytes_avx2-inl.h"

namespace fmtc {
namespace {

struct Vector32 : Bytes32 {
  using Mask = __m256i;

  static FMTC_INLINE Mask Has(const uint8_t* codes, int predictor) {
    const Type high = _mm256_and_si256(Load(codes), Set(0xF0));
    return _mm256_cmpeq_epi8(high, Set(static_cast<uint8_t>(predictor << 4)));
  }
  static FMTC_INLINE Type Sub(Type a, Type b) { return _mm256_sub_epi8(a, b); }
  static FMTC_INLINE Type Keep(Mask mask, Type a) { return _mm256_and_si256(mask, a); }
  static FMTC_INLINE Type Join(Type mask, Type a, Type b) { return _mm256_or_si256(_mm256_and_si256(mask, a), b); }
  static FMTC_INLINE Type SelectAverage(Mask mask, Type base, Type a, Type b) {
    return _mm256_blendv_epi8(base, _mm256_avg_epu8(a, b), mask);
  }
  static FMTC_INLINE Type SelectDifference(Mask mask, Type base, Type a, Type b) {
    return _mm256_blendv_epi8(base, _mm256_sub_epi8(a, b), mask);
  }
};

}  // namespace

void ResidualsOfRowAvx2(RowShape shape, const uint8_t* codes, const uint8_t* above, const uint8_t* indices,
                        uint8_t* residuals) {
  ProcessAnyRow<Vector32, Vector32, false>(shape, codes, above, indices, residuals);
}

void IndicesOfRowAvx2(RowShape shape, const uint8_t* codes, const uint8_t* above, const uint8_t* residuals,
                      uint8_t* indices) {
  ProcessAnyRow<Vector32, Vector32, true>(shape, codes, above, residuals, indices);
}

}  // namespace fmtc

FMTC_END_TARGET
#endif
