// Sums of 16 output channels with AVX-512. Included where FMTC_BEGIN_TARGET_AVX512 holds.

namespace fmtc::region {
namespace {

struct Sums {
  __m512i v;

  static FMTC_INLINE Sums Load(const int32_t* p) { return {_mm512_loadu_si512(p)}; }
  static FMTC_INLINE Sums Of(int32_t value) { return {_mm512_set1_epi32(value)}; }
  static FMTC_INLINE Sums FromSigned(const int8_t* p) {
    return {_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
  }
  static FMTC_INLINE Sums FromUnsigned(const uint8_t* p, int32_t count) {
    return {_mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(MaskOf(count), p))};
  }
  static FMTC_INLINE __mmask16 MaskOf(int32_t count) { return static_cast<__mmask16>((1u << count) - 1); }

  FMTC_INLINE void Store(int32_t* p) const { _mm512_storeu_si512(p, v); }
  // The low bytes of the first `count` sums.
  FMTC_INLINE void StoreBytes(uint8_t* p, int32_t count) const {
    _mm_mask_storeu_epi8(p, MaskOf(count), _mm512_cvtepi32_epi8(v));
  }

  FMTC_INLINE Sums operator+(Sums o) const { return {_mm512_add_epi32(v, o.v)}; }
  FMTC_INLINE Sums operator-(Sums o) const { return {_mm512_sub_epi32(v, o.v)}; }
  FMTC_INLINE Sums operator&(Sums o) const { return {_mm512_and_si512(v, o.v)}; }
  FMTC_INLINE Sums operator<<(Sums o) const { return {_mm512_sllv_epi32(v, o.v)}; }
  FMTC_INLINE Sums operator>>(Sums o) const { return {_mm512_srav_epi32(v, o.v)}; }
  // 0 where the other one is beyond 31.
  FMTC_INLINE Sums LogicalShiftRight(Sums o) const { return {_mm512_srlv_epi32(v, o.v)}; }
  FMTC_INLINE Sums Min(Sums o) const { return {_mm512_min_epi32(v, o.v)}; }
  FMTC_INLINE Sums Max(Sums o) const { return {_mm512_max_epi32(v, o.v)}; }
  // 1 where this one is greater, else 0.
  FMTC_INLINE Sums IsGreater(Sums o) const { return {_mm512_maskz_set1_epi32(_mm512_cmpgt_epi32_mask(v, o.v), 1)}; }
  // x * w of the low 16 bits, where the upper 16 of this one are 0.
  FMTC_INLINE Sums TimesLow16(Sums o) const { return {_mm512_madd_epi16(v, o.v)}; }

  // (this * o + 2^30) >> 31 in 64 bits; o is not negative.
  FMTC_INLINE Sums DoublingHighMultiply(Sums o) const {
    const __m512i nudge = _mm512_set1_epi64(int64_t{1} << 30);
    const __m512i even = _mm512_add_epi64(_mm512_mul_epi32(v, o.v), nudge);
    const __m512i odd = _mm512_add_epi64(_mm512_mul_epi32(_mm512_srli_epi64(v, 32), _mm512_srli_epi64(o.v, 32)), nudge);
    return {_mm512_mask_blend_epi32(0xAAAA, _mm512_srli_epi64(even, 31), _mm512_slli_epi64(odd, 1))};
  }

  // The product in float with 16 factors, kept within [low, high], rounded to nearest, ties to even.
  FMTC_INLINE Sums TimesFloat(const float* factors, float low, float high) const {
    __m512 product = _mm512_mul_ps(_mm512_cvtepi32_ps(v), _mm512_loadu_ps(factors));
    product = _mm512_min_ps(_mm512_max_ps(product, _mm512_set1_ps(low)), _mm512_set1_ps(high));
    return {_mm512_cvtps_epi32(product)};
  }
};

// Sums of the products of a step of a convolution: 4 values of x and 4 weights for each channel.
struct StepSums {
  __m512i v;

  struct Weights {
    __m512i v;
    FMTC_INLINE Weights(const int8_t* weights, int32_t) : v(_mm512_loadu_si512(weights)) {}
  };
  static constexpr int kTile = 8;            // columns at a time
  static constexpr bool kTakesZero = false;  // whether Weights takes the zero point off

  static FMTC_INLINE StepSums Zero() { return {_mm512_setzero_si512()}; }
  FMTC_INLINE void Add(uint32_t x, const Weights& weights) {
    v = _mm512_dpbusd_epi32(v, _mm512_set1_epi32(static_cast<int32_t>(x)), weights.v);
  }
  FMTC_INLINE Sums Total() const { return {v}; }
};

}  // namespace
}  // namespace fmtc::region
