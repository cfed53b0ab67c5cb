#include "region/window.h"

namespace fmtc::region {
namespace {

// One axis.
struct Axis {
  int32_t kernel, stride, dilation, padding;
};

Axis RowAxis(const WindowParameters& w) { return {w.kernel_rows, w.row_stride, w.row_dilation, w.above}; }
Axis ColumnAxis(const WindowParameters& w) { return {w.kernel_columns, w.column_stride, w.column_dilation, w.left}; }

bool FitsAxis(const Axis& axis, uint32_t input, uint32_t output) {
  if (axis.kernel < 1 || axis.stride < 1 || axis.dilation < 1) return false;
  const int64_t last_of_first = (int64_t{axis.kernel} - 1) * axis.dilation - axis.padding;
  const int64_t first_of_last = (int64_t{output} - 1) * axis.stride - axis.padding;
  return last_of_first >= 0 && first_of_last < int64_t{input};
}

Range Under(const Axis& axis, int64_t first, int64_t end) {
  const int64_t from = first * axis.stride - axis.padding;
  const int64_t to = (end - 1) * axis.stride - axis.padding + (int64_t{axis.kernel} - 1) * axis.dilation + 1;
  if (to > INT32_MAX) return {0, 0};
  return {static_cast<int32_t>(from), static_cast<int32_t>(to)};
}

}  // namespace

bool FitsWindow(const WindowParameters& window, const TensorRecord& input, const TensorRecord& output) {
  return FitsAxis(RowAxis(window), input.height, output.height) &&
         FitsAxis(ColumnAxis(window), input.width, output.width);
}

Range RowsUnder(const WindowParameters& window, int32_t output_row) {
  return Under(RowAxis(window), output_row, int64_t{output_row} + 1);
}

Range ColumnsUnder(const WindowParameters& window, Range output_columns) {
  return Under(ColumnAxis(window), output_columns.first, output_columns.end);
}

uint64_t SpanBytes(const WindowParameters& window, const TensorRecord& input) {
  return ((uint64_t{window.kernel_columns} - 1) * window.column_dilation + 1) * input.pixel_bytes;
}

}  // namespace fmtc::region
