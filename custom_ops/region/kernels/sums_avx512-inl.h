// Sums of 16 output channels with AVX-512. Included where FMTC_BEGIN_TARGET_AVX512 holds.
#ifndef FMTC_REGION_KERNELS_SUMS_AVX512_INL_H_
#define FMTC_REGION_KERNELS_SUMS_AVX512_INL_H_

namespace fmtc::region {
namespace {

FMTC_INLINE __mmask16 FirstOf16(int32_t count) { return static_cast<__mmask16>((1u << count) - 1); }

struct Sums {
  __m512i v;

  static FMTC_INLINE Sums Load(const int32_t* p) { return {_mm512_loadu_si512(p)}; }
  static FMTC_INLINE Sums Of(int32_t value) { return {_mm512_set1_epi32(value)}; }
  static FMTC_INLINE Sums FromSigned(const int8_t* p) {
    return {_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
  }
  static FMTC_INLINE Sums FromUnsigned(__m128i bytes) { return {_mm512_cvtepu8_epi32(bytes)}; }

  FMTC_INLINE void Store(int32_t* p) const { _mm512_storeu_si512(p, v); }

  FMTC_INLINE Sums operator+(Sums o) const { return {_mm512_add_epi32(v, o.v)}; }
  FMTC_INLINE Sums operator-(Sums o) const { return {_mm512_sub_epi32(v, o.v)}; }
  FMTC_INLINE Sums operator*(Sums o) const { return {_mm512_mullo_epi32(v, o.v)}; }
  FMTC_INLINE Sums operator&(Sums o) const { return {_mm512_and_si512(v, o.v)}; }
  FMTC_INLINE Sums operator<<(Sums o) const { return {_mm512_sllv_epi32(v, o.v)}; }
  FMTC_INLINE Sums operator>>(Sums o) const { return {_mm512_srav_epi32(v, o.v)}; }
  FMTC_INLINE Sums Max(Sums o) const { return {_mm512_max_epi32(v, o.v)}; }
  // 1 where this one is greater, else 0.
  FMTC_INLINE Sums IsGreater(Sums o) const { return {_mm512_maskz_set1_epi32(_mm512_cmpgt_epi32_mask(v, o.v), 1)}; }

  // 1 where this one is at most the place of the sum, 0 to 15, else 0.
  FMTC_INLINE Sums IsAtMostIndex() const {
    const __m512i places = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    return {_mm512_maskz_set1_epi32(_mm512_cmple_epi32_mask(v, places), 1)};
  }

  // (this * o + 2^30) >> 31 in 64 bits; o is not negative.
  FMTC_INLINE Sums DoublingHighMultiply(Sums o) const {
    const __m512i nudge = _mm512_set1_epi64(int64_t{1} << 30);
    const __m512i even = _mm512_add_epi64(_mm512_mul_epi32(v, o.v), nudge);
    const __m512i odd = _mm512_add_epi64(_mm512_mul_epi32(_mm512_srli_epi64(v, 32), _mm512_srli_epi64(o.v, 32)), nudge);
    return {_mm512_mask_blend_epi32(0xAAAA, _mm512_srli_epi64(even, 31), _mm512_slli_epi64(odd, 1))};
  }
};

// HalfUp with shifts s of -1 or less, or multipliers m of 0. With e = -s its two roundings come to one,
//   floor((sum * m + 2^30 + 2^(30 + e)) / 2^(31 + e)),
// of which the division by 2^32 takes no instruction for half of the sums.
struct RoundedProduct {
  Sums multiplier, odd_multiplier, shift;
  __m512i even_addend, odd_addend;

