// TABLE, ADD and COPY.
#include <cmath>

#include "region/each_run.h"
#include "region/kind.h"

namespace fmtc::region {
namespace {

constexpr int32_t kMaxAddMultiplier = 1 << 21;  // with which a sum of rule 2 fits 32 bits
constexpr uint8_t kMaxAddShift = 30;

FMTC_SELDOM Status CheckTable(const OpView& op) {
  if (!IsRule(op, 1)) return Status::kProgramUnsupported;
  return ValidIf(Is8Bit(op.input(0)) && Is8Bit(op.output()) && HasShape(op.input(0), op.output()));
}

FMTC_SELDOM void RunTable(const OpView& op, const RowAccess& access, const RowKernels& kernels, int32_t step) {
  const uint8_t* table = op.parameters<TableParameters>().values;
  ForBytes(op, access, kernels, step,
           [&](const uint8_t* in, ptrdiff_t count, uint8_t* out) { kernels.look_up(table, in, count, out); });
}

// Two tensors of 8 bits, or two of the same type.
FMTC_SELDOM Status CheckCopy(const OpView& op) {
  if (!IsRule(op, 1)) return Status::kProgramUnsupported;
  const TensorRecord& in = op.input(0);
  const TensorRecord& out = op.output();
  return ValidIf(HasShape(in, out) && (in.type == out.type || (Is8Bit(in) && Is8Bit(out))));
}

FMTC_SELDOM void RunCopy(const OpView& op, const RowAccess& access, const RowKernels& kernels, int32_t step) {
  PixelRow row = MakePixelRow(op, access, step);
  row.flip = SignFlip(op.input(0)) ^ SignFlip(op.output());
  if (row.in_pixel_bytes == row.out_pixel_bytes) {  // one large pixel, with what lies between them
    row.channels += static_cast<int32_t>((row.columns - 1) * row.out_pixel_bytes);
    row.in_pixel_bytes = row.out_pixel_bytes = row.channels;
    row.columns = 1;
  }
  kernels.move_pixels(row);
}

bool FitsAddNumbers(const AddParameters& p, uint8_t rule) {
  if (p.zero_a < 0 || p.zero_a > 255 || p.zero_b < 0 || p.zero_b > 255) return false;
  if (kHasAllRules && rule == 2) {
    return p.shift >= 1 && p.shift <= kMaxAddShift && std::abs(int64_t{p.multiplier_a}) <= kMaxAddMultiplier &&
           std::abs(int64_t{p.multiplier_b}) <= kMaxAddMultiplier;
  }
  return p.multiplier_a >= 0 && p.multiplier_b >= 0 && p.multiplier_sum >= 0 && p.shift_a >= kMinShift &&
         p.shift_a <= 0 && p.shift_b >= kMinShift && p.shift_b <= 0 && p.shift_sum >= kMinShift &&
         p.shift_sum <= kMaxShift;
}

FMTC_SELDOM Status CheckAdd(const OpView& op) {
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

FMTC_SELDOM void RunAdd(const OpView& op, const RowAccess& access, const RowKernels& kernels, int32_t step) {
  const Range columns = access.Window(op);
  AddRow row{};
  row.parameters = &op.parameters<AddParameters>();
  const Range channels = access.share.channels;
  row.a = access.Read(op.input(0), step, columns.first) + channels.first;
  row.a_pixel_bytes = op.input(0).pixel_bytes;
  if (op.op->inputs == 2) {
    const TensorRecord& b = op.input(1);
    row.b = access.Read(b, SameOrOnlyRow(op, 1, step).first, SameOrOnlyColumns(op, 1, columns).first);
    row.b_pixel_bytes = b.width == 1 ? 0 : b.pixel_bytes;
  } else {
    row.b = op.program->At<uint8_t>(row.parameters->constants_offset);
  }
  row.b += channels.first;
  row.out = access.Write(op.output(), step, columns.first) + channels.first;
  row.out_pixel_bytes = op.output().pixel_bytes;
  row.channels = channels.end - channels.first;
  row.columns = NumColumns(columns);
  if (!kHasTeams || row.channels == static_cast<int32_t>(op.output().channels)) return kernels.add[op.op->rule](row);
  // Kernels may write what lies between the channels of two columns: here other parts' channels.
  row.columns = 1;
  for (int32_t i = 0; i < NumColumns(columns); ++i) {
    kernels.add[op.op->rule](row);
    row.a += row.a_pixel_bytes;
    row.b += row.b_pixel_bytes;
    row.out += row.out_pixel_bytes;
  }
}

constexpr Kind MakeTable() {
  Kind kind;
  kind.parameter_bytes = sizeof(TableParameters);
  kind.check = CheckTable;
  kind.run = RunTable;
  return kind;
}

constexpr Kind MakeAdd() {
  Kind kind;
  kind.parameter_bytes = sizeof(AddParameters);
  kind.max_inputs = 2;
  kind.check = CheckAdd;
  kind.rows = SameOrOnlyRow;
  kind.columns = SameOrOnlyColumns;
  kind.splits_channels = Always;
  kind.keeps_channels = true;
  kind.run = RunAdd;
  return kind;
}

constexpr Kind MakeCopy() {
  Kind kind;
  kind.check = CheckCopy;
  kind.run = RunCopy;
  return kind;
}

}  // namespace

const Kind kTableKind = MakeTable();
const Kind kAddKind = MakeAdd();
const Kind kCopyKind = MakeCopy();

}  // namespace fmtc::region
