// What windows of convolutions and pools reach of their input.
#ifndef FMTC_REGION_WINDOW_H_
#define FMTC_REGION_WINDOW_H_

#include "region/parameters.h"
#include "region/program.h"

namespace fmtc::region {

// Whether every row and column of the output has a window that meets the input.
bool FitsWindow(const WindowParameters& window, const TensorRecord& input, const TensorRecord& output);

// Rows and columns under windows, also those outside the input; empty where numbers overflow.
Range RowsUnder(const WindowParameters& window, int32_t output_row);
Range ColumnsUnder(const WindowParameters& window, Range output_columns);

inline Range Clip(Range range, uint32_t size) {
  const int32_t end = static_cast<int32_t>(size);
  return {range.first < 0 ? 0 : range.first, range.end > end ? end : range.end};
}

// Bytes of a row from the first to behind the last pixel under a window.
uint64_t SpanBytes(const WindowParameters& window, const TensorRecord& input);

}  // namespace fmtc::region

#endif  // FMTC_REGION_WINDOW_H_
