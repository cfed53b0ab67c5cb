// Prediction with AVX-512, 64 components at a time.
#if defined(__x86_64__)
#include <immintrin.h>

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

  static FMTC_INLINE Mask Active(size_t count) { return count < 64 ? (Mask{1} << count) - 1 : ~Mask{0}; }
  static FMTC_INLINE Mask Equal(const uint8_t* bytes, char value) {
    return _mm512_cmpeq_epi8_mask(_mm512_loadu_si512(bytes), _mm512_set1_epi8(value));
  }
  static FMTC_INLINE Mask Not(Mask mask) { return ~mask; }
  static FMTC_INLINE Type Load(const uint8_t* p, Mask) { return _mm512_loadu_si512(p); }
  // Masked stores of bytes are slow on some processors.
  static FMTC_INLINE void Store(uint8_t* p, Mask active, Type value, Type before) {
    _mm512_storeu_si512(p, _mm512_mask_mov_epi8(before, active, value));
  }
  static FMTC_INLINE Type Zero() { return _mm512_setzero_si512(); }
  static FMTC_INLINE Type Keep(Mask mask, Type a) { return _mm512_maskz_mov_epi8(mask, a); }
  static FMTC_INLINE Type Select(Mask mask, Type a, Type b) { return _mm512_mask_mov_epi8(b, mask, a); }
  static FMTC_INLINE Type Add(Type a, Type b) { return _mm512_add_epi8(a, b); }
  static FMTC_INLINE Type Sub(Type a, Type b) { return _mm512_sub_epi8(a, b); }
  static FMTC_INLINE Type Min(Type a, Type b) { return _mm512_min_epi8(a, b); }
  static FMTC_INLINE Type Max(Type a, Type b) { return _mm512_max_epi8(a, b); }
  // The instruction rounds up and is unsigned: complements and an offset of 128 on both sides.
  static FMTC_INLINE Type Average(Type a, Type b) {
    const __m512i flip = _mm512_set1_epi8(0x7F);
    return _mm512_xor_si512(_mm512_avg_epu8(_mm512_xor_si512(a, flip), _mm512_xor_si512(b, flip)), flip);
  }
};

}  // namespace

void ResidualsOfRowAvx512(RowShape shape, const uint8_t* codes, const uint8_t* above, uint8_t* row) {
  ProcessAnyRow<Vector64, false>(shape, codes, above, row);
}

void IndicesOfRowAvx512(RowShape shape, const uint8_t* codes, const uint8_t* above, uint8_t* row) {
  ProcessAnyRow<Vector64, true>(shape, codes, above, row);
}

}  // namespace fmtc

FMTC_END_TARGET
#endif
