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

// Rounds what fits 32 bits; all else becomes p.outside.
template <typename T>
uint8_t RoundedOrOutside(T product, T (*round)(T), const QuantizeParameters& p) {
  const T rounded = round(product);
  if (!(rounded >= T{-2147483648.0} && rounded < T{2147483648.0})) return p.outside;
  return AddZeroAndClamp(static_cast<int32_t>(rounded), {p.zero, p.low, p.high});
}

// XNNPACK's: what lies beyond 32 bits is clamped, no number is the highest value.
uint8_t RoundedOrClamped(float product, const QuantizeParameters& p) {
  if (!(product < 2147483648.0f)) return p.high;
  if (product < -2147483648.0f) return p.low;
  return AddZeroAndClamp(static_cast<int32_t>(std::nearbyint(product)), {p.zero, p.low, p.high});
}

uint8_t QuantizeValue(const QuantizeParameters& p, uint8_t rule, float x, bool in_vectors) {
  if (rule == 3) return RoundedOrClamped(x * p.inverse, p);
  if (rule == 1) return RoundedOrOutside<float>(x / p.scale, std::round, p);
  if (rule == 2 && in_vectors) return RoundedOrOutside<float>(x * p.inverse, std::nearbyint, p);
  return RoundedOrOutside<double>(static_cast<double>(x) / static_cast<double>(p.scale), std::round, p);
}

void RunQuantize(const OpView& op, const RowAccess& access, const RowKernels&, int32_t step) {
  const QuantizeParameters& p = op.parameters<QuantizeParameters>();
  BatchPlace place = PlaceInBatch(op, access, step);
  ForEachRun(op, access, step, [&](const uint8_t* in, ptrdiff_t count, uint8_t* out) {
    for (ptrdiff_t i = 0; i < count; ++i, ++place.index) {
      const float x = Load<float>(in + i * static_cast<ptrdiff_t>(sizeof(float)));
      out[i] = QuantizeValue(p, op.op->rule, x, place.index < place.vectors_end);
    }
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
