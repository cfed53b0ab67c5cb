// Prediction with AVX-512, 64 components at a time.
#if defined(__x86_64__)
#include <immintrin.h>

#include <cstring>
#include <tuple>

#include "codec/kernels/x86_kernels.h"
#include "cpu/target.h"

FMTC_BEGIN_TARGET_AVX512

#include "codec/kernels/predict_rows-inl.h"
#include "simd/bytes_avx2-inl.h"
#include "simd/bytes_avx512-inl.h"

namespace fmtc {
namespace {

struct Vector64 : Bytes64 {
  using Mask = __mmask64;

  static FMTC_INLINE Mask Has(const uint8_t* codes, int predictor) {
    const Type high = _mm512_and_si512(Load(codes), Set(0xF0));
    return _mm512_cmpeq_epi8_mask(high, Set(static_cast<uint8_t>(predictor << 4)));
  }
  static FMTC_INLINE Type Sub(Type a, Type b) { return _mm512_sub_epi8(a, b); }
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

struct Vector32 : Bytes32 {
  using Mask = __mmask32;

  static FMTC_INLINE Mask Has(const uint8_t* codes, int predictor) {
    const Type high = _mm256_and_si256(Load(codes), Set(0xF0));
    return _mm256_cmpeq_epi8_mask(high, Set(static_cast<uint8_t>(predictor << 4)));
  }
  static FMTC_INLINE Type Sub(Type a, Type b) { return _mm256_sub_epi8(a, b); }
  static FMTC_INLINE Type Keep(Mask mask, Type a) { return _mm256_maskz_mov_epi8(mask, a); }
  static FMTC_INLINE Type Join(Type mask, Type a, Type b) {
    constexpr int kAndOr = 0xEA;
    return _mm256_ternarylogic_epi64(mask, a, b, kAndOr);
  }
  static FMTC_INLINE Type SelectAverage(Mask mask, Type base, Type a, Type b) {
    return _mm256_mask_avg_epu8(base, mask, a, b);
  }
  static FMTC_INLINE Type SelectDifference(Mask mask, Type base, Type a, Type b) {
    return _mm256_mask_sub_epi8(base, mask, a, b);
  }
};

}  // namespace

void ResidualsOfRowAvx512(RowShape shape, const uint8_t* codes, const uint8_t* above, const uint8_t* indices,
                          uint8_t* residuals) {
  ProcessAnyRow<Vector64, Vector32, false>(shape, codes, above, indices, residuals);
}

void IndicesOfRowAvx512(RowShape shape, const uint8_t* codes, const uint8_t* above, const uint8_t* residuals,
                        uint8_t* indices) {
  ProcessAnyRow<Vector64, Vector32, true>(shape, codes, above, residuals, indices);
}

}  // namespace fmtc

FMTC_END_TARGET
#endif
