// One and two pieces of 16 bytes for simd/transpose-inl.h, also where there are wider vectors. To be included between
// FMTC_BEGIN_TARGET_* and FMTC_END_TARGET.
#ifndef FMTC_SIMD_PIECES_AVX2_INL_H_
#define FMTC_SIMD_PIECES_AVX2_INL_H_

namespace fmtc {
namespace {

struct OnePiece {
  using Type = __m128i;
  static constexpr size_t kBytes = 16;

  static FMTC_INLINE Type Load(const uint8_t* const* rows, size_t at) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(rows[0] + at));
  }
  static FMTC_INLINE void Store(uint8_t* p, Type value) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), value); }
  static FMTC_INLINE Type UnpackLow(Type a, Type b) { return _mm_unpacklo_epi8(a, b); }
  static FMTC_INLINE Type UnpackHigh(Type a, Type b) { return _mm_unpackhi_epi8(a, b); }
};

struct TwoPieces {
  using Type = __m256i;
  static constexpr size_t kBytes = 32;

  static FMTC_INLINE Type Load(const uint8_t* const* rows, size_t at) {
    return _mm256_inserti128_si256(_mm256_castsi128_si256(OnePiece::Load(rows, at)), OnePiece::Load(rows + 16, at), 1);
  }
  static FMTC_INLINE void Store(uint8_t* p, Type value) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), value); }
  static FMTC_INLINE Type UnpackLow(Type a, Type b) { return _mm256_unpacklo_epi8(a, b); }
  static FMTC_INLINE Type UnpackHigh(Type a, Type b) { return _mm256_unpackhi_epi8(a, b); }
};

}  // namespace
}  // namespace fmtc

#endif  // FMTC_SIMD_PIECES_AVX2_INL_H_
