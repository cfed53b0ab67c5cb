#include "simd/packed_matrix.h"

#include "base/bytes.h"

namespace fmtc {

size_t PackedMatrixBytes(uint32_t outputs, uint32_t inputs) {
  const PackedMatrix shape{outputs, inputs, nullptr, nullptr};
  const size_t rows = size_t{shape.groups()} * kMatrixGroup;
  return MemoryCarver::PieceBytes(rows * shape.input_pairs() * 2 * sizeof(int16_t)) +
         MemoryCarver::PieceBytes(rows * sizeof(int32_t));
}

void PackMatrix(const uint8_t* matrix, const uint8_t* bias, uint32_t outputs, uint32_t inputs, uint8_t* memory,
                PackedMatrix* packed) {
  *packed = {outputs, inputs, nullptr, nullptr};
  const size_t rows = size_t{packed->groups()} * kMatrixGroup;
  const size_t row_elements = size_t{packed->input_pairs()} * 2;
  MemoryCarver carver(memory);
  int16_t* const pairs = carver.Take<int16_t>(rows * row_elements);
  int32_t* const biases = carver.Take<int32_t>(rows);
  memset(pairs, 0, rows * row_elements * sizeof(int16_t));
  memset(biases, 0, rows * sizeof(int32_t));
  for (size_t i = 0; i < outputs; ++i) {
    int16_t* const group = pairs + i / kMatrixGroup * kMatrixGroup * row_elements;
    for (size_t j = 0; j < inputs; ++j, matrix += sizeof(int16_t)) {
      group[(j / 2 * kMatrixGroup + i % kMatrixGroup) * 2 + j % 2] = Load<int16_t>(matrix);
    }
    biases[i] = Load<int32_t>(bias + sizeof(int32_t) * i);
  }
  packed->pairs = pairs;
  packed->bias = biases;
}

}  // namespace fmtc
