// Sums of 16 output channels with AVX2. Included where FMTC_BEGIN_TARGET_AVX2 holds.
#ifndef FMTC_REGION_KERNELS_SUMS_AVX2_INL_H_
#define FMTC_REGION_KERNELS_SUMS_AVX2_INL_H_

#include "region/kernels/words-inl.h"

namespace fmtc::region {
namespace {

FMTC_INLINE __m256i Load32(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }

struct Sums {
  __m256i a, b;

  static FMTC_INLINE Sums Load(const int32_t* p) { return {Load32(p), Load32(p + 8)}; }
  static FMTC_INLINE Sums Of(int32_t value) { return {_mm256_set1_epi32(value), _mm256_set1_epi32(value)}; }
  static FMTC_INLINE Sums FromSigned(const int8_t* p) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return {_mm256_cvtepi8_epi32(bytes), _mm256_cvtepi8_epi32(_mm_srli_si128(bytes, 8))};
  }
  static FMTC_INLINE Sums FromUnsigned(__m128i bytes) {
    return {_mm256_cvtepu8_epi32(bytes), _mm256_cvtepu8_epi32(_mm_srli_si128(bytes, 8))};
  }

  FMTC_INLINE void Store(int32_t* p) const {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), a);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p + 8), b);
  }

  FMTC_INLINE Sums operator+(Sums o) const { return {_mm256_add_epi32(a, o.a), _mm256_add_epi32(b, o.b)}; }
  FMTC_INLINE Sums operator-(Sums o) const { return {_mm256_sub_epi32(a, o.a), _mm256_sub_epi32(b, o.b)}; }
  FMTC_INLINE Sums operator*(Sums o) const { return {_mm256_mullo_epi32(a, o.a), _mm256_mullo_epi32(b, o.b)}; }
  FMTC_INLINE Sums operator&(Sums o) const { return {_mm256_and_si256(a, o.a), _mm256_and_si256(b, o.b)}; }
  FMTC_INLINE Sums operator<<(Sums o) const { return {_mm256_sllv_epi32(a, o.a), _mm256_sllv_epi32(b, o.b)}; }
  FMTC_INLINE Sums operator>>(Sums o) const { return {_mm256_srav_epi32(a, o.a), _mm256_srav_epi32(b, o.b)}; }
  FMTC_INLINE Sums Max(Sums o) const { return {_mm256_max_epi32(a, o.a), _mm256_max_epi32(b, o.b)}; }
  // 1 where this one is greater, else 0.
  FMTC_INLINE Sums IsGreater(Sums o) const {
    return {_mm256_srli_epi32(_mm256_cmpgt_epi32(a, o.a), 31), _mm256_srli_epi32(_mm256_cmpgt_epi32(b, o.b), 31)};
  }
  // 1 where this one is at most the place of the sum, 0 to 15, else 0.
  FMTC_INLINE Sums IsAtMostIndex() const {
    const Sums behind{_mm256_setr_epi32(1, 2, 3, 4, 5, 6, 7, 8), _mm256_setr_epi32(9, 10, 11, 12, 13, 14, 15, 16)};
    return behind.IsGreater(*this);
  }

  static FMTC_INLINE __m256i DoublingHigh8(__m256i x, __m256i y) {
    const __m256i nudge = _mm256_set1_epi64x(int64_t{1} << 30);
    const __m256i even = _mm256_add_epi64(_mm256_mul_epi32(x, y), nudge);
    const __m256i odd = _mm256_add_epi64(_mm256_mul_epi32(_mm256_srli_epi64(x, 32), _mm256_srli_epi64(y, 32)), nudge);
    return _mm256_blend_epi32(_mm256_srli_epi64(even, 31), _mm256_slli_epi64(odd, 1), 0xAA);
  }
  // (this * o + 2^30) >> 31 in 64 bits; o is not negative.
  FMTC_INLINE Sums DoublingHighMultiply(Sums o) const { return {DoublingHigh8(a, o.a), DoublingHigh8(b, o.b)}; }
};

