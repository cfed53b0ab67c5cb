// Prediction with NEON, 16 components at a time.
#if defined(__aarch64__)
#include "kernels/arm_kernels.h"
#include "kernels/lookup_neon.h"
#include "kernels/predict_rows.h"

namespace fmtc {
namespace {

FMTC_INLINE int8x16_t Signed(uint8x16_t a) { return vreinterpretq_s8_u8(a); }
FMTC_INLINE uint8x16_t Unsigned(int8x16_t a) { return vreinterpretq_u8_s8(a); }

struct Vector16 {
  using Type = uint8x16_t;
  using Mask = uint8x16_t;
  static constexpr size_t kBytes = kVectorBytes;

  static FMTC_INLINE Mask Active(size_t count) { return FirstBytes(count); }
  static FMTC_INLINE Mask Equal(const uint8_t* bytes, char value) {
    return vceqq_u8(vld1q_u8(bytes), vdupq_n_u8(static_cast<uint8_t>(value)));
  }
  static FMTC_INLINE Mask Not(Mask mask) { return vmvnq_u8(mask); }
  static FMTC_INLINE Type Load(const uint8_t* p, Mask) { return vld1q_u8(p); }
  static FMTC_INLINE void Store(uint8_t* p, Mask active, Type value, Type before) {
    vst1q_u8(p, vbslq_u8(active, value, before));
  }
  static FMTC_INLINE Type Zero() { return vdupq_n_u8(0); }
  static FMTC_INLINE Type Keep(Mask mask, Type a) { return vandq_u8(mask, a); }
  static FMTC_INLINE Type Select(Mask mask, Type a, Type b) { return vbslq_u8(mask, a, b); }
  static FMTC_INLINE Type Add(Type a, Type b) { return vaddq_u8(a, b); }
  static FMTC_INLINE Type Sub(Type a, Type b) { return vsubq_u8(a, b); }
  static FMTC_INLINE Type Min(Type a, Type b) { return Unsigned(vminq_s8(Signed(a), Signed(b))); }
  static FMTC_INLINE Type Max(Type a, Type b) { return Unsigned(vmaxq_s8(Signed(a), Signed(b))); }
  static FMTC_INLINE Type Average(Type a, Type b) { return Unsigned(vhaddq_s8(Signed(a), Signed(b))); }
};

}  // namespace

void ResidualsOfRowNeon(RowShape shape, const uint8_t* codes, const uint8_t* above, uint8_t* row) {
  ProcessAnyRow<Vector16, false>(shape, codes, above, row);
}

void IndicesOfRowNeon(RowShape shape, const uint8_t* codes, const uint8_t* above, uint8_t* row) {
  ProcessAnyRow<Vector16, true>(shape, codes, above, row);
}

}  // namespace fmtc
#endif