  FMTC_INLINE RoundedProduct(Sums multipliers, Sums shifts) : multiplier(multipliers) {
    const __m512i right = _mm512_sub_epi32(_mm512_setzero_si512(), shifts.v);
    odd_multiplier = {_mm512_srli_epi64(multipliers.v, 32)};
    shift = {_mm512_sub_epi32(right, _mm512_set1_epi32(1))};
    even_addend = Addend(_mm512_srli_epi64(_mm512_slli_epi64(right, 32), 32));
    odd_addend = Addend(_mm512_srli_epi64(right, 32));
  }
  static FMTC_INLINE __m512i Addend(__m512i right) {
    const __m512i half = _mm512_set1_epi64(int64_t{1} << 30);
    return _mm512_add_epi64(half, _mm512_sllv_epi64(half, right));
  }
  FMTC_INLINE Sums operator()(Sums sums) const {
    const __m512i even = _mm512_add_epi64(_mm512_mul_epi32(sums.v, multiplier.v), even_addend);
    const __m512i odd_products = _mm512_mul_epi32(_mm512_srli_epi64(sums.v, 32), odd_multiplier.v);
    const __m512i odd = _mm512_add_epi64(odd_products, odd_addend);
    return Sums{_mm512_mask_blend_epi32(0xAAAA, _mm512_srli_epi64(even, 32), odd)} >> shift;
  }
};

// 16 values in float.
struct Floats {
  __m512 v;

  static FMTC_INLINE Floats Load(const uint8_t* p) { return {_mm512_loadu_ps(p)}; }
  static FMTC_INLINE Floats Of(float value) { return {_mm512_set1_ps(value)}; }
  static FMTC_INLINE Floats Of(Sums sums) { return {_mm512_cvtepi32_ps(sums.v)}; }
  FMTC_INLINE Floats operator*(Floats o) const { return {_mm512_mul_ps(v, o.v)}; }
  FMTC_INLINE Floats operator/(Floats o) const { return {_mm512_div_ps(v, o.v)}; }
  // `limit` stands for what is no number, too.
  FMTC_INLINE Floats AtMost(float limit) const { return {_mm512_min_ps(v, _mm512_set1_ps(limit))}; }
  // To nearest, ties to even; INT32_MIN where that is no int32.
  FMTC_INLINE Sums Rounded() const { return {_mm512_cvtps_epi32(v)}; }
  FMTC_INLINE Sums Truncated() const { return {_mm512_cvttps_epi32(v)}; }
};

// The bytes of 16 channels, and how to read and write those of a block.
using Bytes16 = __m128i;

struct WholeBlock {
  FMTC_INLINE Bytes16 Load(const uint8_t* p) const { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); }
  FMTC_INLINE void Store(uint8_t* p, Bytes16 bytes) const { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), bytes); }
};

struct PartOfBlock {
  __mmask16 mask;

  explicit FMTC_INLINE PartOfBlock(int32_t count) : mask(FirstOf16(count)) {}
  FMTC_INLINE Bytes16 Load(const uint8_t* p) const { return _mm_maskz_loadu_epi8(mask, p); }
  FMTC_INLINE void Store(uint8_t* p, Bytes16 bytes) const { _mm_mask_storeu_epi8(p, mask, bytes); }
};

// function(block) of fewer channels than a block has.
template <class Function>
FMTC_INLINE void WithPart(int32_t channels, const Function& function) {
  function(PartOfBlock(channels));
}

FMTC_INLINE Bytes16 Greater(Bytes16 a, Bytes16 b) { return _mm_max_epu8(a, b); }
FMTC_INLINE Bytes16 Less(Bytes16 a, Bytes16 b) { return _mm_min_epu8(a, b); }
FMTC_INLINE Bytes16 BytesOf(int32_t value) { return _mm_set1_epi8(static_cast<char>(value)); }
FMTC_INLINE Bytes16 Flipped(Bytes16 bytes, Bytes16 bits) { return _mm_xor_si128(bytes, bits); }

// `kPackSums` sums as bytes, zero point added and clamped; they may be any int32.
constexpr int kPackSums = 4;

struct ByteRange {
  bool is_whole;    // zero point 0 and all bytes, as behind a ReLU: packing does it
  bool is_clamped;  // not all bytes
  __m512i zero, low, high;

  explicit FMTC_INLINE ByteRange(const OutputRange& range)
      : is_whole(range.zero == 0 && range.low == 0 && range.high == 255),
        is_clamped(range.low > 0 || range.high < 255),
        zero(_mm512_set1_epi16(static_cast<int16_t>(range.zero))),
        low(_mm512_set1_epi8(static_cast<char>(range.low))),
        high(_mm512_set1_epi8(static_cast<char>(range.high))) {}
};

