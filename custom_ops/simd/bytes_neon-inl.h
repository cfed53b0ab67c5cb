// 16 bytes, and their words, for codec/kernels/quantize_rows-inl.h.
#ifndef FMTC_SIMD_BYTES_NEON_INL_H_
#define FMTC_SIMD_BYTES_NEON_INL_H_

namespace fmtc {
namespace {

struct Bytes16 {
  using Type = uint8x16_t;
  static constexpr size_t kBytes = 16;

  static FMTC_INLINE Type Load(const uint8_t* p) { return vld1q_u8(p); }
  static FMTC_INLINE void Store(uint8_t* p, Type a) { vst1q_u8(p, a); }
  static FMTC_INLINE Type Set(uint8_t byte) { return vdupq_n_u8(byte); }
  static FMTC_INLINE Type Add(Type a, Type b) { return vaddq_u8(a, b); }
  static FMTC_INLINE Type Min(Type a, Type b) { return vminq_u8(a, b); }
  static FMTC_INLINE Type Max(Type a, Type b) { return vmaxq_u8(a, b); }
  static FMTC_INLINE Type Xor(Type a, Type b) { return veorq_u8(a, b); }
  static FMTC_INLINE Type Difference(Type a, Type b) { return vabdq_u8(a, b); }
  static FMTC_INLINE Type SelectBelow(Type a, Type b, Type c, Type d) { return vbslq_u8(vcltq_u8(a, b), c, d); }
  static FMTC_INLINE Type NegateBelow(Type a, Type b, Type c) {
    const Type below = vcltq_u8(a, b);
    return vsubq_u8(veorq_u8(c, below), below);
  }

  struct Words {
    uint16x8_t low, high;
  };
  static FMTC_INLINE Words LoadWords(const void* p) {
    const uint8_t* const bytes = static_cast<const uint8_t*>(p);
    return {vreinterpretq_u16_u8(vld1q_u8(bytes)), vreinterpretq_u16_u8(vld1q_u8(bytes + 16))};
  }
  static FMTC_INLINE Words Unpack(Type low, Type high) {
    return {vreinterpretq_u16_u8(vzip1q_u8(low, high)), vreinterpretq_u16_u8(vzip2q_u8(low, high))};
  }
  static FMTC_INLINE Type Pack(Words a) {
    return vcombine_u8(vqmovun_s16(vreinterpretq_s16_u16(a.low)), vqmovun_s16(vreinterpretq_s16_u16(a.high)));
  }
  static FMTC_INLINE Type PackSigned(Words a) {
    return vreinterpretq_u8_s8(
        vcombine_s8(vqmovn_s16(vreinterpretq_s16_u16(a.low)), vqmovn_s16(vreinterpretq_s16_u16(a.high))));
  }
  static FMTC_INLINE Words AddWords(Words a, Words b) { return {vaddq_u16(a.low, b.low), vaddq_u16(a.high, b.high)}; }
  static FMTC_INLINE Words Average(Words a, Words b) {
    return {vrhaddq_u16(a.low, b.low), vrhaddq_u16(a.high, b.high)};
  }
  static FMTC_INLINE uint16x8_t MulHigh(uint16x8_t a, uint16x8_t b) {
    const uint32x4_t low = vmull_u16(vget_low_u16(a), vget_low_u16(b));
    return vuzp2q_u16(vreinterpretq_u16_u32(low), vreinterpretq_u16_u32(vmull_high_u16(a, b)));
  }
  static FMTC_INLINE Words MulHigh(Words a, Words b) { return {MulHigh(a.low, b.low), MulHigh(a.high, b.high)}; }
  template <int kBits>
  static FMTC_INLINE Words Shift(Words a) {
    return {vshlq_u16(a.low, vdupq_n_s16(kBits)), vshlq_u16(a.high, vdupq_n_s16(kBits))};
  }
};

}  // namespace
}  // namespace fmtc

#endif  // FMTC_SIMD_BYTES_NEON_INL_H_
