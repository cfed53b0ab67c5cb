// Components interleaved to and from planes with NEON: blocks of 16 components and 16 pixels, transposed in registers.
#if defined(__aarch64__)
#include <arm_neon.h>

#include "core/plain_kernels.h"
#include "kernels/arm_kernels.h"
#include "kernels/target.h"

namespace fmtc {
namespace {

constexpr size_t kSide = 16;

struct Block {
  uint8x16_t rows[kSide];

  // A transposition is four times this: the first eight rows interleaved with the last eight.
  FMTC_INLINE Block Interleave() const {
    Block out;
    for (size_t i = 0; i < kSide / 2; ++i) {
      out.rows[2 * i] = vzip1q_u8(rows[i], rows[i + kSide / 2]);
      out.rows[2 * i + 1] = vzip2q_u8(rows[i], rows[i + kSide / 2]);
    }
    return out;
  }

  FMTC_INLINE Block Transpose() const { return Interleave().Interleave().Interleave().Interleave(); }
};

// Calls move(component, pixel) for blocks that cover everything; those at the edges overlap their neighbours.
template <typename Move>
FMTC_INLINE void ForEachBlock(PlaneShape shape, const Move& move) {
  const size_t last_component = shape.components - kSide;
  const size_t last_pixel = shape.plane_bytes - kSide;
  for (size_t j = 0;; j = j + kSide < last_component ? j + kSide : last_component) {
    for (size_t x = 0;; x = x + kSide < last_pixel ? x + kSide : last_pixel) {
      move(j, x);
      if (x == last_pixel) break;
    }
    if (j == last_component) break;
  }
}

bool HasBlock(PlaneShape shape) { return shape.components >= kSide && shape.plane_bytes >= kSide; }

}  // namespace

void PlanesToPixelsNeon(PlaneShape shape, const uint32_t* place, const uint8_t* planes, uint8_t* pixels) {
  if (!HasBlock(shape)) return PlanesToPixelsPlain(shape, place, planes, pixels);
  ForEachBlock(shape, [=](size_t component, size_t pixel) {
    Block block;
    for (size_t i = 0; i < kSide; ++i) {
      block.rows[i] = vld1q_u8(planes + place[component + i] * shape.plane_bytes + pixel);
    }
    block = block.Transpose();
    uint8_t* const to = pixels + pixel * shape.components + component;
    for (size_t i = 0; i < kSide; ++i) vst1q_u8(to + i * shape.components, block.rows[i]);
  });
}

void PixelsToPlanesNeon(PlaneShape shape, const uint32_t* place, const uint8_t* pixels, uint8_t* planes) {
  if (!HasBlock(shape)) return PixelsToPlanesPlain(shape, place, pixels, planes);
  ForEachBlock(shape, [=](size_t component, size_t pixel) {
    Block block;
    const uint8_t* const from = pixels + pixel * shape.components + component;
    for (size_t i = 0; i < kSide; ++i) block.rows[i] = vld1q_u8(from + i * shape.components);
    block = block.Transpose();
    for (size_t i = 0; i < kSide; ++i) {
      vst1q_u8(planes + place[component + i] * shape.plane_bytes + pixel, block.rows[i]);
    }
  });
}

}  // namespace fmtc
#endif
