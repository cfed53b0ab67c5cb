// Sums of 16 output channels with AVX2. Included where FMTC_BEGIN_TARGET_AVX2 holds.

namespace fmtc::region {
namespace {

struct Sums {
  __m256i a, b;

  static FMTC_INLINE __m256i Load8(const int32_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
  static FMTC_INLINE Sums Load(const int32_t* p) { return {Load8(p), Load8(p + 8)}; }
  static FMTC_INLINE Sums Of(int32_t value) { return {_mm256_set1_epi32(value), _mm256_set1_epi32(value)}; }
  static FMTC_INLINE Sums FromSigned(const int8_t* p) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return {_mm256_cvtepi8_epi32(bytes), _mm256_cvtepi8_epi32(_mm_srli_si128(bytes, 8))};
  }
  static FMTC_INLINE Sums FromUnsigned(const uint8_t* p, int32_t count) {
    __m128i bytes;
    if (count == 16) {
      bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    } else {
      uint8_t part[16] = {};
      std::memcpy(part, p, static_cast<size_t>(count));
      bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(part));
    }
    return {_mm256_cvtepu8_epi32(bytes), _mm256_cvtepu8_epi32(_mm_srli_si128(bytes, 8))};
  }

  FMTC_INLINE void Store(int32_t* p) const {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), a);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p + 8), b);
  }
  // The low bytes of the first `count` sums, which are 0 to 255.
  FMTC_INLINE void StoreBytes(uint8_t* p, int32_t count) const {
    const __m256i words = _mm256_permute4x64_epi64(_mm256_packus_epi32(a, b), 0xD8);
    const __m128i bytes = _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    if (count == 16) return _mm_storeu_si128(reinterpret_cast<__m128i*>(p), bytes);
    uint8_t part[16];
    _mm_storeu_si128(reinterpret_cast<__m128i*>(part), bytes);
    std::memcpy(p, part, static_cast<size_t>(count));
  }

  FMTC_INLINE Sums operator+(Sums o) const { return {_mm256_add_epi32(a, o.a), _mm256_add_epi32(b, o.b)}; }
  FMTC_INLINE Sums operator-(Sums o) const { return {_mm256_sub_epi32(a, o.a), _mm256_sub_epi32(b, o.b)}; }
  FMTC_INLINE Sums operator&(Sums o) const { return {_mm256_and_si256(a, o.a), _mm256_and_si256(b, o.b)}; }
  FMTC_INLINE Sums operator<<(Sums o) const { return {_mm256_sllv_epi32(a, o.a), _mm256_sllv_epi32(b, o.b)}; }
  FMTC_INLINE Sums operator>>(Sums o) const { return {_mm256_srav_epi32(a, o.a), _mm256_srav_epi32(b, o.b)}; }
  // 0 where the other one is beyond 31.
  FMTC_INLINE Sums LogicalShiftRight(Sums o) const { return {_mm256_srlv_epi32(a, o.a), _mm256_srlv_epi32(b, o.b)}; }
  FMTC_INLINE Sums Min(Sums o) const { return {_mm256_min_epi32(a, o.a), _mm256_min_epi32(b, o.b)}; }
  FMTC_INLINE Sums Max(Sums o) const { return {_mm256_max_epi32(a, o.a), _mm256_max_epi32(b, o.b)}; }
  // 1 where this one is greater, else 0.
  FMTC_INLINE Sums IsGreater(Sums o) const {
    return {_mm256_srli_epi32(_mm256_cmpgt_epi32(a, o.a), 31), _mm256_srli_epi32(_mm256_cmpgt_epi32(b, o.b), 31)};
  }
  // x * w of the low 16 bits, where the upper 16 of this one are 0.
  FMTC_INLINE Sums TimesLow16(Sums o) const { return {_mm256_madd_epi16(a, o.a), _mm256_madd_epi16(b, o.b)}; }

  static FMTC_INLINE __m256i DoublingHigh8(__m256i x, __m256i y) {
    const __m256i nudge = _mm256_set1_epi64x(int64_t{1} << 30);
    const __m256i even = _mm256_add_epi64(_mm256_mul_epi32(x, y), nudge);
    const __m256i odd = _mm256_add_epi64(_mm256_mul_epi32(_mm256_srli_epi64(x, 32), _mm256_srli_epi64(y, 32)), nudge);
    return _mm256_blend_epi32(_mm256_srli_epi64(even, 31), _mm256_slli_epi64(odd, 1), 0xAA);
  }
  // (this * o + 2^30) >> 31 in 64 bits; o is not negative.
  FMTC_INLINE Sums DoublingHighMultiply(Sums o) const { return {DoublingHigh8(a, o.a), DoublingHigh8(b, o.b)}; }

  static FMTC_INLINE __m256i TimesFloat8(__m256i x, const float* factors, float low, float high) {
    __m256 product = _mm256_mul_ps(_mm256_cvtepi32_ps(x), _mm256_loadu_ps(factors));
    product = _mm256_min_ps(_mm256_max_ps(product, _mm256_set1_ps(low)), _mm256_set1_ps(high));
    return _mm256_cvtps_epi32(product);
  }
  // The product in float with 16 factors, kept within [low, high], rounded to nearest, ties to even.
  FMTC_INLINE Sums TimesFloat(const float* factors, float low, float high) const {
    return {TimesFloat8(a, factors, low, high), TimesFloat8(b, factors + 8, low, high)};
  }
};

// Sums of the products of a step of a convolution: 4 values of x and 4 weights for each channel. Products of 16 bits;
// each channel has two sums beside each other.
struct StepSums {
  __m256i v[4];  // 4 channels each

  struct Weights {
    __m256i v[4];
    FMTC_INLINE Weights(const int8_t* weights, int32_t zero) {
      const __m256i zeros = _mm256_set1_epi16(static_cast<int16_t>(zero));
      for (int i = 0; i < 4; ++i) {
        const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(weights + 16 * i));
        v[i] = _mm256_sub_epi16(_mm256_cvtepi8_epi16(bytes), zeros);
      }
    }
  };
  static constexpr int kTile = 2;
  static constexpr bool kTakesZero = true;

  static FMTC_INLINE StepSums Zero() {
    const __m256i zero = _mm256_setzero_si256();
    return {{zero, zero, zero, zero}};
  }
  FMTC_INLINE void Add(uint32_t x, const Weights& weights) {
    const __m256i words = _mm256_broadcastq_epi64(_mm_cvtepu8_epi16(_mm_cvtsi32_si128(static_cast<int32_t>(x))));
    for (int i = 0; i < 4; ++i) v[i] = _mm256_add_epi32(v[i], _mm256_madd_epi16(words, weights.v[i]));
  }
  FMTC_INLINE Sums Total() const {
    const __m256i a = _mm256_permute4x64_epi64(_mm256_hadd_epi32(v[0], v[1]), 0xD8);
    const __m256i b = _mm256_permute4x64_epi64(_mm256_hadd_epi32(v[2], v[3]), 0xD8);
    return {a, b};
  }
};

}  // namespace
}  // namespace fmtc::region
