// ARG_MAX: which channel of each pixel has the largest or the least value.
#include "base/bytes.h"
#include "region/kind.h"

namespace fmtc::region {
namespace {

enum ArgRule : uint8_t { kLargest = 1, kLeast = 2 };

Status CheckArgMax(const OpView& op) {
  const TensorRecord& input = op.input(0);
  const TensorRecord& output = op.output();
  if (op.op->rule != kLargest && op.op->rule != kLeast) return Status::kProgramUnsupported;
  return ValidIf(IsScratch8Bit(input) && (output.type == kInt32 || output.type == kInt64) &&
                 output.height == input.height && output.width == input.width && output.channels == 1);
}

// The first of several.
int32_t FirstLargest(const uint8_t* values, int32_t count, uint8_t flip) {
  int32_t best = 0;
  for (int32_t i = 1; i < count; ++i) {
    if ((values[i] ^ flip) > (values[best] ^ flip)) best = i;
  }
  return best;
}

void RunArgMax(const OpView& op, const RowAccess& access, const RowKernels&, int32_t step) {
  const TensorRecord& input = op.input(0);
  const TensorRecord& output = op.output();
  const Range columns = access.Window(op);
  const uint8_t flip = op.op->rule == kLeast ? uint8_t{0xFF} : uint8_t{0};  // turns the order around
  const uint8_t* from = access.Read(input, step, columns.first);
  uint8_t* to = access.Write(output, step, columns.first);
  for (int32_t column = columns.first; column < columns.end; ++column) {
    const int32_t found = FirstLargest(from, static_cast<int32_t>(input.channels), flip);
    if (output.type == kInt64) {
      Store(to, int64_t{found});
    } else {
      Store(to, found);
    }
    from += input.pixel_bytes;
    to += output.pixel_bytes;
  }
}

constexpr Kind MakeArgMax() {
  Kind kind;
  kind.check = CheckArgMax;
  kind.run = RunArgMax;
  return kind;
}

}  // namespace

const Kind kArgMaxKind = MakeArgMax();

}  // namespace fmtc::region
