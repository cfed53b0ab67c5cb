// Sums of 16 output channels with NEON. Products are in products_neon-inl.h and dotprod_neon-inl.h.
#ifndef FMTC_REGION_KERNELS_SUMS_NEON_INL_H_
#define FMTC_REGION_KERNELS_SUMS_NEON_INL_H_

#include "region/kernels/words-inl.h"

namespace fmtc::region {
namespace {

// The bytes of 16 channels, and how to read and write those of a block.
using Bytes16 = uint8x16_t;

struct WholeBlock {
  FMTC_INLINE Bytes16 Load(const uint8_t* p) const { return vld1q_u8(p); }
  FMTC_INLINE void Store(uint8_t* p, Bytes16 bytes) const { vst1q_u8(p, bytes); }
};

struct PartOfBlock {
  int32_t count;

  explicit FMTC_INLINE PartOfBlock(int32_t channels) : count(channels) {}
  FMTC_INLINE Bytes16 Load(const uint8_t* p) const {
    if (count == kChannelBlock) return WholeBlock().Load(p);
    if (count < 8) return vcombine_u8(vcreate_u8(LoadFew(p, count)), vdup_n_u8(0));
    return vcombine_u8(vld1_u8(p), vcreate_u8(LoadFew(p + 8, count - 8)));
  }
  FMTC_INLINE void Store(uint8_t* p, Bytes16 bytes) const {
    if (count == kChannelBlock) return WholeBlock().Store(p, bytes);
    if (count < 8) return StoreFew(p, count, vgetq_lane_u64(vreinterpretq_u64_u8(bytes), 0));
    vst1_u8(p, vget_low_u8(bytes));
    StoreFew(p + 8, count - 8, vgetq_lane_u64(vreinterpretq_u64_u8(bytes), 1));
  }
};

// function(block) of fewer channels than a block has.
template <class Function>
FMTC_INLINE void WithPart(int32_t channels, const Function& function) {
  function(PartOfBlock(channels));
}

FMTC_INLINE Bytes16 Greater(Bytes16 a, Bytes16 b) { return vmaxq_u8(a, b); }
FMTC_INLINE Bytes16 Less(Bytes16 a, Bytes16 b) { return vminq_u8(a, b); }
FMTC_INLINE Bytes16 BytesOf(int32_t value) { return vdupq_n_u8(static_cast<uint8_t>(value)); }
FMTC_INLINE Bytes16 Flipped(Bytes16 bytes, Bytes16 bits) { return veorq_u8(bytes, bits); }
FMTC_INLINE Bytes16 Shuffled(Bytes16 bytes, Bytes16 places) { return vqtbl1q_u8(bytes, places); }

FMTC_INLINE int32x4_t OneWhere(uint32x4_t mask) { return vreinterpretq_s32_u32(vshrq_n_u32(mask, 31)); }

// Wrap around: to some compilers the intrinsics for signed numbers are the language's operators.
FMTC_INLINE int32x4_t Added(int32x4_t x, int32x4_t y) {
  return vreinterpretq_s32_u32(vaddq_u32(vreinterpretq_u32_s32(x), vreinterpretq_u32_s32(y)));
}
FMTC_INLINE int32x4_t Subtracted(int32x4_t x, int32x4_t y) {
  return vreinterpretq_s32_u32(vsubq_u32(vreinterpretq_u32_s32(x), vreinterpretq_u32_s32(y)));
}
FMTC_INLINE int32x4_t Multiplied(int32x4_t x, int32x4_t y) {
  return vreinterpretq_s32_u32(vmulq_u32(vreinterpretq_u32_s32(x), vreinterpretq_u32_s32(y)));
}

struct Sums {
  int32x4_t a, b, c, d;

  static FMTC_INLINE Sums Load(const int32_t* p) {
    return {vld1q_s32(p), vld1q_s32(p + 4), vld1q_s32(p + 8), vld1q_s32(p + 12)};
  }
  static FMTC_INLINE Sums Of(int32_t value) {
    const int32x4_t v = vdupq_n_s32(value);
    return {v, v, v, v};
  }
  static FMTC_INLINE Sums FromSigned(const int8_t* p) {
    const int8x16_t bytes = vld1q_s8(p);
    const int16x8_t front = vmovl_s8(vget_low_s8(bytes)), back = vmovl_high_s8(bytes);
    return {vmovl_s16(vget_low_s16(front)), vmovl_high_s16(front), vmovl_s16(vget_low_s16(back)), vmovl_high_s16(back)};
  }
  static FMTC_INLINE Sums FromUnsigned(Bytes16 bytes) {
    const int16x8_t front = vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(bytes)));
    const int16x8_t back = vreinterpretq_s16_u16(vmovl_high_u8(bytes));
    return {vmovl_s16(vget_low_s16(front)), vmovl_high_s16(front), vmovl_s16(vget_low_s16(back)), vmovl_high_s16(back)};
  }