struct Packed {
  __m512i v;

  // Every step saturates, so that what is beyond 16 bits comes out as the end of the range that it is beyond.
  FMTC_INLINE Packed(const Sums (&s)[kPackSums], const ByteRange& range) {
    const __m512i places = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    v = _mm512_permutexvar_epi32(places, InLanes(s, range));
  }
  // Each lane has the bytes of its part of each sum.
  static FMTC_INLINE __m512i InLanes(const Sums (&s)[kPackSums], const ByteRange& range) {
    __m512i front = _mm512_packs_epi32(s[0].v, s[1].v), back = _mm512_packs_epi32(s[2].v, s[3].v);
    if (!range.is_whole) front = _mm512_adds_epi16(front, range.zero), back = _mm512_adds_epi16(back, range.zero);
    __m512i bytes = _mm512_packus_epi16(front, back);
    if (range.is_clamped) bytes = _mm512_min_epu8(_mm512_max_epu8(bytes, range.low), range.high);
    return bytes;
  }
  // All bytes, one sum's behind the other's.
  FMTC_INLINE void Store(uint8_t* p) const { _mm512_storeu_si512(p, v); }
  // Those of pixels of so many sums each, `count` pixels.
  template <int kSums>
  FMTC_INLINE void StorePixels(uint8_t* p, ptrdiff_t pixel_bytes, int count) const {
    if (kSums == 4 || (kSums < 3 && count == kPackSums / kSums && pixel_bytes == kSums * kChannelBlock)) {
      Store(p);
    } else if constexpr (kSums == 2) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_castsi512_si256(v));
      if (count < 2) return;
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(p + pixel_bytes), _mm512_extracti64x4_epi64(v, 1));
    } else {
      Bytes16 pieces[kPackSums];
      Split(pieces);
      FMTC_UNROLL for (int i = 0; i < kPackSums / kSums * kSums; ++i) {
        if (i < count * kSums) WholeBlock().Store(p + i / kSums * pixel_bytes + i % kSums * kChannelBlock, pieces[i]);
      }
    }
  }
  FMTC_INLINE void Split(Bytes16 (&pieces)[kPackSums]) const {
    pieces[0] = _mm512_castsi512_si128(v);
    pieces[1] = _mm512_extracti32x4_epi32(v, 1);
    pieces[2] = _mm512_extracti32x4_epi32(v, 2);
    pieces[3] = _mm512_extracti32x4_epi32(v, 3);
  }
};

// Products of a convolution's step: 4 values of x, the same for all channels, and 4 weights for each.
// A tile has as many sums as keep the unit busy until the first one's product is there, and short rows get there with
// more blocks side by side.
constexpr int kTileBlocks = 4;
constexpr int TileColumns(int blocks) { return blocks == 1 ? 16 : blocks == 2 ? 8 : 6; }
constexpr int TileBlocks(int columns) { return columns <= TileColumns(kTileBlocks) ? kTileBlocks : 2; }
constexpr int kBlocksOfColumn = 8;  // where there is one column only
constexpr int kHalfTileColumns = 16;
constexpr int kSlidingBlocks = 2;

constexpr int32_t kWideChannels = 64;  // of depthwise windows

struct StepValues {
  __m512i v;

  static FMTC_INLINE StepValues Of(uint32_t word) { return {_mm512_set1_epi32(static_cast<int32_t>(word))}; }
};

struct StepWeights {
  __m512i v;

  static FMTC_INLINE StepWeights Load(const int8_t* p) { return {_mm512_loadu_si512(p)}; }
};

// For the intrinsic GCC 12 moves sums from one register to another and back.
FMTC_INLINE Sums AddDotProducts(Sums sums, __m512i x, __m512i w) {
  __asm__("vpdpbusd %2, %1, %0" : "+v"(sums.v) : "v"(x), "v"(w));
  return sums;
}

FMTC_INLINE Sums AddProducts(Sums sums, const StepValues& x, const StepWeights& w) {
  return AddDotProducts(sums, x.v, w.v);
}

// Sums of bytes.
struct ByteSums {
  __m512i v;

