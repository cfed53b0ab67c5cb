// A piece of 16 bytes for simd/transpose-inl.h.
#ifndef FMTC_SIMD_PIECES_NEON_INL_H_
#define FMTC_SIMD_PIECES_NEON_INL_H_

namespace fmtc {
namespace {

struct OnePiece {
  using Type = uint8x16_t;
  static constexpr size_t kBytes = 16;

  static FMTC_INLINE Type Load(const uint8_t* const* rows, size_t at) { return vld1q_u8(rows[0] + at); }
  static FMTC_INLINE void Store(uint8_t* p, Type value) { vst1q_u8(p, value); }
  static FMTC_INLINE Type UnpackLow(Type a, Type b) { return vzip1q_u8(a, b); }
  static FMTC_INLINE Type UnpackHigh(Type a, Type b) { return vzip2q_u8(a, b); }
};

}  // namespace
}  // namespace fmtc

#endif  // FMTC_SIMD_PIECES_NEON_INL_H_
