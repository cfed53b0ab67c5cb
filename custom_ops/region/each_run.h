// For kinds whose outputs are made from the inputs at their own places.
#ifndef FMTC_REGION_EACH_RUN_H_
#define FMTC_REGION_EACH_RUN_H_

#include "region/kind.h"

namespace fmtc::region {

inline int32_t NumColumns(const Range& columns) { return columns.end - columns.first; }

// Values of a step as one run, if nothing lies between the pixels of either tensor; else a pixel at a time.
template <class Function>
void ForEachRun(const OpView& op, const RowAccess& access, int32_t step, const Function& function) {
  const TensorRecord& in = op.input(0);
  const TensorRecord& out = op.output();
  const Range columns = access.Window(op);
  const uint8_t* from = access.Read(in, step, columns.first);
  uint8_t* to = access.Write(out, step, columns.first);
  const ptrdiff_t channels = out.channels;
  const bool dense =
      in.pixel_bytes == ElementBytes(in.type) * in.channels && out.pixel_bytes == ElementBytes(out.type) * out.channels;
  if (dense) return function(from, channels * NumColumns(columns), to);
  for (int32_t i = 0; i < NumColumns(columns); ++i) {
    function(from, channels, to);
    from += in.pixel_bytes;
    to += out.pixel_bytes;
  }
}

// The pixels of a step's row, from the input's place to the output's, as bytes.
inline PixelRow MakePixelRow(const OpView& op, const RowAccess& access, int32_t step) {
  const TensorRecord& in = op.input(0);
  const TensorRecord& out = op.output();
  const Range columns = access.Window(op);
  PixelRow row{};
  row.in = access.Read(in, step, columns.first);
  row.in_pixel_bytes = in.pixel_bytes;
  row.out = access.Write(out, step, columns.first);
  row.out_pixel_bytes = out.pixel_bytes;
  row.channels = static_cast<int32_t>(out.channels * ElementBytes(out.type));
  row.columns = NumColumns(columns);
  return row;
}

// The same for two tensors whose elements have one size, as bytes: with what lies between the pixels, and where those
// of input and output differ in size, in place, once they have been moved. Lengths are the output's.
template <class Function>
void ForBytes(const OpView& op, const RowAccess& access, const RowKernels& kernels, int32_t step,
              const Function& function) {
  PixelRow row = MakePixelRow(op, access, step);
  const ptrdiff_t count = (row.columns - 1) * row.out_pixel_bytes + row.channels;
  if (row.in_pixel_bytes != row.out_pixel_bytes) {
    kernels.move_pixels(row);
    row.in = row.out;
  }
  function(row.in, count, row.out);
}

}  // namespace fmtc::region

#endif  // FMTC_REGION_EACH_RUN_H_
