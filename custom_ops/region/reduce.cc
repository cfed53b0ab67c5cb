// MEAN, AVERAGE_POOL and MAX_POOL.
#include <cmath>
#include <cstring>

#include "base/bytes.h"
#include "region/kind.h"
#include "region/window.h"

namespace fmtc::region {
namespace {

constexpr uint8_t kFloatWithAddend = 7;
constexpr uint8_t kFloatWithAddendAway = 8;
constexpr int32_t kMeanRuleBlock = 16;       // channels that kBlocksRule treats alike
constexpr uint32_t kMaxPoolTaps = 1u << 22;  // whose sum of values fits 32 bits

// Of one row, or of the input's, each the mean of its own row.
bool MeanAccumulates(const OpView& op) { return op.output().height == 1; }

FMTC_SELDOM Range MeanColumns(const OpView& op, int operand, Range columns) {
  return op.output().width == 1 ? AllColumns(op, operand, columns) : columns;
}

// Rows, columns or both come to one.
bool FitsMeanShape(const TensorRecord& input, const TensorRecord& output) {
  const bool fits_rows = output.height == 1 || (output.height == input.height && output.width == 1);
  return fits_rows && (output.width == 1 || output.width == input.width) && output.channels == input.channels;
}

FMTC_SELDOM Status CheckMean(const OpView& op) {
  const MeanParameters& p = op.parameters<MeanParameters>();
  const uint8_t rule = op.op->rule;
  const bool is_float = rule == kFloat32Rule || rule == kFloatWithAddend || rule == kFloatWithAddendAway;
  if (!IsRuleOne(op) && (!kHasAllRules || (rule != kHalfUp && rule != kBlocksRule && !is_float))) {
    return Status::kProgramUnsupported;
  }
  const TensorRecord& output = op.output();
  uint64_t memory;
  bool fits = IsScratch8Bit(op.input(0)) && IsScratch8Bit(output) && FitsMeanShape(op.input(0), output) &&
              AreZero(p.reserved0) && AreZero(p.reserved1) &&
              CheckedMultiply(PaddedTo16(output.channels) * sizeof(int32_t), output.width, &memory) &&
              memory <= op.op->memory_bytes;
  if (is_float) {
    fits = fits && std::isfinite(p.factor) && std::isfinite(p.addend);
  } else {
    fits = fits && p.shift >= kMinShift && p.shift <= kMaxShift;
  }
  return ValidIf(fits);
}

int32_t Multiply(const MeanParameters& p, uint8_t rule, int32_t acc) {
  if (!kHasAllRules) return MultiplyDoubleRounding(acc, p.multiplier, p.shift);
  if (rule == kFloat32Rule) return MultiplyFloat32(acc, p.factor);
  if (rule == kFloatWithAddend) return MultiplyAddFloat32<RoundTiesToEven>(acc, p.factor, p.addend);
  if (rule == kFloatWithAddendAway) return MultiplyAddFloat32<std::round>(acc, p.factor, p.addend);
  if (rule == kHalfUp) return MultiplyHalfUp(acc, p.multiplier, p.shift);
  return MultiplyDoubleRounding(acc, p.multiplier, p.shift);
}

// What the sums of some channels come to.
void WriteMeans(const OpView& op, const int32_t* sums, Range own, uint8_t* out) {
  const MeanParameters& p = op.parameters<MeanParameters>();
  const int32_t channels = static_cast<int32_t>(op.output().channels);
  for (int32_t c = own.first; c < own.end; ++c) {
    uint8_t rule = op.op->rule;
    if (rule == kBlocksRule) rule = c < channels - channels % kMeanRuleBlock ? kHalfUp : kDoubleRounding;
    // This zero point may be any number of 32 bits.
    const int64_t value = int64_t{Multiply(p, rule, sums[c])} + p.zero;
    const int64_t raised = value < p.low ? p.low : value;
    out[c] = static_cast<uint8_t>(raised > p.high ? p.high : raised);
  }
}

FMTC_SELDOM void RunMean(const OpView& op, const RowAccess& access, const RowKernels& kernels, int32_t step) {
  const TensorRecord& input = op.input(0);
  const Range own = access.share.channels, columns = access.Window(op);
  const bool accumulates = MeanAccumulates(op), of_row = op.output().width == 1;
  const int32_t summed_columns = of_row ? static_cast<int32_t>(input.width) : 1;
  int32_t* sums = reinterpret_cast<int32_t*>(access.OwnMemory(op));
  for (int32_t column = columns.first; column < columns.end; ++column, sums += PaddedTo16(input.channels)) {
    if (!accumulates || step == 0) {
      for (int32_t c = own.first; c < own.end; ++c) sums[c] = op.parameters<MeanParameters>().start;
    }
    kernels.add_columns(access.Read(input, step, of_row ? 0 : column) + own.first, input.pixel_bytes, summed_columns,
                        own.end - own.first, sums + own.first);
    if (accumulates && step + 1 < static_cast<int32_t>(input.height)) continue;
    WriteMeans(op, sums, own, access.Write(op.output(), accumulates ? 0 : step, column));
  }
}

// A pool whose only output row reads every input row.
FMTC_SELDOM bool PoolAccumulates(const OpView& op) {
  if (op.output().height != 1) return false;
  const uint32_t height = op.input(0).height;
  const Range rows = Clip(RowsUnder(op.parameters<PoolParameters>().window, 0), height);
  return rows.first == 0 && rows.end == static_cast<int32_t>(height);
}

Status CheckPool(const OpView& op, uint32_t sum_bytes) {
  const PoolParameters& p = op.parameters<PoolParameters>();
  const WindowParameters& w = p.window;
  if (op.op->rule != 1) return Status::kProgramUnsupported;
  const bool fits = IsScratch8Bit(op.input(0)) && IsScratch8Bit(op.output()) && AreZero(p.reserved) &&
                    op.input(0).channels == op.output().channels && FitsWindow(w, op.input(0), op.output()) &&
                    w.row_dilation == 1 && w.column_dilation == 1 &&
                    uint32_t{w.kernel_rows} * w.kernel_columns <= kMaxPoolTaps;
  if (!fits) return Status::kProgramInvalid;
  if (!PoolAccumulates(op)) return ValidIf(w.kernel_rows <= kMaxKernelRows);
  uint64_t values, bytes;
  return ValidIf(CheckedMultiply(op.output().width, op.output().channels, &values) &&
                 CheckedMultiply(values, sum_bytes, &bytes) && bytes <= op.op->memory_bytes);
}

Status CheckAveragePool(const OpView& op) { return CheckPool(op, sizeof(int32_t)); }
FMTC_SELDOM Status CheckMaxPool(const OpView& op) {
  if (op.parameters<PoolParameters>().offset != 0) return Status::kProgramInvalid;
  return CheckPool(op, 1);
}

FMTC_SELDOM Range PoolRows(const OpView& op, int, int32_t step) {
  if (PoolAccumulates(op)) return {step, step + 1};
  return Clip(RowsUnder(op.parameters<PoolParameters>().window, step), op.input(0).height);
}

// The same at a step, as the check has found it.
bool Accumulates(const OpView& op, const RowAccess& access) {
  return kHasRegionFacts ? access.FactsOf(op).accumulates : PoolAccumulates(op);
}

FMTC_SELDOM Range PoolColumns(const OpView& op, int, Range columns) {
  return Clip(ColumnsUnder(op.parameters<PoolParameters>().window, columns), op.input(0).width);
}

// The row of a step, of `rows` of the input.
PoolRow MakePoolRow(const OpView& op, const RowAccess& access, int32_t step, const uint8_t** rows) {
  const PoolParameters& p = op.parameters<PoolParameters>();
  const TensorRecord& input = op.input(0);
  const Range columns = access.Window(op);
  PoolRow row{};
  row.rows = rows;
  row.rows_column = PoolColumns(op, 0, columns).first;
  const bool accumulates = Accumulates(op, access);
  const Range under = kHasRegionFacts && accumulates ? Range{step, step + 1} : PoolRows(op, 0, step);
  row.num_rows = under.end - under.first;
  for (int32_t i = 0; i < row.num_rows; ++i) rows[i] = access.Read(input, under.first + i, row.rows_column);
  row.width = static_cast<int32_t>(input.width);
  row.first_column = ColumnsUnder(p.window, columns).first;
  row.kernel_columns = p.window.kernel_columns;
  row.stride = p.window.column_stride;
  row.pixel_bytes = input.pixel_bytes;
  row.out = access.Write(op.output(), accumulates ? 0 : step, columns.first);
  row.out_pixel_bytes = op.output().pixel_bytes;
  row.channels = static_cast<int32_t>(input.channels);
  row.columns = columns.end - columns.first;
  row.range = {p.offset, p.low, p.high};
  return row;
}

// What an accumulating pool's last step writes.
void FinishAverages(const OpView& op, const PoolRow& row, Range columns, const int32_t* sums) {
  for (int32_t x = 0; x < row.columns; ++x) {
    const Range under = PoolColumns(op, 0, {columns.first + x, columns.first + x + 1});
    const int32_t rows = static_cast<int32_t>(op.input(0).height);
    const int32_t count = rows * (under.end - under.first);
    uint8_t* out = row.out + x * row.out_pixel_bytes;
    for (int32_t c = 0; c < row.channels; ++c) {
      out[c] = AddZeroAndClamp(MeanHalfAway(*sums++, count, row.range.zero), row.range);
    }
  }
}

void FinishMaxima(const PoolRow& row, const uint8_t* maxima) {
  for (int32_t x = 0; x < row.columns; ++x) {
    uint8_t* out = row.out + x * row.out_pixel_bytes;
    for (int32_t c = 0; c < row.channels; ++c) out[c] = AddZeroAndClamp(*maxima++, row.range);
  }
}

FMTC_SELDOM void RunAveragePool(const OpView& op, const RowAccess& access, const RowKernels& kernels, int32_t step) {
  const uint8_t* rows[kMaxKernelRows];
  const PoolRow row = MakePoolRow(op, access, step, rows);
  if (!Accumulates(op, access)) return kernels.average(row);
  int32_t* sums = reinterpret_cast<int32_t*>(access.OwnMemory(op));
  const size_t values = static_cast<size_t>(row.columns) * static_cast<size_t>(row.channels);
  if (step == 0) memset(sums, 0, values * sizeof(int32_t));
  kernels.add_windows(row, sums);
  if (step + 1 == static_cast<int32_t>(op.input(0).height)) FinishAverages(op, row, access.Window(op), sums);
}

FMTC_SELDOM void RunMaxPool(const OpView& op, const RowAccess& access, const RowKernels& kernels, int32_t step) {
  const uint8_t* rows[kMaxKernelRows];
  const PoolRow row = MakePoolRow(op, access, step, rows);
  if (!Accumulates(op, access)) return kernels.maximum(row);
  uint8_t* maxima = access.OwnMemory(op);
  if (step == 0) memset(maxima, 0, static_cast<size_t>(row.columns) * static_cast<size_t>(row.channels));
  kernels.raise_maxima(row, maxima);
  if (step + 1 == static_cast<int32_t>(op.input(0).height)) FinishMaxima(row, maxima);
}

constexpr Kind MakeMean() {
  Kind kind;
  kind.parameter_bytes = sizeof(MeanParameters);
  kind.check = CheckMean;
  kind.accumulates = MeanAccumulates;
  kind.columns = MeanColumns;
  kind.splits_channels = Always;
  kind.keeps_channels = true;
  kind.run = RunMean;
  return kind;
}

constexpr Kind MakeAveragePool() {
  Kind kind;
  kind.parameter_bytes = sizeof(PoolParameters);
  kind.check = CheckAveragePool;
  kind.accumulates = PoolAccumulates;
  kind.rows = PoolRows;
  kind.columns = PoolColumns;
  kind.run = RunAveragePool;
  return kind;
}

constexpr Kind MakeMaxPool() {
  Kind kind;
  kind.parameter_bytes = sizeof(PoolParameters);
  kind.check = CheckMaxPool;
  kind.accumulates = PoolAccumulates;
  kind.rows = PoolRows;
  kind.columns = PoolColumns;
  kind.run = RunMaxPool;
  return kind;
}

}  // namespace

const Kind kMeanKind = MakeMean();
const Kind kAveragePoolKind = MakeAveragePool();
const Kind kMaxPoolKind = MakeMaxPool();

}  // namespace fmtc::region
