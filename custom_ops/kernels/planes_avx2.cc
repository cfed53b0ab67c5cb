// Components interleaved to and from planes with AVX2: blocks of 16 components and 32 pixels, transposed in registers.
#if defined(__x86_64__)
#include <immintrin.h>

#include <cstring>
#include <utility>

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
        components(map.components < kComponents ? map.components : kComponents),
        pixels(map.plane_bytes < kPixels / 2 ? map.plane_bytes : kPixels / 2),
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
    Block block{};
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
    Block block{};
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
    uint8_t bytes[kPixels / 2];
    StoreHalf(bytes, value);
    if (pixels == kPixels / 2) {
      StoreHalf(to, value);
    } else if (pixels >= 8) {
      memcpy(to, bytes, 8);
      memcpy(to + pixels - 8, bytes + pixels - 8, 8);
    } else {
      memcpy(to, bytes, pixels);
    }
  }
};

bool IsSmall(PlaneShape shape) { return shape.components < kComponents || shape.plane_bytes < kPixels / 2; }

}  // namespace

void PlanesToPixelsAvx2(PlaneShape shape, const uint32_t* place, const uint8_t* planes, uint8_t* pixels) {
  if (IsSmall(shape)) {
    const SmallBlocks blocks(shape, place);
    for (size_t i = 0; i < blocks.num_blocks; i += 2) {
      blocks.ToPixels(i, i + 1 < blocks.num_blocks ? i + 1 : i, planes, pixels);
    }
  } else if (shape.plane_bytes < kPixels) {
    ForEachBlock<kPixels / 2>(shape, ToPixelsMove<kPixels / 2>{shape, place, planes, pixels});
  } else {
    ForEachBlock<kPixels>(shape, ToPixelsMove<kPixels>{shape, place, planes, pixels});
  }
}

void PixelsToPlanesAvx2(PlaneShape shape, const uint32_t* place, const uint8_t* pixels, uint8_t* planes) {
  if (IsSmall(shape)) {
    const SmallBlocks blocks(shape, place);
    for (size_t i = 0; i < blocks.num_blocks; i += 2) {
      blocks.ToPlanes(i, i + 1 < blocks.num_blocks ? i + 1 : i, pixels, planes);
    }
  } else if (shape.plane_bytes < kPixels) {
    ForEachBlock<kPixels / 2>(shape, ToPlanesMove<kPixels / 2>{shape, place, pixels, planes});
  } else {
    ForEachBlock<kPixels>(shape, ToPlanesMove<kPixels>{shape, place, pixels, planes});
  }
}

}  // namespace fmtc

FMTC_END_TARGET
#endif
