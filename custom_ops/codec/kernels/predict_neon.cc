// Prediction with NEON, 16 components at a time.
#if defined(__aarch64__)
#include <cstring>
#include <tuple>

#include "codec/kernels/arm_kernels.h"
#include "simd/lookup_neon.h"
// Last: it includes nothing.
#include "codec/kernels/predict_rows-inl.h"

namespace fmtc {
namespace {

struct Vector16 {
  using Type = uint8x16_t;
  using Mask = uint8x16_t;
  static constexpr size_t kBytes = kVectorBytes;

  static FMTC_INLINE Mask Has(const uint8_t* codes, int predictor) {
    return vceqq_u8(vshrq_n_u8(vld1q_u8(codes), 4), Set(static_cast<char>(predictor)));
  }
  static FMTC_INLINE Type Load(const uint8_t* p) { return vld1q_u8(p); }
  static FMTC_INLINE void Store(uint8_t* p, Type value) { vst1q_u8(p, value); }
  static FMTC_INLINE Type Set(char value) { return vdupq_n_u8(static_cast<uint8_t>(value)); }
  static FMTC_INLINE Type Add(Type a, Type b) { return vaddq_u8(a, b); }
  static FMTC_INLINE Type Sub(Type a, Type b) { return vsubq_u8(a, b); }
  static FMTC_INLINE Type Xor(Type a, Type b) { return veorq_u8(a, b); }
  static FMTC_INLINE Type Min(Type a, Type b) { return vminq_u8(a, b); }
  static FMTC_INLINE Type Max(Type a, Type b) { return vmaxq_u8(a, b); }
  static FMTC_INLINE Type Keep(Mask mask, Type a) { return vandq_u8(mask, a); }
  static FMTC_INLINE Type Join(Type mask, Type a, Type b) { return vorrq_u8(vandq_u8(mask, a), b); }
  static FMTC_INLINE Type SelectAverage(Mask mask, Type base, Type a, Type b) {
    return vbslq_u8(mask, vrhaddq_u8(a, b), base);
  }
  static FMTC_INLINE Type SelectDifference(Mask mask, Type base, Type a, Type b) {
    return vbslq_u8(mask, vsubq_u8(a, b), base);
  }
};

}  // namespace

void ResidualsOfRowNeon(RowShape shape, const uint8_t* codes, const uint8_t* above, const uint8_t* indices,
                        uint8_t* residuals) {
  ProcessAnyRow<Vector16, Vector16, false>(shape, codes, above, indices, residuals);
}

void IndicesOfRowNeon(RowShape shape, const uint8_t* codes, const uint8_t* above, const uint8_t* residuals,
                      uint8_t* indices) {
  ProcessAnyRow<Vector16, Vector16, true>(shape, codes, above, residuals, indices);
}

}  // namespace fmtc
#endif
