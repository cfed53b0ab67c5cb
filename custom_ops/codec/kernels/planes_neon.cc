// Components interleaved to and from planes with NEON.
#if defined(__aarch64__)
#include <arm_neon.h>

#include "codec/kernels/arm_kernels.h"
#include "codec/plain_kernels.h"
#include "cpu/target.h"
// These last: they include nothing but one another.
#include "codec/kernels/planes-inl.h"
#include "simd/pieces_neon-inl.h"

namespace fmtc {
namespace {

bool HasTile(PlaneShape shape) { return shape.components >= kPieceBytes && shape.plane_bytes >= kPieceBytes; }

}  // namespace

void PlanesToPixelsNeon(PlaneShape shape, const uint32_t* place, const uint8_t* planes, uint8_t* pixels) {
  if (!HasTile(shape)) return PlanesToPixelsPlain(shape, place, planes, pixels);
  TransposeToPixels<OnePiece>(shape, place, planes, pixels);
}

void PixelsToPlanesNeon(PlaneShape shape, const uint32_t* place, const uint8_t* pixels, uint8_t* planes) {
  if (!HasTile(shape)) return PixelsToPlanesPlain(shape, place, pixels, planes);
  TransposeToPlanes<OnePiece>(shape, place, pixels, planes);
}

}  // namespace fmtc
#endif