  FMTC_INLINE void Store(int32_t* p) const {
    vst1q_s32(p, a);
    vst1q_s32(p + 4, b);
    vst1q_s32(p + 8, c);
    vst1q_s32(p + 12, d);
  }

  FMTC_INLINE Sums operator+(Sums o) const { return {Added(a, o.a), Added(b, o.b), Added(c, o.c), Added(d, o.d)}; }
  FMTC_INLINE Sums operator-(Sums o) const {
    return {Subtracted(a, o.a), Subtracted(b, o.b), Subtracted(c, o.c), Subtracted(d, o.d)};
  }
  FMTC_INLINE Sums operator*(Sums o) const {
    return {Multiplied(a, o.a), Multiplied(b, o.b), Multiplied(c, o.c), Multiplied(d, o.d)};
  }
  FMTC_INLINE Sums operator&(Sums o) const {
    return {vandq_s32(a, o.a), vandq_s32(b, o.b), vandq_s32(c, o.c), vandq_s32(d, o.d)};
  }
  FMTC_INLINE Sums operator<<(Sums o) const {
    return {vshlq_s32(a, o.a), vshlq_s32(b, o.b), vshlq_s32(c, o.c), vshlq_s32(d, o.d)};
  }
  // A shift by a negative number goes right.
  FMTC_INLINE Sums operator>>(Sums o) const { return *this << (Of(0) - o); }
  FMTC_INLINE Sums Max(Sums o) const {
    return {vmaxq_s32(a, o.a), vmaxq_s32(b, o.b), vmaxq_s32(c, o.c), vmaxq_s32(d, o.d)};
  }
  // 1 where this one is greater, else 0.
  FMTC_INLINE Sums IsGreater(Sums o) const {
    return {OneWhere(vcgtq_s32(a, o.a)), OneWhere(vcgtq_s32(b, o.b)), OneWhere(vcgtq_s32(c, o.c)),
            OneWhere(vcgtq_s32(d, o.d))};
  }
  // 1 where this one is at most the place of the sum, 0 to 15, else 0.
  FMTC_INLINE Sums IsAtMostIndex() const {
    static constexpr int8_t kBehind[kChannelBlock] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    return FromSigned(kBehind).IsGreater(*this);
  }
  // (this * o + 2^30) >> 31 in 64 bits; o is not negative.
  FMTC_INLINE Sums DoublingHighMultiply(Sums o) const {
    return {vqrdmulhq_s32(a, o.a), vqrdmulhq_s32(b, o.b), vqrdmulhq_s32(c, o.c), vqrdmulhq_s32(d, o.d)};
  }
};

// HalfUp with shifts of -1 or less, or multipliers of 0.
struct RoundedProduct {
  Sums multiplier, shift;

  FMTC_INLINE RoundedProduct(Sums multipliers, Sums shifts) : multiplier(multipliers), shift(shifts) {}
  FMTC_INLINE Sums operator()(Sums sums) const {
    const Sums high = sums.DoublingHighMultiply(multiplier);
    return {vrshlq_s32(high.a, shift.a), vrshlq_s32(high.b, shift.b), vrshlq_s32(high.c, shift.c),
            vrshlq_s32(high.d, shift.d)};
  }
};

FMTC_INLINE float32x4_t LoadFloats(const uint8_t* p) { return vreinterpretq_f32_u8(vld1q_u8(p)); }

// 16 values in float.
struct Floats {
  float32x4_t a, b, c, d;

  static FMTC_INLINE Floats Load(const uint8_t* p) {
    return {LoadFloats(p), LoadFloats(p + 16), LoadFloats(p + 32), LoadFloats(p + 48)};
  }
  static FMTC_INLINE Floats Of(float value) {
    const float32x4_t v = vdupq_n_f32(value);
    return {v, v, v, v};
  }
  static FMTC_INLINE Floats Of(Sums s) {
    return {vcvtq_f32_s32(s.a), vcvtq_f32_s32(s.b), vcvtq_f32_s32(s.c), vcvtq_f32_s32(s.d)};
  }
  FMTC_INLINE Floats operator*(Floats o) const {
    return {vmulq_f32(a, o.a), vmulq_f32(b, o.b), vmulq_f32(c, o.c), vmulq_f32(d, o.d)};
  }
  FMTC_INLINE Floats operator/(Floats o) const {
    return {vdivq_f32(a, o.a), vdivq_f32(b, o.b), vdivq_f32(c, o.c), vdivq_f32(d, o.d)};
  }
  // `limit` stands for what is no number, too.
  FMTC_INLINE Floats AtMost(float limit) const {
    const float32x4_t most = vdupq_n_f32(limit);
    return {vminnmq_f32(a, most), vminnmq_f32(b, most), vminnmq_f32(c, most), vminnmq_f32(d, most)};
  }
  // To nearest, ties to even; the end of int32 that is next where that is no int32.
  FMTC_INLINE Sums Rounded() const {
    return {vcvtnq_s32_f32(a), vcvtnq_s32_f32(b), vcvtnq_s32_f32(c), vcvtnq_s32_f32(d)};
  }
  FMTC_INLINE Sums Truncated() const {
    return {vcvtq_s32_f32(a), vcvtq_s32_f32(b), vcvtq_s32_f32(c), vcvtq_s32_f32(d)};
  }
};

