#include "region/window.h"

namespace fmtc::region {
namespace {

bool FitsAxis(const WindowAxis& axis, uint32_t input, uint32_t output) {
  if (axis.kernel < 1 || axis.stride < 1 || axis.dilation < 1) return false;
  const int64_t last_of_first = (int64_t{axis.kernel} - 1) * axis.dilation - axis.padding;
  const int64_t first_of_last = (int64_t{output} - 1) * axis.stride - axis.padding;
  return last_of_first >= 0 && first_of_last < int64_t{input};
}

}  // namespace

FMTC_SELDOM bool FitsWindow(const WindowParameters& window, const TensorRecord& input, const TensorRecord& output) {
  return FitsAxis(WindowAxis::OfRows(window), input.height, output.height) &&
         FitsAxis(WindowAxis::OfColumns(window), input.width, output.width);
}

FMTC_SELDOM uint64_t SpanBytes(const WindowParameters& window, const TensorRecord& input) {
  return ((uint64_t{window.kernel_columns} - 1) * window.column_dilation + 1) * input.pixel_bytes;
}

}  // namespace fmtc::region
