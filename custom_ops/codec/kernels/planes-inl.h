// Planes to and from pixels by transposition, with vectors as simd/transpose-inl.h wants them, wide ones first. To be
// included between FMTC_BEGIN_TARGET_* and FMTC_END_TARGET, behind codec/kernels.h.
#ifndef FMTC_CODEC_KERNELS_PLANES_INL_H_
#define FMTC_CODEC_KERNELS_PLANES_INL_H_

#include "simd/transpose-inl.h"

namespace fmtc {
namespace {

template <typename... Vs>
FMTC_INLINE void TransposeToPixels(PlaneShape shape, const uint32_t* place, const uint8_t* planes, uint8_t* pixels) {
  TransposeWith<Vs...>(PlacedRows{place, shape.plane_bytes}, 0, shape.components, shape.plane_bytes, planes,
                       PlainRows{shape.components}, pixels);
}

template <typename... Vs>
FMTC_INLINE void TransposeToPlanes(PlaneShape shape, const uint32_t* place, const uint8_t* pixels, uint8_t* planes) {
  TransposeWith<Vs...>(PlainRows{shape.components}, 0, shape.plane_bytes, shape.components, pixels,
                       PlacedRows{place, shape.plane_bytes}, planes);
}

}  // namespace
}  // namespace fmtc

#endif  // FMTC_CODEC_KERNELS_PLANES_INL_H_
