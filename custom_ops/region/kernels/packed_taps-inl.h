// Convolutions with one input channel, whose pixels of 4 bytes have 3 of padding: four taps of a row become a word.
// Included by conv_rows-inl.h.
#ifndef FMTC_REGION_KERNELS_PACKED_TAPS_INL_H_
#define FMTC_REGION_KERNELS_PACKED_TAPS_INL_H_

namespace fmtc::region {
namespace {

constexpr int32_t kPackedWords = 2048;  // at a time
static_assert(kPackedWords / kMaxPackedSteps > kWordsOfPacking);

// Words of all steps, one step's behind the other's. A step of a row of padding has one word for all columns.
struct PackedColumns {
  KernelRow rows[kMaxPackedSteps];
  uint32_t words[kPackedWords];
};

// Packs columns [first, first + columns), of `words` words a step.
void PackColumns(const MacRow& row, int32_t first, int32_t columns, int32_t words, PackedColumns* packed) {
  const TapPacking packing(row.stride);
  KernelRow* step = packed->rows;
  uint32_t* out = packed->words;
  for (int i = 0; i < row.kernel_rows; ++i) {
    const ptrdiff_t column_bytes = row.rows[i].column_bytes;
    const bool is_padding = column_bytes == 0;
    const uint8_t* tap = row.rows[i].first + first * column_bytes;
    for (int32_t left = row.kernel_columns; left > 0; left -= kStepValues, tap += kStepValues * kPackedPixel) {
      packing.Pack(tap, left < kStepValues ? left : kStepValues, is_padding ? 1 : columns, out);
      *step++ = {reinterpret_cast<const uint8_t*>(out), is_padding ? 0 : ptrdiff_t{sizeof(*out)}};
      out += words;
    }
  }
}

// function(row) of columns whose taps are words, until all are done.
template <class Function>
FMTC_INLINE void ForPackedColumns(const MacRow& row, const Function& function) {
  PackedColumns packed;
  MacRow part = row;
  part.rows = packed.rows;
  part.kernel_rows = NumPackedSteps(row);
  part.kernel_columns = 1;
  part.in_channels = kStepValues;
  part.weights = row.packed_weights;
  part.packed_weights = nullptr;
  const int32_t words = kPackedWords / part.kernel_rows, most = words - kWordsOfPacking + 1;
  for (int32_t x = 0; x < row.columns; x += most) {
    part.columns = row.columns - x < most ? row.columns - x : most;
    part.out = row.out + x * row.out_pixel_bytes;
    PackColumns(row, x, part.columns, words, &packed);
    function(part);
  }
}

}  // namespace
}  // namespace fmtc::region

#endif  // FMTC_REGION_KERNELS_PACKED_TAPS_INL_H_