// HalfUp with shifts s of -1 or less, or multipliers m of 0. With e = -s its two roundings come to one,
//   floor((sum * m + 2^30 + 2^(30 + e)) / 2^(31 + e)),
// of which the division by 2^32 takes no instruction for half of the sums.
struct RoundedProduct {
  struct Part {  // of 8
    __m256i multiplier, even_addend, odd_addend;

    FMTC_INLINE Part(__m256i multipliers, __m256i shifts) : multiplier(multipliers) {
      const __m256i right = _mm256_sub_epi32(_mm256_setzero_si256(), shifts);
      even_addend = Addend(_mm256_srli_epi64(_mm256_slli_epi64(right, 32), 32));
      odd_addend = Addend(_mm256_srli_epi64(right, 32));
    }
    static FMTC_INLINE __m256i Addend(__m256i right) {
      const __m256i half = _mm256_set1_epi64x(int64_t{1} << 30);
      return _mm256_add_epi64(half, _mm256_sllv_epi64(half, right));
    }
    FMTC_INLINE __m256i High(__m256i sums) const {
      const __m256i even = _mm256_add_epi64(_mm256_mul_epi32(sums, multiplier), even_addend);
      const __m256i odd_products = _mm256_mul_epi32(_mm256_srli_epi64(sums, 32), _mm256_srli_epi64(multiplier, 32));
      return _mm256_blend_epi32(_mm256_srli_epi64(even, 32), _mm256_add_epi64(odd_products, odd_addend), 0xAA);
    }
  };
  Part a, b;
  Sums shift;

  FMTC_INLINE RoundedProduct(Sums multipliers, Sums shifts)
      : a(multipliers.a, shifts.a), b(multipliers.b, shifts.b), shift(Sums::Of(-1) - shifts) {}
  FMTC_INLINE Sums operator()(Sums sums) const { return Sums{a.High(sums.a), b.High(sums.b)} >> shift; }
};

// 16 values in float.
struct Floats {
  __m256 a, b;

  static FMTC_INLINE Floats Load(const uint8_t* p) {
    return {_mm256_castsi256_ps(Load32(p)), _mm256_castsi256_ps(Load32(p + 32))};
  }
  static FMTC_INLINE Floats Of(float value) { return {_mm256_set1_ps(value), _mm256_set1_ps(value)}; }
  static FMTC_INLINE Floats Of(Sums sums) { return {_mm256_cvtepi32_ps(sums.a), _mm256_cvtepi32_ps(sums.b)}; }
  FMTC_INLINE Floats operator*(Floats o) const { return {_mm256_mul_ps(a, o.a), _mm256_mul_ps(b, o.b)}; }
  FMTC_INLINE Floats operator/(Floats o) const { return {_mm256_div_ps(a, o.a), _mm256_div_ps(b, o.b)}; }
  // `limit` stands for what is no number, too.
  FMTC_INLINE Floats AtMost(float limit) const {
    const __m256 most = _mm256_set1_ps(limit);
    return {_mm256_min_ps(a, most), _mm256_min_ps(b, most)};
  }
  // To nearest, ties to even; INT32_MIN where that is no int32.
  FMTC_INLINE Sums Rounded() const { return {_mm256_cvtps_epi32(a), _mm256_cvtps_epi32(b)}; }
  FMTC_INLINE Sums Truncated() const { return {_mm256_cvttps_epi32(a), _mm256_cvttps_epi32(b)}; }
};

// The bytes of 16 channels, and how to read and write those of a block.
using Bytes16 = __m128i;

struct WholeBlock {
  FMTC_INLINE Bytes16 Load(const uint8_t* p) const { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); }
  FMTC_INLINE void Store(uint8_t* p, Bytes16 bytes) const { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), bytes); }
};

struct PartOfBlock {
  int32_t count;