  FMTC_INLINE ByteSums() : v(_mm512_setzero_si512()) {}

  FMTC_INLINE void Add(const uint8_t* p, int32_t count) {
    int32_t i = 0;
    for (; i + 64 <= count; i += 64) AddVector(_mm512_loadu_si512(p + i));
    if (i < count) AddVector(_mm512_maskz_loadu_epi8(_bzhi_u64(~uint64_t{0}, static_cast<uint32_t>(count - i)), p + i));
  }
  FMTC_INLINE void AddVector(__m512i bytes) { v = _mm512_add_epi64(v, _mm512_sad_epu8(bytes, _mm512_setzero_si512())); }
  FMTC_INLINE uint32_t Total() const { return static_cast<uint32_t>(_mm512_reduce_add_epi64(v)); }
};

// Values of `kRowsTogether` kernel rows in one column, beside each other for each of 16 channels; and weights likewise.
constexpr int kRowsTogether = 4;

struct RowsValues {
  __m512i v;

  static FMTC_INLINE __m512i Interleave(__m512i rows) {
    const __m512i spread = _mm512_setr_epi32(0x30201000, 0x31211101, 0x32221202, 0x33231303, 0x34241404, 0x35251505,
                                             0x36261606, 0x37271707, 0x38281808, 0x39291909, 0x3A2A1A0A, 0x3B2B1B0B,
                                             0x3C2C1C0C, 0x3D2D1D0D, 0x3E2E1E0E, 0x3F2F1F0F);
    return _mm512_permutexvar_epi8(spread, rows);
  }
  // Of kRows rows; zeros for the others.
  template <int kRows, class Block>
  static FMTC_INLINE RowsValues Load(const Block& block, const uint8_t* const* rows) {
    __m512i v = _mm512_zextsi128_si512(block.Load(rows[0]));
    if (kRows > 1) v = _mm512_inserti32x4(v, block.Load(rows[1]), 1);
    if (kRows > 2) v = _mm512_inserti32x4(v, block.Load(rows[2]), 2);
    if (kRows > 3) v = _mm512_inserti32x4(v, block.Load(rows[3]), 3);
    return {Interleave(v)};
  }
};

// Weights less their zero point as a sum of parts of 8 bits.
constexpr int kMaxWeightParts = 3;

struct RowsWeights {
  __m512i v;

  // Of kRows rows, zeros for the others.
  template <int kRows>
  static FMTC_INLINE RowsWeights LoadPlain(const uint8_t* const* rows) {
    return {RowsValues::Load<kRows>(WholeBlock(), rows).v};
  }
  // Likewise, less their zero point. Returns the number of parts.
  template <int kRows>
  static FMTC_INLINE int Load(const uint8_t* const* rows, int32_t zero, RowsWeights* parts) {
    const __m512i weights = LoadPlain<kRows>(rows).v;
    parts[0] = {weights};
    if (zero == 0) return 1;
    constexpr __mmask64 kReal = 0x1111111111111111u * ((1u << kRows) - 1);
    const __m512i zeros = _mm512_set1_epi8(static_cast<char>(zero));
    const __m512i saturated = _mm512_maskz_subs_epi8(kReal, weights, zeros);
    // -127 to 128, which wraps around.
    const __m512i rest = _mm512_maskz_sub_epi8(kReal, _mm512_sub_epi8(weights, zeros), saturated);
    const __mmask64 is128 = _mm512_cmpeq_epi8_mask(rest, _mm512_set1_epi8(-128));
    parts[0] = {saturated};
    parts[1] = {_mm512_mask_set1_epi8(rest, is128, 127)};
    parts[2] = {_mm512_maskz_set1_epi8(is128, 1)};
    if (is128 != 0) return 3;
    return _mm512_test_epi8_mask(rest, rest) != 0 ? 2 : 1;
  }
};

FMTC_INLINE Sums AddProducts(Sums sums, const RowsValues& x, const RowsWeights& w) {
  return AddDotProducts(sums, x.v, w.v);
}

// A table of a byte for each byte.
struct Table256 {
  static constexpr ptrdiff_t kBytes = 64;  // at a time
  __m512i parts[4];

