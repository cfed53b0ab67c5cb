// Components interleaved to and from planes with AVX2.
#if defined(__x86_64__)
#include <immintrin.h>

#include <cstring>

#include "codec/kernels/x86_kernels.h"
#include "cpu/target.h"

FMTC_BEGIN_TARGET_AVX2

#include "codec/kernels/planes-inl.h"
#include "simd/pieces_avx2-inl.h"

namespace fmtc {
namespace {

FMTC_INLINE __m128i LoadHalf(const uint8_t* p) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); }
FMTC_INLINE void StoreHalf(uint8_t* p, __m128i value) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), value); }

// Blocks for maps with fewer than 16 components or pixels, two at a time, one in each half of the vectors. What is read
// behind planes and pixels does not matter.
struct SmallBlocks {
  PlaneShape shape;
  const uint32_t* place;
  size_t components, pixels;  // of a block
  size_t rows_of_blocks, num_blocks;

  SmallBlocks(PlaneShape map, const uint32_t* places)
      : shape(map),
        place(places),
        components(map.components < kPieceBytes ? map.components : kPieceBytes),
        pixels(map.plane_bytes < kPieceBytes ? map.plane_bytes : kPieceBytes),
        rows_of_blocks((map.plane_bytes + pixels - 1) / pixels),
        num_blocks((map.components + components - 1) / components * rows_of_blocks) {}

  // The last ones overlap their neighbours.
  FMTC_INLINE size_t Component(size_t block) const {
    const size_t begin = block / rows_of_blocks * components;
    return begin + components <= shape.components ? begin : shape.components - components;
  }
  FMTC_INLINE size_t Pixel(size_t block) const {
    const size_t begin = block % rows_of_blocks * pixels;
    return begin + pixels <= shape.plane_bytes ? begin : shape.plane_bytes - pixels;
  }
  FMTC_INLINE size_t InPlane(size_t block, size_t i) const {
    return place[Component(block) + i] * shape.plane_bytes + Pixel(block);
  }
  FMTC_INLINE size_t InPixels(size_t block, size_t i) const {
    return (Pixel(block) + i) * shape.components + Component(block);
  }

  static FMTC_INLINE __m256i LoadBoth(const uint8_t* low, const uint8_t* high) {
    return _mm256_inserti128_si256(_mm256_castsi128_si256(LoadHalf(low)), LoadHalf(high), 1);
  }

  // From the first pixel to the last, since a store of narrow pixels overwrites what follows.
  FMTC_INLINE void ToPixels(size_t first, size_t second, const uint8_t* from, uint8_t* to) const {
    Tile<TwoPieces> block{};
    for (size_t i = 0; i < components; ++i) {
      block.rows[i] = LoadBoth(from + InPlane(first, i), from + InPlane(second, i));
    }
    block = block.Transpose();
    for (size_t i = 0; i < pixels; ++i) StoreHalf(to + InPixels(first, i), _mm256_castsi256_si128(block.rows[i]));
    for (size_t i = 0; i < pixels; ++i) {
      StoreHalf(to + InPixels(second, i), _mm256_extracti128_si256(block.rows[i], 1));
    }
  }

  FMTC_INLINE void ToPlanes(size_t first, size_t second, const uint8_t* from, uint8_t* to) const {
    Tile<TwoPieces> block{};
    for (size_t i = 0; i < pixels; ++i) {
      block.rows[i] = LoadBoth(from + InPixels(first, i), from + InPixels(second, i));
    }
    block = block.Transpose();
    for (size_t i = 0; i < components; ++i) {
      StorePixels(_mm256_castsi256_si128(block.rows[i]), to + InPlane(first, i));
      StorePixels(_mm256_extracti128_si256(block.rows[i], 1), to + InPlane(second, i));
    }
  }

 private:
  FMTC_INLINE void StorePixels(__m128i value, uint8_t* to) const {
    uint8_t bytes[kPieceBytes];
    StoreHalf(bytes, value);
    if (pixels == kPieceBytes) {
      StoreHalf(to, value);
    } else if (pixels >= 8) {
      memcpy(to, bytes, 8);
      memcpy(to + pixels - 8, bytes + pixels - 8, 8);
    } else {
      memcpy(to, bytes, pixels);
    }
  }
};

}  // namespace

void PlanesToPixelsAvx2(PlaneShape shape, const uint32_t* place, const uint8_t* planes, uint8_t* pixels) {
  if (shape.components >= kPieceBytes) return TransposeToPixels<TwoPieces, OnePiece>(shape, place, planes, pixels);
  const SmallBlocks blocks(shape, place);
  for (size_t i = 0; i < blocks.num_blocks; i += 2) {
    blocks.ToPixels(i, i + 1 < blocks.num_blocks ? i + 1 : i, planes, pixels);
  }
}

void PixelsToPlanesAvx2(PlaneShape shape, const uint32_t* place, const uint8_t* pixels, uint8_t* planes) {
  if (shape.components >= kPieceBytes && shape.plane_bytes >= kPieceBytes) {
    return TransposeToPlanes<TwoPieces, OnePiece>(shape, place, pixels, planes);
  }
  const SmallBlocks blocks(shape, place);
  for (size_t i = 0; i < blocks.num_blocks; i += 2) {
    blocks.ToPlanes(i, i + 1 < blocks.num_blocks ? i + 1 : i, pixels, planes);
  }
}

}  // namespace fmtc

FMTC_END_TARGET
#endif
