#include "core/planes.h"

namespace fmtc {
namespace {

// Pixels that are handled together, so that their interleaved side stays in the first-level cache.
constexpr uint32_t kTilePixels = 64;

uint32_t TileEnd(uint32_t begin, uint32_t width) { return width - begin < kTilePixels ? width : begin + kTilePixels; }

}  // namespace

void RowToPlanes(RowShape shape, const uint32_t* order, const uint8_t* row, size_t plane_bytes, uint8_t* planes) {
  const size_t stride = shape.components;
  for (uint32_t begin = 0; begin < shape.width; begin = TileEnd(begin, shape.width)) {
    const uint32_t end = TileEnd(begin, shape.width);
    for (uint32_t i = 0; i < shape.components; ++i) {
      const uint8_t* __restrict from = row + begin * stride + order[i];
      uint8_t* __restrict to = planes + i * plane_bytes;
      for (uint32_t x = begin; x < end; ++x, from += stride) to[x] = *from;
    }
  }
}

void PlanesToRow(RowShape shape, const uint32_t* order, const uint8_t* planes, size_t plane_bytes, uint8_t* row) {
  const size_t stride = shape.components;
  for (uint32_t begin = 0; begin < shape.width; begin = TileEnd(begin, shape.width)) {
    const uint32_t end = TileEnd(begin, shape.width);
    for (uint32_t i = 0; i < shape.components; ++i) {
      const uint8_t* __restrict from = planes + i * plane_bytes;
      uint8_t* __restrict to = row + begin * stride + order[i];
      for (uint32_t x = begin; x < end; ++x, to += stride) *to = from[x];
    }
  }
}

}  // namespace fmtc