  explicit FMTC_INLINE PartOfBlock(int32_t channels) : count(channels) {}
  FMTC_INLINE Bytes16 Load(const uint8_t* p) const {
    if (count == kChannelBlock) return WholeBlock().Load(p);
    if (count < 8) return _mm_cvtsi64_si128(static_cast<int64_t>(LoadFew(p, count)));
    const __m128i front = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
    return _mm_insert_epi64(front, static_cast<int64_t>(LoadFew(p + 8, count - 8)), 1);
  }
  FMTC_INLINE void Store(uint8_t* p, Bytes16 bytes) const {
    if (count == kChannelBlock) return WholeBlock().Store(p, bytes);
    if (count < 8) return StoreFew(p, count, static_cast<uint64_t>(_mm_cvtsi128_si64(bytes)));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(p), bytes);
    StoreFew(p + 8, count - 8, static_cast<uint64_t>(_mm_extract_epi64(bytes, 1)));
  }
};

// Half a block, which small networks often have.
struct HalfBlock {
  FMTC_INLINE Bytes16 Load(const uint8_t* p) const { return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)); }
  FMTC_INLINE void Store(uint8_t* p, Bytes16 bytes) const { _mm_storel_epi64(reinterpret_cast<__m128i*>(p), bytes); }
};

// function(block) of fewer channels than a block has.
template <class Function>
FMTC_INLINE void WithPart(int32_t channels, const Function& function) {
  if (channels == kChannelBlock / 2) return function(HalfBlock());
  function(PartOfBlock(channels));
}

FMTC_INLINE Bytes16 Greater(Bytes16 a, Bytes16 b) { return _mm_max_epu8(a, b); }
FMTC_INLINE Bytes16 Less(Bytes16 a, Bytes16 b) { return _mm_min_epu8(a, b); }
FMTC_INLINE Bytes16 BytesOf(int32_t value) { return _mm_set1_epi8(static_cast<char>(value)); }
FMTC_INLINE Bytes16 Flipped(Bytes16 bytes, Bytes16 bits) { return _mm_xor_si128(bytes, bits); }
FMTC_INLINE Bytes16 Shuffled(Bytes16 bytes, Bytes16 places) { return _mm_shuffle_epi8(bytes, places); }

constexpr int32_t kWideChannels = 0;  // no such windows

// `kPackSums` sums as bytes, zero point added and clamped; they may be any int32.
constexpr int kPackSums = 2;

struct ByteRange {
  __m256i zero, low, high;

  explicit FMTC_INLINE ByteRange(const OutputRange& range)
      : zero(_mm256_set1_epi16(static_cast<int16_t>(range.zero))),
        low(_mm256_set1_epi8(static_cast<char>(range.low))),
        high(_mm256_set1_epi8(static_cast<char>(range.high))) {}
};

struct Packed {
  __m256i v;

  // Every step saturates, so that what is beyond 16 bits comes out as the end of the range that it is beyond.
  FMTC_INLINE Packed(const Sums (&s)[kPackSums], const ByteRange& range) {
    const __m256i front = _mm256_adds_epi16(_mm256_packs_epi32(s[0].a, s[0].b), range.zero);
    const __m256i back = _mm256_adds_epi16(_mm256_packs_epi32(s[1].a, s[1].b), range.zero);
    const __m256i bytes = _mm256_min_epu8(_mm256_max_epu8(_mm256_packus_epi16(front, back), range.low), range.high);
    v = _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
  }
  // All bytes, one sum's behind the other's.
  FMTC_INLINE void Store(uint8_t* p) const { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v); }
  // Those of pixels of a sum each, `count` pixels.
  template <int kSums>
  FMTC_INLINE void StorePixels(uint8_t* p, ptrdiff_t pixel_bytes, int count) const {
    static_assert(kSums == 1);
    WholeBlock().Store(p, _mm256_castsi256_si128(v));
    if (count > 1) WholeBlock().Store(p + pixel_bytes, _mm256_extracti128_si256(v, 1));
  }
  FMTC_INLINE void Split(Bytes16 (&pieces)[kPackSums]) const {
    pieces[0] = _mm256_castsi256_si128(v);
    pieces[1] = _mm256_extracti128_si256(v, 1);
  }
};

// Sums of bytes.
struct ByteSums {
  __m128i v;

  FMTC_INLINE ByteSums() : v(_mm_setzero_si128()) {}

