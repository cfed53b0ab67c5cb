#include "simd/packed_matrix.h"

namespace fmtc {
namespace {

size_t PackedRows(const PackedMatrix& packed) { return size_t{packed.groups()} * kMatrixGroup; }
size_t RowElements(const PackedMatrix& packed) { return size_t{packed.input_pairs()} * 2; }

}  // namespace

void LayOutMatrix(uint32_t outputs, uint32_t inputs, Layout* layout, PackedMatrix* packed) {
  *packed = {outputs, inputs, nullptr, nullptr};
  packed->pairs = layout->Take<int16_t>(PackedRows(*packed) * RowElements(*packed));
  packed->bias = layout->Take<int32_t>(PackedRows(*packed));
}

void PackMatrix(const uint8_t* matrix, const uint8_t* bias, PackedMatrix* packed) {
  const size_t rows = PackedRows(*packed);
  const size_t row_elements = RowElements(*packed);
  memset(packed->pairs, 0, rows * row_elements * sizeof(int16_t));
  memset(packed->bias, 0, rows * sizeof(int32_t));
  for (size_t i = 0; i < packed->outputs; ++i) {
    int16_t* const group = packed->pairs + i / kMatrixGroup * kMatrixGroup * row_elements;
    for (size_t j = 0; j < packed->inputs; ++j, matrix += sizeof(int16_t)) {
      group[(j / 2 * kMatrixGroup + i % kMatrixGroup) * 2 + j % 2] = Load<int16_t>(matrix);
    }
    packed->bias[i] = Load<int32_t>(bias + sizeof(int32_t) * i);
  }
}

}  // namespace fmtc
