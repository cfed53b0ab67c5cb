#include "region/steps.h"

#include <cstring>

namespace fmtc::region {

namespace {

// `columns` of them at a place, those channels that are the share's and, behind the last, the pixel's end.
FMTC_SELDOM FMTC_ONE_COPY void WritePixels(const RowAccess& access, const TensorRecord& tensor, int32_t columns,
                                           uint8_t* at) {
  const Range channels = access.share.channels;
  const size_t pixel = tensor.pixel_bytes;
  if (!kHasTeams || (channels.first == 0 && channels.end == static_cast<int32_t>(tensor.channels))) {
    memset(at, tensor.padding, pixel * static_cast<size_t>(columns));
    return;
  }
  const bool is_last = channels.end == static_cast<int32_t>(tensor.channels);
  const size_t first = static_cast<size_t>(channels.first);
  const size_t end = is_last ? pixel : static_cast<size_t>(channels.end);
  for (at += first; columns > 0; --columns, at += pixel) memset(at, tensor.padding, end - first);
}

}  // namespace

FMTC_SELDOM void WritePadding(const RowAccess& access, const TensorRecord& tensor, int32_t row) {
  const Range columns = access.share.columns;
  const int32_t left = tensor.left, width = static_cast<int32_t>(tensor.width);
  const ptrdiff_t pixel = tensor.pixel_bytes;
  uint8_t* const at = access.Write(tensor, row, columns.first);
  if (columns.first == 0) WritePixels(access, tensor, left, at - left * pixel);
  if (columns.end == width) WritePixels(access, tensor, tensor.right, at + (width - columns.first) * pixel);
}

RowAccess MakeAccess(const Program& program, const RunArguments& arguments, const State* state) {
  RowAccess access{};
  access.program = &program;
  access.state = state;
  access.scratch = access.private_scratch = arguments.scratch;
  access.inputs = arguments.inputs;
  access.outputs = arguments.outputs;
  access.batch = arguments.batch;
  return access;
}

}  // namespace fmtc::region