  FMTC_INLINE void Add(const uint8_t* p, int32_t count) {
    for (int32_t i = 0; i < count; i += kChannelBlock) {
      const int32_t left = count - i;
      const Bytes16 bytes = left >= kChannelBlock ? WholeBlock().Load(p + i) : PartOfBlock(left).Load(p + i);
      v = _mm_add_epi64(v, _mm_sad_epu8(bytes, _mm_setzero_si128()));
    }
  }
  FMTC_INLINE uint32_t Total() const { return static_cast<uint32_t>(_mm_cvtsi128_si32(v) + _mm_extract_epi32(v, 2)); }
};

// Values of `kRowsTogether` kernel rows in one column, beside each other for each of 16 channels; and weights likewise.
constexpr int kRowsTogether = 2;

struct RowsValues {
  __m256i a, b;

  // Of kRows rows; zeros for the others.
  template <int kRows, class Block>
  static FMTC_INLINE RowsValues Load(const Block& block, const uint8_t* const* rows) {
    const __m128i first = block.Load(rows[0]);
    const __m128i second = kRows > 1 ? block.Load(rows[1]) : _mm_setzero_si128();
    return {_mm256_cvtepu8_epi16(_mm_unpacklo_epi8(first, second)),
            _mm256_cvtepu8_epi16(_mm_unpackhi_epi8(first, second))};
  }
};

constexpr int kMaxWeightParts = 1;

struct RowsWeights {
  __m256i a, b;

  // Of kRows rows, zeros for the others.
  template <int kRows>
  static FMTC_INLINE RowsWeights LoadPlain(const uint8_t* const* rows) {
    RowsWeights weights;
    Load<kRows>(rows, 0, &weights);
    return weights;
  }
  // Likewise, less their zero point; others meet zeros. Returns the number of parts.
  template <int kRows>
  static FMTC_INLINE int Load(const uint8_t* const* rows, int32_t zero, RowsWeights* parts) {
    const __m128i first = WholeBlock().Load(rows[0]);
    const __m128i second = kRows > 1 ? WholeBlock().Load(rows[1]) : _mm_setzero_si128();
    const __m256i zeros = _mm256_set1_epi16(static_cast<int16_t>(zero));
    parts[0] = {_mm256_sub_epi16(_mm256_cvtepi8_epi16(_mm_unpacklo_epi8(first, second)), zeros),
                _mm256_sub_epi16(_mm256_cvtepi8_epi16(_mm_unpackhi_epi8(first, second)), zeros)};
    return 1;
  }
};

FMTC_INLINE Sums AddProducts(Sums sums, const RowsValues& x, const RowsWeights& w) {
  return sums + Sums{_mm256_madd_epi16(x.a, w.a), _mm256_madd_epi16(x.b, w.b)};
}

// A table of a byte for each byte, as 16 of 16: a shuffle gives 0 where the place is negative, as it is below its part
// and, since sums saturate, behind it.
struct Table256 {
  static constexpr ptrdiff_t kBytes = 32;  // at a time
  __m256i parts[16];

  explicit FMTC_INLINE Table256(const uint8_t* table) {
    for (int i = 0; i < 16; ++i) {
      parts[i] = _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table + 16 * i)));
    }
  }
  FMTC_INLINE void LookUp(const uint8_t* in, uint8_t* out) const {
    const __m256i index = Load32(in);
    const __m256i behind = _mm256_set1_epi8(0x70);
    __m256i found = _mm256_setzero_si256();
    FMTC_UNROLL for (int i = 0; i < 16; ++i) {
      const __m256i place = _mm256_sub_epi8(index, _mm256_set1_epi8(static_cast<char>(16 * i)));
      found = _mm256_or_si256(found, _mm256_shuffle_epi8(parts[i], _mm256_adds_epu8(place, behind)));
    }
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), found);
  }
};

}  // namespace
}  // namespace fmtc::region

#include "region/kernels/pixels-inl.h"

#endif  // FMTC_REGION_KERNELS_SUMS_AVX2_INL_H_
