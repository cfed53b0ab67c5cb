// 32 bytes, and their words, for codec/kernels/quantize_rows-inl.h and codec/kernels/predict_rows-inl.h, also where
// there are wider vectors. To be included between FMTC_BEGIN_TARGET_* and FMTC_END_TARGET.
#ifndef FMTC_SIMD_BYTES_AVX2_INL_H_
#define FMTC_SIMD_BYTES_AVX2_INL_H_

namespace fmtc {
namespace {

struct Bytes32 {
  using Type = __m256i;
  static constexpr size_t kBytes = 32;

  static FMTC_INLINE Type Load(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
  static FMTC_INLINE void Store(uint8_t* p, Type a) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), a); }
  static FMTC_INLINE Type Set(uint8_t byte) { return _mm256_set1_epi8(static_cast<char>(byte)); }
  static FMTC_INLINE Type Add(Type a, Type b) { return _mm256_add_epi8(a, b); }
  static FMTC_INLINE Type Min(Type a, Type b) { return _mm256_min_epu8(a, b); }
  static FMTC_INLINE Type Max(Type a, Type b) { return _mm256_max_epu8(a, b); }
  static FMTC_INLINE Type Xor(Type a, Type b) { return _mm256_xor_si256(a, b); }
  static FMTC_INLINE Type Difference(Type a, Type b) {
    return _mm256_or_si256(_mm256_subs_epu8(a, b), _mm256_subs_epu8(b, a));
  }
  // -1 where a >= b.
  static FMTC_INLINE Type NotBelow(Type a, Type b) { return _mm256_cmpeq_epi8(Max(a, b), a); }
  static FMTC_INLINE Type SelectBelow(Type a, Type b, Type c, Type d) {
    return _mm256_blendv_epi8(c, d, NotBelow(a, b));
  }
  static FMTC_INLINE Type NegateBelow(Type a, Type b, Type c) {
    return _mm256_sign_epi8(c, _mm256_or_si256(NotBelow(b, a), Set(1)));
  }

  // As unpacking leaves them: of each 16 bytes the first eight in the one, the last eight in the other.
  struct Words {
    __m256i low, high;
  };
  static FMTC_INLINE Words LoadWords(const void* p) {
    const __m256i first = Load(p);
    const __m256i second = Load(static_cast<const uint8_t*>(p) + 32);
    return {_mm256_permute2x128_si256(first, second, 0x20), _mm256_permute2x128_si256(first, second, 0x31)};
  }
  static FMTC_INLINE Words Unpack(Type low, Type high) {
    return {_mm256_unpacklo_epi8(low, high), _mm256_unpackhi_epi8(low, high)};
  }
  static FMTC_INLINE Type Pack(Words a) { return _mm256_packus_epi16(a.low, a.high); }
  static FMTC_INLINE Type PackSigned(Words a) { return _mm256_packs_epi16(a.low, a.high); }
  static FMTC_INLINE Words AddWords(Words a, Words b) {
    return {_mm256_add_epi16(a.low, b.low), _mm256_add_epi16(a.high, b.high)};
  }
  static FMTC_INLINE Words Average(Words a, Words b) {
    return {_mm256_avg_epu16(a.low, b.low), _mm256_avg_epu16(a.high, b.high)};
  }
  static FMTC_INLINE Words MulHigh(Words a, Words b) {
    return {_mm256_mulhi_epu16(a.low, b.low), _mm256_mulhi_epu16(a.high, b.high)};
  }
  template <int kBits>
  static FMTC_INLINE Words Shift(Words a) {
    if constexpr (kBits > 0) return {_mm256_slli_epi16(a.low, kBits), _mm256_slli_epi16(a.high, kBits)};
    return {_mm256_srli_epi16(a.low, -kBits), _mm256_srli_epi16(a.high, -kBits)};
  }
};

}  // namespace
}  // namespace fmtc

#endif  // FMTC_SIMD_BYTES_AVX2_INL_H_
