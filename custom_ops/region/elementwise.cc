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

// Bytes of a step as one run, with what lies between the pixels. Where pixels of input and output differ in size, the
// function changes bytes in place that have been moved.
template <class Function>
void ForBytes(const OpView& op, const RowAccess& access, const RowKernels& kernels, int32_t step,
              const Function& function) {
  const TensorRecord& in = op.input(0);
  const TensorRecord& out = op.output();
  const Range columns = access.Window(op);
  PixelRow row{};
  row.in = access.Read(in, step, columns.first);
  row.in_pixel_bytes = in.pixel_bytes;
  row.out = access.Write(out, step, columns.first);
  row.out_pixel_bytes = out.pixel_bytes;
  row.channels = static_cast<int32_t>(out.channels);
  row.columns = NumColumns(columns);
  const ptrdiff_t count = (row.columns - 1) * row.out_pixel_bytes + row.channels;
  if (row.in_pixel_bytes == row.out_pixel_bytes) return function(row.in, count, row.out);
  kernels.move_pixels(row);
  function(row.out, count, row.out);
}

Status CheckTable(const OpView& op) {
  if (!IsRule(op, 1)) return Status::kProgramUnsupported;
  return ValidIf(Is8Bit(op.input(0)) && Is8Bit(op.output()) && HasShape(op.input(0), op.output()));
}

void RunTable(const OpView& op, const RowAccess& access, const RowKernels& kernels, int32_t step) {
  const uint8_t* table = op.parameters<TableParameters>().values;
  ForBytes(op, access, kernels, step,
           [&](const uint8_t* in, ptrdiff_t count, uint8_t* out) { kernels.look_up(table, in, count, out); });
}

Status CheckCopy(const OpView& op) { return CheckTable(op); }

void RunCopy(const OpView& op, const RowAccess& access, const RowKernels& kernels, int32_t step) {
  const uint8_t flip = SignFlip(op.input(0)) ^ SignFlip(op.output());
  ForBytes(op, access, kernels, step, [&](const uint8_t* in, ptrdiff_t count, uint8_t* out) {
    for (ptrdiff_t i = 0; i < count; ++i) out[i] = in[i] ^ flip;
  });
}

Status CheckQuantize(const OpView& op) {
  const QuantizeParameters& p = op.parameters<QuantizeParameters>();
  if (!IsRule(op, 4)) return Status::kProgramUnsupported;
  return ValidIf(p.reserved == 0 && op.input(0).place == kInput && op.input(0).type == kFloat32 &&
                 IsScratch8Bit(op.output()) && HasShape(op.input(0), op.output()) && p.scale > 0 &&
                 std::isfinite(p.scale) && p.inverse > 0 && std::isfinite(p.inverse));
}

// In pieces, where pixels of the output lie apart.
void RunQuantize(const OpView& op, const RowAccess& access, const RowKernels& kernels, int32_t step) {
  const TensorRecord& in = op.input(0);
  const TensorRecord& out = op.output();
  const Range columns = access.Window(op);
  const uint64_t of_item = ItemBytes(in) / sizeof(float);
  const int32_t channels = static_cast<int32_t>(in.channels);
  QuantizeRun run{};
  run.parameters = &op.parameters<QuantizeParameters>();
  run.in = access.Read(in, step, columns.first);
  run.first = of_item * static_cast<uint64_t>(access.item) +
              static_cast<uint64_t>(access.PixelOffset(in, step, columns.first)) / sizeof(float);
  run.total = of_item * static_cast<uint64_t>(access.batch);
  run.out = access.Write(out, step, columns.first);
  const auto quantize = kernels.quantize[op.op->rule];
  if (out.pixel_bytes == out.channels) {
    run.count = ptrdiff_t{NumColumns(columns)} * channels;
    return quantize(run);
  }
  constexpr int32_t kPieceBytes = 1536;
  uint8_t piece[kPieceBytes];
  uint8_t* to = run.out;
  const int32_t together = channels < kPieceBytes ? kPieceBytes / channels : 1;
  for (int32_t column = columns.first; column < columns.end; column += together) {
    const int32_t count = columns.end - column < together ? columns.end - column : together;
    run.count = ptrdiff_t{count} * channels;
    run.out = channels < kPieceBytes ? piece : to;
    quantize(run);
    if (run.out == piece) kernels.move_pixels({piece, channels, to, out.pixel_bytes, channels, count});
    run.in += run.count * static_cast<ptrdiff_t>(sizeof(float));
    run.first += static_cast<uint64_t>(run.count);
    to += count * static_cast<ptrdiff_t>(out.pixel_bytes);
  }
}

Status CheckDequantize(const OpView& op) {
  if (!IsRule(op, 1)) return Status::kProgramUnsupported;
  return ValidIf(AreZero(op.parameters<DequantizeParameters>().reserved) && IsScratch8Bit(op.input(0)) &&
                 op.output().place == kOutput && op.output().type == kFloat32 && HasShape(op.input(0), op.output()));
}

void RunDequantize(const OpView& op, const RowAccess& access, const RowKernels&, int32_t step) {
  const DequantizeParameters& p = op.parameters<DequantizeParameters>();
  const TensorRecord& in = op.input(0);
  const Range columns = access.Window(op);
  uint8_t* out = access.Write(op.output(), step, columns.first);
  for (int32_t column = columns.first; column < columns.end; ++column) {
    const uint8_t* from = access.Read(in, step, column);
    for (uint32_t c = 0; c < in.channels; ++c, out += sizeof(float)) {
      Store(out, static_cast<float>(from[c] - p.zero) * p.scale);
    }
  }
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
  if (!IsRule(op, 4)) return Status::kProgramUnsupported;
  bool fits = FitsAddNumbers(p, op.op->rule) && p.reserved0 == 0 && AreZero(p.reserved1) && IsScratch8Bit(op.output());
  for (int i = 0; i < op.op->inputs; ++i) {
    fits = fits && IsScratch8Bit(op.input(i)) && HasShape(op.input(i), op.output());
  }
  if (op.op->inputs == 2) return ValidIf(fits && p.constants_offset == 0);
  return ValidIf(fits && op.program->Has(p.constants_offset, PaddedTo16(op.output().channels), 1, 1));
}

void RunAdd(const OpView& op, const RowAccess& access, const RowKernels& kernels, int32_t step) {
  const Range columns = access.Window(op);
  AddRow row{};
  row.parameters = &op.parameters<AddParameters>();
  row.a = access.Read(op.input(0), step, columns.first);
  row.a_pixel_bytes = op.input(0).pixel_bytes;
  if (op.op->inputs == 2) {
    row.b = access.Read(op.input(1), step, columns.first);
    row.b_pixel_bytes = op.input(1).pixel_bytes;
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