  explicit FMTC_INLINE Table256(const uint8_t* table) {
    for (int i = 0; i < 4; ++i) parts[i] = _mm512_loadu_si512(table + 64 * i);
  }
  FMTC_INLINE void LookUp(const uint8_t* in, uint8_t* out) const {
    const __m512i index = _mm512_loadu_si512(in);
    const __m512i low = _mm512_permutex2var_epi8(parts[0], index, parts[1]);
    const __m512i high = _mm512_permutex2var_epi8(parts[2], index, parts[3]);
    _mm512_storeu_si512(out, _mm512_mask_blend_epi8(_mm512_movepi8_mask(index), low, high));
  }
};

// Pixels of 1 to 4 bytes that become pixels of 4. Returns how many it has moved. Of the last pixel only its channels
// are there to be read.
FMTC_INLINE int32_t WidenPixels(const PixelRow& row) {
  constexpr int32_t kPixels = 16;
  const int32_t in_bytes = static_cast<int32_t>(row.in_pixel_bytes), columns = row.columns;
  const uint8_t* const in = row.in;
  uint8_t* const out = row.out;
  const __m512i flip = _mm512_set1_epi8(static_cast<char>(row.flip));
  const __m512i places = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const __m512i first = _mm512_mullo_epi32(places, _mm512_set1_epi32(in_bytes * 0x01010101));
  const __m512i index = _mm512_add_epi32(first, _mm512_set1_epi32(0x03020100));
  const __mmask64 read = _bzhi_u64(~uint64_t{0}, static_cast<uint32_t>(kPixels * in_bytes));
  int32_t x = 0;
  for (; x + kPixels < columns; x += kPixels) {
    const __m512i bytes = _mm512_maskz_loadu_epi8(read, in + x * in_bytes);
    _mm512_storeu_si512(out + x * 4, _mm512_xor_si512(_mm512_permutexvar_epi8(index, bytes), flip));
  }
  const __mmask64 last = _bzhi_u64(~uint64_t{0}, static_cast<uint32_t>((columns - x - 1) * in_bytes + row.channels));
  const __m512i bytes = _mm512_permutexvar_epi8(index, _mm512_maskz_loadu_epi8(last, in + x * in_bytes));
  _mm512_mask_storeu_epi32(out + x * 4, FirstOf16(columns - x), _mm512_xor_si512(bytes, flip));
  return columns;
}

// The first bytes of up to 4 pixels of 4 as a word for each column.
constexpr int32_t kPackedPixel = 4;
constexpr int32_t kWordsOfPacking = 16;  // that are written at once

struct TapPacking {
  ptrdiff_t stride;  // bytes
  int32_t together;  // columns
  __m512i places;    // of their bytes

  explicit FMTC_INLINE TapPacking(int32_t columns) : stride(ptrdiff_t{columns} * kPackedPixel) {
    constexpr int32_t kMost = 12;  // before the last column's taps
    together = columns == 1 ? kMost + 1 : columns > kMost ? 1 : kMost / columns + 1;
    const __m512i numbers = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i first = _mm512_mullo_epi32(numbers, _mm512_set1_epi32(columns * kPackedPixel * 0x01010101));
    places = _mm512_add_epi32(first, _mm512_set1_epi32(0x0C080400));
  }
  // Words behind the last one may become anything, kWordsOfPacking with it.
  FMTC_INLINE void Pack(const uint8_t* in, int32_t taps, int32_t columns, uint32_t* out) const {
    for (; columns > 0; columns -= together, in += together * stride, out += together) {
      const int32_t last = (columns < together ? columns : together) - 1;
      const int32_t pixels = static_cast<int32_t>(last * stride / kPackedPixel) + taps;
      const __m512i bytes = _mm512_maskz_loadu_epi32(FirstOf16(pixels), in);
      _mm512_storeu_si512(out, _mm512_permutexvar_epi8(places, bytes));
    }
  }
};

}  // namespace
}  // namespace fmtc::region

#include "region/kernels/tap_words-inl.h"

#endif  // FMTC_REGION_KERNELS_SUMS_AVX512_INL_H_
