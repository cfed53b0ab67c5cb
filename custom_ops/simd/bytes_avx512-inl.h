// 64 bytes, and their words, for codec/kernels/quantize_rows-inl.h and codec/kernels/predict_rows-inl.h. To be included
// between FMTC_BEGIN_TARGET_* and FMTC_END_TARGET.
#ifndef FMTC_SIMD_BYTES_AVX512_INL_H_
#define FMTC_SIMD_BYTES_AVX512_INL_H_

namespace fmtc {
namespace {

struct Bytes64 {
  using Type = __m512i;
  static constexpr size_t kBytes = 64;

  static FMTC_INLINE Type Load(const uint8_t* p) { return _mm512_loadu_si512(p); }
  static FMTC_INLINE void Store(uint8_t* p, Type a) { _mm512_storeu_si512(p, a); }
  static FMTC_INLINE Type Set(uint8_t byte) { return _mm512_set1_epi8(static_cast<char>(byte)); }
  static FMTC_INLINE Type Add(Type a, Type b) { return _mm512_add_epi8(a, b); }
  static FMTC_INLINE Type Min(Type a, Type b) { return _mm512_min_epu8(a, b); }
  static FMTC_INLINE Type Max(Type a, Type b) { return _mm512_max_epu8(a, b); }
  static FMTC_INLINE Type Xor(Type a, Type b) { return _mm512_xor_si512(a, b); }
  static FMTC_INLINE Type Difference(Type a, Type b) {
    return _mm512_or_si512(_mm512_subs_epu8(a, b), _mm512_subs_epu8(b, a));
  }
  static FMTC_INLINE Type SelectBelow(Type a, Type b, Type c, Type d) {
    return _mm512_mask_mov_epi8(d, _mm512_cmplt_epu8_mask(a, b), c);
  }
  static FMTC_INLINE Type NegateBelow(Type a, Type b, Type c) {
    return _mm512_mask_sub_epi8(c, _mm512_cmplt_epu8_mask(a, b), _mm512_setzero_si512(), c);
  }

  // As unpacking leaves them: of each 16 bytes the first eight in the one, the last eight in the other.
  struct Words {
    __m512i low, high;
  };
  static FMTC_INLINE Words LoadWords(const void* p) {
    const __m512i first = _mm512_loadu_si512(p);
    const __m512i second = _mm512_loadu_si512(static_cast<const uint8_t*>(p) + 64);
    return {_mm512_permutex2var_epi64(first, _mm512_setr_epi64(0, 1, 4, 5, 8, 9, 12, 13), second),
            _mm512_permutex2var_epi64(first, _mm512_setr_epi64(2, 3, 6, 7, 10, 11, 14, 15), second)};
  }
  static FMTC_INLINE Words Unpack(Type low, Type high) {
    return {_mm512_unpacklo_epi8(low, high), _mm512_unpackhi_epi8(low, high)};
  }
  static FMTC_INLINE Type Pack(Words a) { return _mm512_packus_epi16(a.low, a.high); }
  static FMTC_INLINE Type PackSigned(Words a) { return _mm512_packs_epi16(a.low, a.high); }
  static FMTC_INLINE Words AddWords(Words a, Words b) {
    return {_mm512_add_epi16(a.low, b.low), _mm512_add_epi16(a.high, b.high)};
  }
  static FMTC_INLINE Words Average(Words a, Words b) {
    return {_mm512_avg_epu16(a.low, b.low), _mm512_avg_epu16(a.high, b.high)};
  }
  static FMTC_INLINE Words MulHigh(Words a, Words b) {
    return {_mm512_mulhi_epu16(a.low, b.low), _mm512_mulhi_epu16(a.high, b.high)};
  }
  template <int kBits>
  static FMTC_INLINE Words Shift(Words a) {
    if constexpr (kBits > 0) return {_mm512_slli_epi16(a.low, kBits), _mm512_slli_epi16(a.high, kBits)};
    return {_mm512_srli_epi16(a.low, -kBits), _mm512_srli_epi16(a.high, -kBits)};
  }
};

}  // namespace
}  // namespace fmtc

#endif  // FMTC_SIMD_BYTES_AVX512_INL_H_
