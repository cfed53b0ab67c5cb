// TABLE, QUANTIZE, ADD, COPY and DEQUANTIZE.
#include <cmath>

#include "base/bytes.h"
#include "region/kind.h"

namespace fmtc::region {
namespace {

constexpr int32_t kMaxAddMultiplier = 1 << 21;  // with which a sum of rule 2 fits 32 bits
constexpr uint8_t kMaxAddShift = 30;

int32_t NumColumns(const Range& columns) { return columns.end - columns.first; }

bool IsRule(const OpView& op, uint8_t last) { return op.op->rule >= 1 && op.op->rule <= last; }

// Values of a step as one run, if nothing lies between the pixels of either tensor; else a pixel at a time.
template <class Function>
void ForEachRun(const OpView& op, const RowAccess& access, int32_t step, const Function& function) {
  const TensorRecord& in = op.input(0);
  const TensorRecord& out = op.output();
  const Range columns = access.Window(op);
  const uint8_t* from = access.Read(in, step, columns.first);
  uint8_t* to = access.Write(out, step, columns.first);
  const ptrdiff_t channels = out.channels;
  const bool dense =
      in.pixel_bytes == ElementBytes(in.type) * in.channels && out.pixel_bytes == ElementBytes(out.type) * out.channels;
  if (dense) return function(from, channels * NumColumns(columns), to);
  for (int32_t i = 0; i < NumColumns(columns); ++i) {
    function(from, channels, to);
    from += in.pixel_bytes;
    to += out.pixel_bytes;
  }
}

Status CheckTable(const OpView& op) {
  if (!IsRule(op, 1)) return Status::kProgramUnsupported;
  return ValidIf(Is8Bit(op.input(0)) && Is8Bit(op.output()) && HasShape(op.input(0), op.output()));
}

void RunTable(const OpView& op, const RowAccess& access, const RowKernels& kernels, int32_t step) {
  const uint8_t* table = op.parameters<TableParameters>().values;
  ForEachRun(op, access, step,
             [&](const uint8_t* in, ptrdiff_t count, uint8_t* out) { kernels.look_up(table, in, count, out); });
}

// Two tensors of 8 bits, or two of the same type.
Status CheckCopy(const OpView& op) {
  if (!IsRule(op, 1)) return Status::kProgramUnsupported;
  const TensorRecord& in = op.input(0);
  const TensorRecord& out = op.output();
  return ValidIf(HasShape(in, out) && (in.type == out.type || (Is8Bit(in) && Is8Bit(out))));
}

void RunCopy(const OpView& op, const RowAccess& access, const RowKernels&, int32_t step) {
  const uint8_t flip = SignFlip(op.input(0)) ^ SignFlip(op.output());
  ForEachRun(op, access, step, [&](const uint8_t* in, ptrdiff_t count, uint8_t* out) {
    const ptrdiff_t bytes = count * static_cast<ptrdiff_t>(ElementBytes(op.output().type));
    for (ptrdiff_t i = 0; i < bytes; ++i) out[i] = in[i] ^ flip;
  });
}

Status CheckQuantize(const OpView& op) {
  const QuantizeParameters& p = op.parameters<QuantizeParameters>();
  if (!IsRule(op, 4)) return Status::kProgramUnsupported;
  return ValidIf(p.reserved == 0 && op.input(0).place == kInput && op.input(0).type == kFloat32 &&
                 IsScratch8Bit(op.output()) && HasShape(op.input(0), op.output()) && p.scale > 0 &&
                 std::isfinite(p.scale) && p.inverse > 0 && std::isfinite(p.inverse));
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

// Value `index` of the batch, of `count` ones.
uint8_t QuantizeValue(const QuantizeParameters& p, uint8_t rule, float x, uint64_t index, uint64_t count) {
  if (rule == 3) return RoundedOrClamped(x * p.inverse, p);
  if (rule == 1) return RoundedOrOutside<float>(x / p.scale, std::round, p);
  if (rule == 2 && index < count - count % 8) return RoundedOrOutside<float>(x * p.inverse, std::nearbyint, p);
  return RoundedOrOutside<double>(static_cast<double>(x) / static_cast<double>(p.scale), std::round, p);
}

void RunQuantize(const OpView& op, const RowAccess& access, const RowKernels&, int32_t step) {
  const QuantizeParameters& p = op.parameters<QuantizeParameters>();
  const TensorRecord& in = op.input(0);
  const uint64_t of_item = ItemBytes(in) / sizeof(float);
  const uint64_t count = of_item * static_cast<uint64_t>(access.batch);
  const Range columns = access.Window(op);
  uint64_t index = of_item * static_cast<uint64_t>(access.item) +
                   static_cast<uint64_t>(access.PixelOffset(in, step, columns.first)) / sizeof(float);
  for (int32_t column = columns.first; column < columns.end; ++column) {
    const uint8_t* from = access.Read(in, step, column);
    uint8_t* to = access.Write(op.output(), step, column);
    for (uint32_t c = 0; c < in.channels; ++c, ++index) {
      to[c] = QuantizeValue(p, op.op->rule, Load<float>(from + c * sizeof(float)), index, count);
    }
  }
}

Status CheckDequantize(const OpView& op) {
  if (!IsRule(op, 1)) return Status::kProgramUnsupported;
  return ValidIf(AreZero(op.parameters<DequantizeParameters>().reserved) && IsScratch8Bit(op.input(0)) &&
                 op.output().place == kOutput && op.output().type == kFloat32 && HasShape(op.input(0), op.output()));
}

void RunDequantize(const OpView& op, const RowAccess& access, const RowKernels&, int32_t step) {
  const DequantizeParameters& p = op.parameters<DequantizeParameters>();
  ForEachRun(op, access, step, [&](const uint8_t* in, ptrdiff_t count, uint8_t* out) {
    for (ptrdiff_t i = 0; i < count; ++i) {
      Store(out + i * static_cast<ptrdiff_t>(sizeof(float)), static_cast<float>(in[i] - p.zero) * p.scale);
    }
  });
}

bool FitsAddNumbers(const AddParameters& p, uint8_t rule) {
  if (p.zero_a < 0 || p.zero_a > 255 || p.zero_b < 0 || p.zero_b > 255) return false;
  if (rule == 2) {
    return p.shift >= 1 && p.shift <= kMaxAddShift && std::abs(int64_t{p.multiplier_a}) <= kMaxAddMultiplier &&
           std::abs(int64_t{p.multiplier_b}) <= kMaxAddMultiplier;
  }
  return p.multiplier_a >= 0 && p.multiplier_b >= 0 && p.multiplier_sum >= 0 && p.shift_a >= kMinShift &&
         p.shift_a <= 0 && p.shift_b >= kMinShift && p.shift_b <= 0 && p.shift_sum >= kMinShift &&
         p.shift_sum <= kMaxShift;
}

Status CheckAdd(const OpView& op) {
  const AddParameters& p = op.parameters<AddParameters>();
  const TensorRecord& out = op.output();
  if (!IsRule(op, kNumAddRules - 1)) return Status::kProgramUnsupported;
  const bool fits = FitsAddNumbers(p, op.op->rule) && p.reserved0 == 0 && AreZero(p.reserved1) && IsScratch8Bit(out) &&
                    IsScratch8Bit(op.input(0)) && HasShape(op.input(0), out);
  if (op.op->inputs == 1) return ValidIf(fits && op.program->Has(p.constants_offset, PaddedTo16(out.channels), 1, 1));
  const TensorRecord& b = op.input(1);
  return ValidIf(fits && p.constants_offset == 0 && IsScratch8Bit(b) && ServesRowsAndColumns(b, out) &&
                 b.channels == out.channels);
}

void RunAdd(const OpView& op, const RowAccess& access, const RowKernels& kernels, int32_t step) {
  const Range columns = access.Window(op);
  AddRow row{};
  row.parameters = &op.parameters<AddParameters>();
  row.a = access.Read(op.input(0), step, columns.first);
  row.a_pixel_bytes = op.input(0).pixel_bytes;
  if (op.op->inputs == 2) {
    const TensorRecord& b = op.input(1);
    row.b = access.Read(b, SameOrOnlyRow(op, 1, step).first, SameOrOnlyColumns(op, 1, columns).first);
    row.b_pixel_bytes = b.width == 1 ? 0 : b.pixel_bytes;
  } else {
    row.b = op.program->At<uint8_t>(row.parameters->constants_offset);
  }
  row.out = access.Write(op.output(), step, columns.first);
  row.out_pixel_bytes = op.output().pixel_bytes;
  row.channels = static_cast<int32_t>(op.output().channels);
  row.columns = NumColumns(columns);
  kernels.add[op.op->rule](row);
}

constexpr Kind MakeTable() {
  Kind kind;
  kind.parameter_bytes = sizeof(TableParameters);
  kind.check = CheckTable;
  kind.run = RunTable;
  return kind;
}

constexpr Kind MakeQuantize() {
  Kind kind;
  kind.parameter_bytes = sizeof(QuantizeParameters);
  kind.check = CheckQuantize;
  kind.run = RunQuantize;
  return kind;
}

constexpr Kind MakeAdd() {
  Kind kind;
  kind.parameter_bytes = sizeof(AddParameters);
  kind.max_inputs = 2;
  kind.check = CheckAdd;
  kind.rows = SameOrOnlyRow;
  kind.columns = SameOrOnlyColumns;
  kind.run = RunAdd;
  return kind;
}

constexpr Kind MakeCopy() {
  Kind kind;
  kind.check = CheckCopy;
  kind.run = RunCopy;
  return kind;
}

constexpr Kind MakeDequantize() {
  Kind kind;
  kind.parameter_bytes = sizeof(DequantizeParameters);
  kind.check = CheckDequantize;
  kind.run = RunDequantize;
  return kind;
}

}  // namespace

const Kind kTableKind = MakeTable();
const Kind kQuantizeKind = MakeQuantize();
const Kind kAddKind = MakeAdd();
const Kind kCopyKind = MakeCopy();
const Kind kDequantizeKind = MakeDequantize();

}  // namespace fmtc::region
