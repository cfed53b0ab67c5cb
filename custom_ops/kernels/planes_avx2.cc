// Components interleaved to and from planes with AVX2: blocks of 16 components and 32 pixels, transposed in registers.
#if defined(__x86_64__)
#include <immintrin.h>

#include <utility>

#include "core/plain_kernels.h"
#include "kernels/lookup_avx2.h"
#include "kernels/target.h"
#include "kernels/x86_kernels.h"

FMTC_BEGIN_TARGET_AVX2

namespace fmtc {
namespace {

constexpr size_t kComponents = 16;
constexpr size_t kPixels = 32;
using Steps = std::make_index_sequence<kComponents / 2>;

// Both halves of the 16 vectors are matrices of 16 x 16 bytes.
struct Block {
  __m256i rows[kComponents];

  // One quarter of a transposition: interleaves the first eight rows with the last eight.
  template <size_t... kRow>
  FMTC_INLINE Block Shuffle(std::index_sequence<kRow...>) const {
    Block out;
    ((out.rows[2 * kRow] = _mm256_unpacklo_epi8(rows[kRow], rows[kRow + 8]),
      out.rows[2 * kRow + 1] = _mm256_unpackhi_epi8(rows[kRow], rows[kRow + 8])),
     ...);
    return out;
  }

  FMTC_INLINE Block Transpose() const { return Shuffle(Steps()).Shuffle(Steps()).Shuffle(Steps()).Shuffle(Steps()); }
};

FMTC_INLINE __m128i LoadHalf(const uint8_t* p) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); }
FMTC_INLINE void StoreHalf(uint8_t* p, __m128i value) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), value); }

// Blocks of kWidth pixels. Those at the edges overlap their neighbours.
template <size_t kWidth>
struct Mover;

template <>
struct Mover<kPixels> {
  static FMTC_INLINE void ToPixels(const uint8_t* const* planes, size_t stride, uint8_t* pixels) {
    Block block;
    for (size_t i = 0; i < kComponents; ++i) block.rows[i] = LoadVector(planes[i]);
    block = block.Transpose();
    for (size_t i = 0; i < kPixels / 2; ++i) {
      StoreHalf(pixels + i * stride, _mm256_castsi256_si128(block.rows[i]));
      StoreHalf(pixels + (i + kPixels / 2) * stride, _mm256_extracti128_si256(block.rows[i], 1));
    }
  }

  static FMTC_INLINE void ToPlanes(const uint8_t* pixels, size_t stride, uint8_t* const* planes) {
    Block block;
    for (size_t i = 0; i < kPixels / 2; ++i) {
      block.rows[i] = _mm256_inserti128_si256(_mm256_castsi128_si256(LoadHalf(pixels + i * stride)),
                                              LoadHalf(pixels + (i + kPixels / 2) * stride), 1);
    }
    block = block.Transpose();
    for (size_t i = 0; i < kComponents; ++i) StoreVector(planes[i], block.rows[i]);
  }
};

template <>
struct Mover<kPixels / 2> {
  static FMTC_INLINE void ToPixels(const uint8_t* const* planes, size_t stride, uint8_t* pixels) {
    Block block;
    for (size_t i = 0; i < kComponents; ++i) block.rows[i] = _mm256_castsi128_si256(LoadHalf(planes[i]));
    block = block.Transpose();
    for (size_t i = 0; i < kPixels / 2; ++i) StoreHalf(pixels + i * stride, _mm256_castsi256_si128(block.rows[i]));
  }

  static FMTC_INLINE void ToPlanes(const uint8_t* pixels, size_t stride, uint8_t* const* planes) {
    Block block;
    for (size_t i = 0; i < kPixels / 2; ++i) block.rows[i] = _mm256_castsi128_si256(LoadHalf(pixels + i * stride));
    block = block.Transpose();
    for (size_t i = 0; i < kComponents; ++i) StoreHalf(planes[i], _mm256_castsi256_si128(block.rows[i]));
  }
};

// Calls move(component, pixel) for blocks that cover everything.
template <size_t kWidth, typename Move>
FMTC_INLINE void ForEachBlock(PlaneShape shape, const Move& move) {
  const size_t last_component = shape.components - kComponents;
  const size_t last_pixel = shape.plane_bytes - kWidth;
  for (size_t j = 0;; j = j + kComponents < last_component ? j + kComponents : last_component) {
    for (size_t x = 0;; x = x + kWidth < last_pixel ? x + kWidth : last_pixel) {
      move(j, x);
      if (x == last_pixel) break;
    }
    if (j == last_component) break;
  }
}

template <size_t kWidth>
struct ToPixelsMove {
  PlaneShape shape;
  const uint32_t* place;
  const uint8_t* planes;
  uint8_t* pixels;

  FMTC_INLINE void operator()(size_t component, size_t pixel) const {
    const uint8_t* from[kComponents];
    for (size_t i = 0; i < kComponents; ++i) from[i] = planes + place[component + i] * shape.plane_bytes + pixel;
    Mover<kWidth>::ToPixels(from, shape.components, pixels + pixel * shape.components + component);
  }
};

template <size_t kWidth>
struct ToPlanesMove {
  PlaneShape shape;
  const uint32_t* place;
  const uint8_t* pixels;
  uint8_t* planes;

  FMTC_INLINE void operator()(size_t component, size_t pixel) const {
    uint8_t* to[kComponents];
    for (size_t i = 0; i < kComponents; ++i) to[i] = planes + place[component + i] * shape.plane_bytes + pixel;
    Mover<kWidth>::ToPlanes(pixels + pixel * shape.components + component, shape.components, to);
  }
};

}  // namespace

void PlanesToPixelsAvx2(PlaneShape shape, const uint32_t* place, const uint8_t* planes, uint8_t* pixels) {
  if (shape.components < kComponents || shape.plane_bytes < kPixels / 2) {
    PlanesToPixelsPlain(shape, place, planes, pixels);
  } else if (shape.plane_bytes < kPixels) {
    ForEachBlock<kPixels / 2>(shape, ToPixelsMove<kPixels / 2>{shape, place, planes, pixels});
  } else {
    ForEachBlock<kPixels>(shape, ToPixelsMove<kPixels>{shape, place, planes, pixels});
  }
}

void PixelsToPlanesAvx2(PlaneShape shape, const uint32_t* place, const uint8_t* pixels, uint8_t* planes) {
  if (shape.components < kComponents || shape.plane_bytes < kPixels / 2) {
    PixelsToPlanesPlain(shape, place, pixels, planes);
  } else if (shape.plane_bytes < kPixels) {
    ForEachBlock<kPixels / 2>(shape, ToPlanesMove<kPixels / 2>{shape, place, pixels, planes});
  } else {
    ForEachBlock<kPixels>(shape, ToPlanesMove<kPixels>{shape, place, pixels, planes});
  }
}

}  // namespace fmtc

FMTC_END_TARGET
#endif
