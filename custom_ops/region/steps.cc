#include "region/steps.h"

#include <cstring>

namespace fmtc::region {

FMTC_SELDOM void WritePixels(const RowAccess& access, const TensorRecord& tensor, int32_t row, int32_t first,
                             int32_t end) {
  const Range channels = access.share.channels;
  const bool is_last = channels.end == static_cast<int32_t>(tensor.channels);
  const size_t pixel = tensor.pixel_bytes, element = ElementBytes(tensor.type);
  const size_t begin = static_cast<size_t>(channels.first) * element;
  const size_t bytes = (is_last ? pixel : static_cast<size_t>(channels.end) * element) - begin;
  uint8_t* at = access.Write(tensor, row, first) + begin;
  if (!kHasTeams || bytes == pixel) {
    memset(at, tensor.padding, pixel * static_cast<size_t>(end - first));
    return;
  }
  for (int32_t column = first; column < end; ++column, at += pixel) memset(at, tensor.padding, bytes);
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
