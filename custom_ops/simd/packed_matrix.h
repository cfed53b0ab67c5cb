// The matrices of the transform, packed for products of many pixels (FORMAT.md section 4.2).
#ifndef FMTC_SIMD_PACKED_MATRIX_H_
#define FMTC_SIMD_PACKED_MATRIX_H_

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "base/layout.h"

namespace fmtc {

// Outputs that are computed together, a group.
constexpr uint32_t kMatrixGroup = 16;

// Pixels that are multiplied together.
constexpr uint32_t kMatrixPixels = 8;

// Rows of the stored matrix are outputs. Packed, pairs of neighbouring inputs lie together for each output, and the
// outputs of a group side by side: pairs[group][input / 2][output][input % 2]. Zeros fill up pairs and groups.
struct PackedMatrix {
  uint32_t outputs, inputs;
  int16_t* pairs;
  int32_t* bias;  // [groups * kMatrixGroup]

  uint32_t groups() const { return (outputs + kMatrixGroup - 1) / kMatrixGroup; }
  uint32_t input_pairs() const { return inputs / 2 + inputs % 2; }
};

// An element of a stored matrix times a value, for sums modulo 2^32: those of side information that was checked fit 32
// bits, but it may have changed since.
inline uint32_t ElementProduct(const uint8_t* element, int16_t value) {
  return static_cast<uint32_t>(Load<int16_t>(element) * int32_t{value});
}

// Takes the memory of a matrix of this shape.
void LayOutMatrix(uint32_t outputs, uint32_t inputs, Layout* layout, PackedMatrix* packed);

// Packs into memory that was laid out. `matrix`: [outputs][inputs] i16, `bias`: [outputs] i32, both little-endian and
// of any alignment.
void PackMatrix(const uint8_t* matrix, const uint8_t* bias, PackedMatrix* packed);

}  // namespace fmtc

#endif  // FMTC_SIMD_PACKED_MATRIX_H_