constexpr int32_t kWideChannels = 0;  // no such windows

// `kPackSums` sums as bytes, zero point added and clamped; they may be any int32.
constexpr int kPackSums = 2;

struct ByteRange {
  int16x8_t zero;
  uint8x16_t low, high;

  explicit FMTC_INLINE ByteRange(const OutputRange& range)
      : zero(vdupq_n_s16(static_cast<int16_t>(range.zero))), low(BytesOf(range.low)), high(BytesOf(range.high)) {}
};

struct Packed {
  Bytes16 v[kPackSums];

  // Every step saturates, so that what is beyond 16 bits comes out as the end of the range that it is beyond.
  static FMTC_INLINE uint8x8_t Half(int32x4_t a, int32x4_t b, int16x8_t zero) {
    return vqmovun_s16(vqaddq_s16(vqmovn_high_s32(vqmovn_s32(a), b), zero));
  }
  FMTC_INLINE Packed(const Sums (&s)[kPackSums], const ByteRange& range) {
    FMTC_UNROLL for (int i = 0; i < kPackSums; ++i) {
      const Bytes16 bytes = vcombine_u8(Half(s[i].a, s[i].b, range.zero), Half(s[i].c, s[i].d, range.zero));
      v[i] = vminq_u8(vmaxq_u8(bytes, range.low), range.high);
    }
  }
  // All bytes, one sum's behind the other's.
  FMTC_INLINE void Store(uint8_t* p) const {
    FMTC_UNROLL for (int i = 0; i < kPackSums; ++i) vst1q_u8(p + i * kChannelBlock, v[i]);
  }
  // Those of pixels of a sum each, `count` pixels.
  template <int kSums>
  FMTC_INLINE void StorePixels(uint8_t* p, ptrdiff_t pixel_bytes, int count) const {
    static_assert(kSums == 1);
    FMTC_UNROLL for (int i = 0; i < kPackSums; ++i) {
      if (i < count) vst1q_u8(p + i * pixel_bytes, v[i]);
    }
  }
  FMTC_INLINE void Split(Bytes16 (&pieces)[kPackSums]) const {
    FMTC_UNROLL for (int i = 0; i < kPackSums; ++i) pieces[i] = v[i];
  }
};

// Sums of bytes.
struct ByteSums {
  uint32x4_t v;

  FMTC_INLINE ByteSums() : v(vdupq_n_u32(0)) {}

  FMTC_INLINE void Add(const uint8_t* p, int32_t count) {
    for (int32_t i = 0; i < count; i += kChannelBlock) {
      const int32_t left = count - i;
      const Bytes16 bytes = left >= kChannelBlock ? WholeBlock().Load(p + i) : PartOfBlock(left).Load(p + i);
      v = vpadalq_u16(v, vpaddlq_u8(bytes));
    }
  }
  FMTC_INLINE uint32_t Total() const { return vaddvq_u32(v); }
};

// A table of a byte for each byte, as quarters: a look-up outside its quarter keeps what the others have found.
struct Table256 {
  static constexpr ptrdiff_t kBytes = 16;  // at a time
  uint8x16x4_t quarters[4];

  explicit FMTC_INLINE Table256(const uint8_t* table) {
    for (int i = 0; i < 4; ++i) {
      const uint8_t* p = table + 64 * i;
      quarters[i] = {{vld1q_u8(p), vld1q_u8(p + 16), vld1q_u8(p + 32), vld1q_u8(p + 48)}};
    }
  }
  FMTC_INLINE void LookUp(const uint8_t* in, uint8_t* out) const {
    const uint8x16_t index = vld1q_u8(in);
    uint8x16_t found = vqtbl4q_u8(quarters[0], index);
    found = vqtbx4q_u8(found, quarters[1], vsubq_u8(index, vdupq_n_u8(64)));
    found = vqtbx4q_u8(found, quarters[2], vsubq_u8(index, vdupq_n_u8(128)));
    vst1q_u8(out, vqtbx4q_u8(found, quarters[3], vsubq_u8(index, vdupq_n_u8(192))));
  }
};

// Tiles of convolutions.
constexpr int kTileBlocks = 1;
constexpr int TileColumns(int) { return 4; }
constexpr int TileBlocks(int) { return kTileBlocks; }
constexpr int kBlocksOfColumn = 4;   // where there is one column only
constexpr int kHalfTileColumns = 0;  // no such tiles
constexpr int kSlidingBlocks = 0;    // no such tiles

}  // namespace
}  // namespace fmtc::region

#include "region/kernels/pixels-inl.h"

#endif  // FMTC_REGION_KERNELS_SUMS_NEON_INL_H_
