// QUANTIZE, DEQUANTIZE and CAST: from one element type to another.
#include <cmath>

#include "base/bytes.h"
#include "region/each_run.h"
#include "region/kind.h"

namespace fmtc::region {
namespace {

// What the runtimes' vectors take at a time: the values that are left at the end of the batch have a rule of their own.
constexpr uint64_t kVectorValues = 8;

// Where values of a step stand in the whole batch.
struct BatchPlace {
  uint64_t index;  // of the first channel of the window's first column
  uint64_t vectors_end;
};

BatchPlace PlaceInBatch(const OpView& op, const RowAccess& access, int32_t step) {
  const TensorRecord& t = op.input(0);
  const uint64_t of_row = uint64_t{t.width} * t.channels;
  const uint64_t of_item = of_row * t.height;
  const uint64_t count = of_item * static_cast<uint64_t>(access.batch);
  const uint64_t column = static_cast<uint64_t>(access.Window(op).first);
  const uint64_t row = of_item * static_cast<uint64_t>(access.item) + of_row * static_cast<uint64_t>(step);
  return {row + column * t.channels, count - count % kVectorValues};
}

Status CheckQuantize(const OpView& op) {
  const QuantizeParameters& p = op.parameters<QuantizeParameters>();
  if (!IsRule(op, 4)) return Status::kProgramUnsupported;
  return ValidIf(p.reserved == 0 && op.input(0).type == kFloat32 && IsScratch8Bit(op.output()) &&
                 HasShape(op.input(0), op.output()) && p.scale > 0 && std::isfinite(p.scale) && p.inverse > 0 &&
                 std::isfinite(p.inverse));
}

// In pieces, where pixels of the output lie apart.
void QuantizePieces(const TensorRecord& out, int32_t columns, void (*quantize)(const QuantizeRun&),
                    const RowKernels& kernels, QuantizeRun run) {
  constexpr int32_t kPieceBytes = kMicro ? 64 : 1536;  // on the stack
  uint8_t piece[kPieceBytes];
  uint8_t* to = run.out;
  const int32_t channels = static_cast<int32_t>(out.channels);
  const bool fits = channels <= kPieceBytes;
  const int32_t together = fits ? kPieceBytes / channels : 1;
  for (int32_t column = 0; column < columns; column += together) {
    const int32_t count = columns - column < together ? columns - column : together;
    run.count = ptrdiff_t{count} * channels;
    run.out = fits ? piece : to;
    quantize(run);
    if (fits) kernels.move_pixels({piece, channels, to, static_cast<ptrdiff_t>(out.pixel_bytes), channels, count, 0});
    run.in += run.count * static_cast<ptrdiff_t>(sizeof(float));
    run.first += static_cast<uint64_t>(run.count);
    to += count * static_cast<ptrdiff_t>(out.pixel_bytes);
  }
}

void RunQuantize(const OpView& op, const RowAccess& access, const RowKernels& kernels, int32_t step) {
  const BatchPlace place = PlaceInBatch(op, access, step);
  const auto quantize = kernels.quantize[op.op->rule];
  const TensorRecord& in = op.input(0);
  const TensorRecord& out = op.output();
  const Range columns = access.Window(op);
  QuantizeRun run{nullptr, 0, nullptr, &op.parameters<QuantizeParameters>(), place.index, place.vectors_end};
  if (in.pixel_bytes == in.channels * sizeof(float) && out.pixel_bytes != out.channels) {
    run.in = access.Read(in, step, columns.first);
    run.out = access.Write(out, step, columns.first);
    return QuantizePieces(out, NumColumns(columns), quantize, kernels, run);
  }
  ForEachRun(op, access, step, [&](const uint8_t* from, ptrdiff_t count, uint8_t* to) {
    run.in = from;
    run.count = count;
    run.out = to;
    quantize(run);
    run.first += static_cast<uint64_t>(count);
  });
}

Status CheckDequantize(const OpView& op) {
  const DequantizeParameters& p = op.parameters<DequantizeParameters>();
  if (!IsRule(op, 2)) return Status::kProgramUnsupported;
  return ValidIf(AreZero(p.reserved0) && AreZero(p.reserved1) && IsScratch8Bit(op.input(0)) &&
                 op.output().type == kFloat32 && HasShape(op.input(0), op.output()));
}

void RunDequantize(const OpView& op, const RowAccess& access, const RowKernels&, int32_t step) {
  const DequantizeParameters& p = op.parameters<DequantizeParameters>();
  BatchPlace place = PlaceInBatch(op, access, step);
  if (op.op->rule == 1) place.vectors_end = 0;
  ForEachRun(op, access, step, [&](const uint8_t* in, ptrdiff_t count, uint8_t* out) {
    for (ptrdiff_t i = 0; i < count; ++i, ++place.index) {
      float x = static_cast<float>(in[i] - p.zero) * p.scale;
      if (place.index < place.vectors_end) {
        const float product = static_cast<float>(in[i] - p.offset) * p.scale;
        x = product + p.addend;
      }
      Store(out + i * static_cast<ptrdiff_t>(sizeof(float)), x);
    }
  });
}

Status CheckCast(const OpView& op) {
  const TensorRecord& input = op.input(0);
  if (!IsRule(op, 1)) return Status::kProgramUnsupported;
  return ValidIf(input.type != kFloat32 && op.output().type == kFloat32 && HasShape(input, op.output()));
}

template <typename T>
void CastValues(const uint8_t* in, ptrdiff_t count, uint8_t* out) {
  for (ptrdiff_t i = 0; i < count; ++i) {
    const T value = Load<T>(in + i * static_cast<ptrdiff_t>(sizeof(T)));
    Store(out + i * static_cast<ptrdiff_t>(sizeof(float)), static_cast<float>(value));
  }
}

// Of bytes that hold value + offset.
void CastBytes(const uint8_t* in, ptrdiff_t count, int32_t offset, uint8_t* out) {
  for (ptrdiff_t i = 0; i < count; ++i) {
    Store(out + i * static_cast<ptrdiff_t>(sizeof(float)), static_cast<float>(in[i] - offset));
  }
}

void RunCast(const OpView& op, const RowAccess& access, const RowKernels&, int32_t step) {
  const TensorRecord& input = op.input(0);
  ForEachRun(op, access, step, [&](const uint8_t* in, ptrdiff_t count, uint8_t* out) {
    if (input.type == kInt64) return CastValues<int64_t>(in, count, out);
    if (input.type == kInt32) return CastValues<int32_t>(in, count, out);
    if (input.type == kUInt8) return CastBytes(in, count, 0, out);
    if (input.place == kScratch) return CastBytes(in, count, 128, out);
    CastValues<int8_t>(in, count, out);
  });
}

constexpr Kind MakeQuantize() {
  Kind kind;
  kind.parameter_bytes = sizeof(QuantizeParameters);
  kind.check = CheckQuantize;
  kind.run = RunQuantize;
  return kind;
}

constexpr Kind MakeDequantize() {
  Kind kind;
  kind.parameter_bytes = sizeof(DequantizeParameters);
  kind.check = CheckDequantize;
  kind.run = RunDequantize;
  return kind;
}

constexpr Kind MakeCast() {
  Kind kind;
  kind.check = CheckCast;
  kind.run = RunCast;
  return kind;
}

}  // namespace

const Kind kQuantizeKind = MakeQuantize();
const Kind kDequantizeKind = MakeDequantize();
const Kind kCastKind = MakeCast();

}  // namespace fmtc::region
