// Prediction with AVX-512, 64 components at a time.
#if defined(__x86_64__)
#include <immintrin.h>

#include <utility>

#include "kernels/target.h"
#include "kernels/x86_kernels.h"

FMTC_BEGIN_TARGET_AVX512

#include "kernels/predict_rows.h"

namespace fmtc {
namespace {

struct Vector64 {
  using Type = __m512i;
  using Mask = __mmask64;
  static constexpr size_t kBytes = 64;

  static FMTC_INLINE Mask Equal(const uint8_t* bytes, char value) {
    return _mm512_cmpeq_epi8_mask(_mm512_loadu_si512(bytes), _mm512_set1_epi8(value));
  }
  static FMTC_INLINE Type Load(const uint8_t* p) { return _mm512_loadu_si512(p); }
  static FMTC_INLINE void Store(uint8_t* p, Type value) { _mm512_storeu_si512(p, value); }
  static FMTC_INLINE Type Set(char value) { return _mm512_set1_epi8(value); }
  static FMTC_INLINE Type Add(Type a, Type b) { return _mm512_add_epi8(a, b); }
  static FMTC_INLINE Type Sub(Type a, Type b) { return _mm512_sub_epi8(a, b); }
  static FMTC_INLINE Type Xor(Type a, Type b) { return _mm512_xor_si512(a, b); }
  static FMTC_INLINE Type Min(Type a, Type b) { return _mm512_min_epu8(a, b); }
  static FMTC_INLINE Type Max(Type a, Type b) { return _mm512_max_epu8(a, b); }
  static FMTC_INLINE Type Keep(Mask mask, Type a) { return _mm512_maskz_mov_epi8(mask, a); }
  static FMTC_INLINE Type Join(Type mask, Type a, Type b) {
    constexpr int kAndOr = 0xEA;
    return _mm512_ternarylogic_epi64(mask, a, b, kAndOr);
  }
  static FMTC_INLINE Type SelectAverage(Mask mask, Type base, Type a, Type b) {
    return _mm512_mask_avg_epu8(base, mask, a, b);
  }
  static FMTC_INLINE Type SelectDifference(Mask mask, Type base, Type a, Type b) {
    return _mm512_mask_sub_epi8(base, mask, a, b);
  }
};

}  // namespace

void ResidualsOfRowAvx512(RowShape shape, const uint8_t* codes, const uint8_t* above, const uint8_t* indices,
                          uint8_t* residuals) {
  // Half a vector for pixels that it holds.
  if (shape.components <= 32) return ResidualsOfRowAvx2(shape, codes, above, indices, residuals);
  ProcessAnyRow<Vector64, false>(shape, codes, above, indices, residuals);
}

void IndicesOfRowAvx512(RowShape shape, const uint8_t* codes, const uint8_t* above, const uint8_t* residuals,
                        uint8_t* indices) {
  // Half a vector for pixels that it holds.
  if (shape.components <= 32) return IndicesOfRowAvx2(shape, codes, above, residuals, indices);
  ProcessAnyRow<Vector64, true>(shape, codes, above, residuals, indices);
}

}  // namespace fmtc

FMTC_END_TARGET
#endif
