// SOFTMAX of each pixel's channels in fixed point, as the reference kernels of TensorFlow Lite Micro have it. What
// depends on the input's scale is an array of the program.
#include "base/rounding.h"
#include "region/each_run.h"
#include "region/kind.h"

namespace fmtc::region {
namespace {

constexpr uint32_t kNumExponentials = 256;  // of the differences from the largest value
constexpr uint32_t kMostChannels = 4095;    // whose sum fits 32 bits
constexpr int32_t kSumShift = 12;           // from an exponential, a fraction of 31 bits, to what is summed up
constexpr int32_t kOutputBits = 8;

FMTC_SELDOM Status CheckSoftmax(const OpView& op) {
  const SoftmaxParameters& p = op.parameters<SoftmaxParameters>();
  if (!IsRule(op, 1)) return Status::kProgramUnsupported;
  const TensorRecord& out = op.output();
  const bool fits = IsScratch8Bit(op.input(0)) && IsScratch8Bit(out) && HasShape(op.input(0), out) &&
                    AreZero(p.reserved) && out.channels <= kMostChannels &&
                    op.program->Has(p.exponentials_offset, kNumExponentials, sizeof(int32_t), 4);
  if (!fits) return Status::kProgramInvalid;
  const int32_t* exponentials = op.program->At<int32_t>(p.exponentials_offset);
  for (uint32_t i = 0; i < kNumExponentials; ++i) {
    if (exponentials[i] < 0) return Status::kProgramInvalid;
  }
  return ValidIf(exponentials[0] == INT32_MAX);
}

// Of what never saturates.
FMTC_ONE_COPY int32_t High(int32_t a, int32_t b) {
  return static_cast<int32_t>((int64_t{a} * b + (int64_t{1} << 30)) >> 31);
}

// value * 2^shift, clamped to 32 bits.
FMTC_ONE_COPY int32_t ShiftSaturated(int32_t value, int32_t shift) {
  return Saturate(int64_t{value} * (int64_t{1} << shift));
}

// 1 / (1 + x) for x in [0, 1), both fractions of 31 bits: three of Newton's steps in numbers of 2 bits and 29.
int32_t ReciprocalOfOnePlus(int32_t x) {
  constexpr int32_t k48Over17 = 1515870810, kMinus32Over17 = -1010580540, kOne = 1 << 29;
  const int64_t sum = int64_t{x} + INT32_MAX;
  const int32_t half_denominator = static_cast<int32_t>((sum + 1) / 2);
  int32_t reciprocal = k48Over17 + High(half_denominator, kMinus32Over17);
  for (int i = 0; i < 3; ++i) {
    const int32_t error = kOne - High(half_denominator, reciprocal);
    reciprocal += ShiftSaturated(High(reciprocal, error), 2);
  }
  return ShiftSaturated(reciprocal, 1);
}

void SoftmaxPixel(const uint8_t* in, const int32_t* exponentials, int32_t channels, uint8_t* out) {
  int32_t largest = 0;
  for (int32_t c = 0; c < channels; ++c) largest = in[c] > largest ? in[c] : largest;
  uint32_t sum = 0;  // that of the largest value alone is 2^19
  for (int32_t c = 0; c < channels; ++c) {
    sum += static_cast<uint32_t>(ShiftHalfAway(exponentials[largest - in[c]], kSumShift));
  }
  const int32_t zeros = __builtin_clz(sum);
  const int32_t scale = ReciprocalOfOnePlus(static_cast<int32_t>((sum << zeros) - (uint32_t{1} << 31)));
  const int32_t shift = kSumShift - zeros + 31 - kOutputBits;
  for (int32_t c = 0; c < channels; ++c) {
    const int32_t product = High(scale, exponentials[largest - in[c]]);
    out[c] = AddZeroAndClamp(shift > 31 ? 0 : ShiftHalfAway(product, shift), {0, 0, 255});
  }
}

FMTC_SELDOM void RunSoftmax(const OpView& op, const RowAccess& access, const RowKernels&, int32_t step) {
  const int32_t* exponentials = op.program->At<int32_t>(op.parameters<SoftmaxParameters>().exponentials_offset);
  const TensorRecord& in = op.input(0);
  const TensorRecord& out = op.output();
  const Range columns = access.Window(op);
  const uint8_t* from = access.Read(in, step, columns.first);
  uint8_t* to = access.Write(out, step, columns.first);
  for (int32_t i = 0; i < NumColumns(columns); ++i, from += in.pixel_bytes, to += out.pixel_bytes) {
    SoftmaxPixel(from, exponentials, static_cast<int32_t>(out.channels), to);
  }
}

constexpr Kind MakeSoftmax() {
  Kind kind;
  kind.parameter_bytes = sizeof(SoftmaxParameters);
  kind.check = CheckSoftmax;
  kind.run = RunSoftmax;
  return kind;
}

}  // namespace

const Kind kSoftmaxKind = MakeSoftmax();

}  // namespace fmtc::region
