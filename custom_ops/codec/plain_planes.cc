// Components interleaved to and from planes, in plain C++.
#include "codec/plain_kernels.h"

namespace fmtc {
namespace {

// Pixels that are handled together, so that their interleaved side stays in the first-level cache.
constexpr size_t kTilePixels = 64;

size_t TileEnd(size_t begin, size_t pixels) { return pixels - begin < kTilePixels ? pixels : begin + kTilePixels; }

}  // namespace

void PixelsToPlanesPlain(PlaneShape shape, const uint32_t* place, const uint8_t* pixels, uint8_t* planes) {
  const size_t stride = shape.components;
  for (size_t begin = 0; begin < shape.plane_bytes; begin = TileEnd(begin, shape.plane_bytes)) {
    const size_t end = TileEnd(begin, shape.plane_bytes);
    for (uint32_t j = 0; j < shape.components; ++j) {
      const uint8_t* __restrict from = pixels + begin * stride + j;
      uint8_t* __restrict to = planes + place[j] * shape.plane_bytes;
      for (size_t x = begin; x < end; ++x, from += stride) to[x] = *from;
    }
  }
}

void PlanesToPixelsPlain(PlaneShape shape, const uint32_t* place, const uint8_t* planes, uint8_t* pixels) {
  const size_t stride = shape.components;
  for (size_t begin = 0; begin < shape.plane_bytes; begin = TileEnd(begin, shape.plane_bytes)) {
    const size_t end = TileEnd(begin, shape.plane_bytes);
    for (uint32_t j = 0; j < shape.components; ++j) {
      const uint8_t* __restrict from = planes + place[j] * shape.plane_bytes;
      uint8_t* __restrict to = pixels + begin * stride + j;
      for (size_t x = begin; x < end; ++x, to += stride) *to = from[x];
    }
  }
}

}  // namespace fmtc
