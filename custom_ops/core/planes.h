// Rows of the map (components interleaved) to and from segment order (one plane of rows * width bytes a component).
#ifndef FMTC_CORE_PLANES_H_
#define FMTC_CORE_PLANES_H_

#include <cstddef>
#include <cstdint>

#include "core/predict.h"

namespace fmtc {

// Plane i holds component order[i]; `planes` points at the row's place in plane 0, planes are `plane_bytes` apart.
void RowToPlanes(RowShape shape, const uint32_t* order, const uint8_t* row, size_t plane_bytes, uint8_t* planes);
void PlanesToRow(RowShape shape, const uint32_t* order, const uint8_t* planes, size_t plane_bytes, uint8_t* row);

}  // namespace fmtc

#endif  // FMTC_CORE_PLANES_H_
