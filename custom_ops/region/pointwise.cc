// MULTIPLY, EXTREMUM and PRELU: two operands, of which the second may be constants or serve many rows, columns or
// channels.
#include "region/kind.h"

namespace fmtc::region {
namespace {

constexpr uint32_t kInfinityBits = 0x7F800000;

// The operands' and the output's places and shapes, and the array of constants if there is one operand.
bool FitsOperands(const OpView& op, uint32_t constants_offset) {
  const TensorRecord& out = op.output();
  if (!IsScratch8Bit(out) || !IsScratch8Bit(op.input(0)) || !HasShape(op.input(0), out)) return false;
  if (op.op->inputs == 1) return op.program->Has(constants_offset, PaddedTo16(out.channels), 1, 1);
  const TensorRecord& b = op.input(1);
  return constants_offset == 0 && IsScratch8Bit(b) && ServesRowsAndColumns(b, out) &&
         (b.channels == out.channels || b.channels == 1);
}

bool FitsMultiplier(int32_t multiplier, int32_t shift) {
  return multiplier >= 0 && shift >= kMinShift && shift <= kMaxShift;
}

PairRow MakeRow(const OpView& op, const RowAccess& access, int32_t step, uint32_t constants_offset) {
  const Range columns = access.Window(op);
  PairRow row{};
  row.a = access.Read(op.input(0), step, columns.first);
  row.a_pixel_bytes = op.input(0).pixel_bytes;
  row.b_channel_bytes = 1;
  if (op.op->inputs == 1) {
    row.b = op.program->At<uint8_t>(constants_offset);
  } else {
    const TensorRecord& b = op.input(1);
    row.b = access.Read(b, SameOrOnlyRow(op, 1, step).first, SameOrOnlyColumns(op, 1, columns).first);
    row.b_pixel_bytes = b.width == 1 ? 0 : b.pixel_bytes;
    row.b_channel_bytes = b.channels == 1 ? 0 : 1;
  }
  row.out = access.Write(op.output(), step, columns.first);
  row.out_pixel_bytes = op.output().pixel_bytes;
  row.channels = static_cast<int32_t>(op.output().channels);
  row.columns = columns.end - columns.first;
  return row;
}

Status CheckMultiply(const OpView& op) {
  const MultiplyParameters& p = op.parameters<MultiplyParameters>();
  const uint8_t rule = op.op->rule;
  if (rule != kDoubleRounding && rule != kFloat32Rule && rule != kRndnu) return Status::kProgramUnsupported;
  const bool fits = rule == kFloat32Rule ? p.scale > 0 && p.scale < kInfinityBits && p.shift == 0
                                         : FitsMultiplier(static_cast<int32_t>(p.scale), p.shift);
  return ValidIf(fits && AreZero(p.reserved) && FitsOperands(op, p.constants_offset));
}

void RunMultiply(const OpView& op, const RowAccess& access, const RowKernels& kernels, int32_t step) {
  const MultiplyParameters& p = op.parameters<MultiplyParameters>();
  kernels.multiply[op.op->rule](MakeRow(op, access, step, p.constants_offset), p);
}

Status CheckExtremum(const OpView& op) {
  const ExtremumParameters& p = op.parameters<ExtremumParameters>();
  if (op.op->rule != 1 && op.op->rule != 2) return Status::kProgramUnsupported;
  return ValidIf(AreZero(p.reserved) && FitsOperands(op, p.constants_offset));
}

void RunExtremum(const OpView& op, const RowAccess& access, const RowKernels& kernels, int32_t step) {
  const PairRow row = MakeRow(op, access, step, op.parameters<ExtremumParameters>().constants_offset);
  (op.op->rule == 1 ? kernels.larger : kernels.smaller)(row);
}

Status CheckPrelu(const OpView& op) {
  const PreluParameters& p = op.parameters<PreluParameters>();
  if (op.op->rule != kDoubleRounding) return Status::kProgramUnsupported;
  return ValidIf(p.reserved0 == 0 && AreZero(p.reserved1) && p.reserved2 == 0 &&
                 FitsMultiplier(p.multiplier_above, p.shift_above) &&
                 FitsMultiplier(p.multiplier_below, p.shift_below) && FitsOperands(op, p.constants_offset));
}

void RunPrelu(const OpView& op, const RowAccess& access, const RowKernels& kernels, int32_t step) {
  const PreluParameters& p = op.parameters<PreluParameters>();
  kernels.prelu(MakeRow(op, access, step, p.constants_offset), p);
}

template <typename Parameters>
constexpr Kind MakePairKind(Status (*check)(const OpView&),
                            void (*run)(const OpView&, const RowAccess&, const RowKernels&, int32_t)) {
  Kind kind;
  kind.parameter_bytes = sizeof(Parameters);
  kind.max_inputs = 2;
  kind.check = check;
  kind.rows = SameOrOnlyRow;
  kind.columns = SameOrOnlyColumns;
  kind.run = run;
  return kind;
}

}  // namespace

const Kind kMultiplyKind = MakePairKind<MultiplyParameters>(CheckMultiply, RunMultiply);
const Kind kExtremumKind = MakePairKind<ExtremumParameters>(CheckExtremum, RunExtremum);
const Kind kPreluKind = MakePairKind<PreluParameters>(CheckPrelu, RunPrelu);

}  // namespace fmtc::region
