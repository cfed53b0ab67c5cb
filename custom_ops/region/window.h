// What windows of convolutions and pools reach of their input.
#ifndef FMTC_REGION_WINDOW_H_
#define FMTC_REGION_WINDOW_H_

#include "base/features.h"
#include "region/parameters.h"
#include "region/program.h"

namespace fmtc::region {

// Rows or columns.
struct WindowAxis {
  int32_t kernel, stride, dilation, padding;

  static WindowAxis OfRows(const WindowParameters& w) { return {w.kernel_rows, w.row_stride, w.row_dilation, w.above}; }
  static WindowAxis OfColumns(const WindowParameters& w) {
    return {w.kernel_columns, w.column_stride, w.column_dilation, w.left};
  }
};

// Whether every row and column of the output has a window that meets the input.
bool FitsWindow(const WindowParameters& window, const TensorRecord& input, const TensorRecord& output);

// What lies under the windows of [first, end), also outside the input; empty where numbers overflow.
FMTC_SELDOM FMTC_ONE_COPY inline Range Under(const WindowAxis& axis, int64_t first, int64_t end) {
  const int64_t from = first * axis.stride - axis.padding;
  const int64_t to = (end - 1) * axis.stride - axis.padding + (int64_t{axis.kernel} - 1) * axis.dilation + 1;
  if (to > INT32_MAX) return {0, 0};
  return {static_cast<int32_t>(from), static_cast<int32_t>(to)};
}

inline Range RowsUnder(const WindowParameters& window, int32_t output_row) {
  return Under(WindowAxis::OfRows(window), output_row, int64_t{output_row} + 1);
}
inline Range ColumnsUnder(const WindowParameters& window, Range output_columns) {
  return Under(WindowAxis::OfColumns(window), output_columns.first, output_columns.end);
}

inline Range Clip(Range range, uint32_t size) {
  const int32_t end = static_cast<int32_t>(size);
  return {range.first < 0 ? 0 : range.first, range.end > end ? end : range.end};
}

// Bytes of a row from the first to behind the last pixel under a window.
uint64_t SpanBytes(const WindowParameters& window, const TensorRecord& input);

}  // namespace fmtc::region

#endif  // FMTC_REGION_WINDOW_H_
