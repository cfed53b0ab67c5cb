// Components interleaved to and from planes with AVX-512.
#if defined(__x86_64__)
#include <immintrin.h>

#include "codec/kernels/x86_kernels.h"
#include "cpu/target.h"

FMTC_BEGIN_TARGET_AVX512

#include "codec/kernels/planes-inl.h"
#include "simd/pieces_avx2-inl.h"

namespace fmtc {
namespace {

struct FourPieces {
  using Type = __m512i;
  static constexpr size_t kBytes = 64;

  static FMTC_INLINE Type Load(const uint8_t* const* rows, size_t at) {
    // Broadcasts from memory leave alone the units that shuffle, which insertions do not.
    const __m512i one = _mm512_castsi128_si512(OnePiece::Load(rows, at));
    const __m512i two = _mm512_mask_broadcast_i32x4(one, 0x00F0, OnePiece::Load(rows + 16, at));
    const __m512i three = _mm512_mask_broadcast_i32x4(two, 0x0F00, OnePiece::Load(rows + 32, at));
    return _mm512_mask_broadcast_i32x4(three, 0xF000, OnePiece::Load(rows + 48, at));
  }
  static FMTC_INLINE void Store(uint8_t* p, Type value) { _mm512_storeu_si512(p, value); }
  static FMTC_INLINE Type UnpackLow(Type a, Type b) { return _mm512_unpacklo_epi8(a, b); }
  static FMTC_INLINE Type UnpackHigh(Type a, Type b) { return _mm512_unpackhi_epi8(a, b); }
};

}  // namespace

void PlanesToPixelsAvx512(PlaneShape shape, const uint32_t* place, const uint8_t* planes, uint8_t* pixels) {
  if (shape.components < kPieceBytes) return PlanesToPixelsAvx2(shape, place, planes, pixels);
  TransposeToPixels<FourPieces, TwoPieces, OnePiece>(shape, place, planes, pixels);
}

void PixelsToPlanesAvx512(PlaneShape shape, const uint32_t* place, const uint8_t* pixels, uint8_t* planes) {
  if (shape.plane_bytes < kPieceBytes || shape.components < kPieceBytes) {
    return PixelsToPlanesAvx2(shape, place, pixels, planes);
  }
  TransposeToPlanes<FourPieces, TwoPieces, OnePiece>(shape, place, pixels, planes);
}

}  // namespace fmtc

FMTC_END_TARGET
#endif
