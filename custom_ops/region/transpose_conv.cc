// TRANSPOSE_CONV: what the outputs of one phase of the stride add up is a convolution with every so many of the taps.
#include <cstring>

#include "region/kind.h"
#include "region/mac.h"
#include "region/window.h"

namespace fmtc::region {
namespace {

// One axis; the kernel is at least as large as the stride.
struct Axis {
  int64_t kernel, stride, before;

  int64_t PhaseOf(int64_t output) const { return (output + before) % stride; }
  int64_t LastInput(int64_t output) const { return (output + before) / stride; }
  int64_t NumTaps(int64_t phase) const { return (kernel - 1 - phase) / stride + 1; }
  int64_t FirstInput(int64_t output) const { return LastInput(output) - NumTaps(PhaseOf(output)) + 1; }

  // Taps of all phases before one.
  int64_t TapsBefore(int64_t phase) const {
    const int64_t longer = kernel % stride;  // phases that have a tap more than the others
    return phase * (kernel / stride) + (phase < longer ? phase : longer);
  }
};

Axis RowAxis(const WindowParameters& w) { return {w.kernel_rows, w.row_stride, w.above}; }
Axis ColumnAxis(const WindowParameters& w) { return {w.kernel_columns, w.column_stride, w.left}; }

// Inputs of outputs, also those outside; empty where numbers overflow.
Range InputsOf(const Axis& axis, int64_t first, int64_t end) {
  const int64_t to = axis.LastInput(end - 1) + 1;
  if (to > INT32_MAX) return {0, 0};
  return {static_cast<int32_t>(axis.FirstInput(first)), static_cast<int32_t>(to)};
}

bool FitsAxis(const Axis& axis, uint32_t input, uint32_t output) {
  return axis.stride >= 1 && axis.kernel >= axis.stride && axis.FirstInput(int64_t{output} - 1) < int64_t{input};
}

Range RowsOf(const OpView& op, int, int32_t step) {
  const Axis axis = RowAxis(op.parameters<MacParameters>().window);
  return Clip(InputsOf(axis, step, int64_t{step} + 1), op.input(0).height);
}

Range ColumnsOf(const OpView& op, int, Range columns) {
  return InputsOf(ColumnAxis(op.parameters<MacParameters>().window), columns.first, columns.end);
}

// A row of padding under the taps of a phase.
uint64_t PaddingBytes(const OpView& op) {
  const Axis columns = ColumnAxis(op.parameters<MacParameters>().window);
  return static_cast<uint64_t>(columns.NumTaps(0)) * op.input(0).pixel_bytes;
}

// Memory for a row of padding, if any step reads one.
bool FitsPadding(const OpView& op, const Axis& rows) {
  const TensorRecord& input = op.input(0);
  const int64_t last = rows.LastInput(int64_t{op.output().height} - 1);
  return (rows.FirstInput(0) >= 0 && last < int64_t{input.height}) || PaddingBytes(op) <= op.op->memory_bytes;
}

Status CheckTransposeConv(const OpView& op) {
  const MacParameters& p = op.parameters<MacParameters>();
  const TensorRecord& input = op.input(0);
  const TensorRecord& output = op.output();
  const Axis rows = RowAxis(p.window), columns = ColumnAxis(p.window);
  if (p.groups != 1 || p.group_channels != input.channels || p.window.row_dilation != 1 ||
      p.window.column_dilation != 1 || rows.kernel > kMaxKernelRows || !FitsAxis(rows, input.height, output.height) ||
      !FitsAxis(columns, input.width, output.width) || !FitsPadding(op, rows) || p.order_offset != 0 ||
      p.safe_offset != 0 || p.sums_offset != 0) {
    return Status::kProgramInvalid;
  }
  const uint64_t taps = static_cast<uint64_t>(rows.kernel * columns.kernel);
  const uint64_t phases = static_cast<uint64_t>(rows.stride * columns.stride);
  return CheckMac(op, {kDotLayout, kBlocksRule, taps * PaddedTo4(input.channels), 1, phases});
}

uint64_t Macs(const OpView& op) {
  const Axis rows = RowAxis(op.parameters<MacParameters>().window);
  const Axis columns = ColumnAxis(op.parameters<MacParameters>().window);
  const TensorRecord& output = op.output();
  const uint64_t taps = static_cast<uint64_t>(rows.NumTaps(0) * columns.NumTaps(0));
  return taps * op.input(0).channels * output.height * output.width * output.channels;
}

// Finds the rows under an output row, at the columns under an output column: rows of the input, or the row of padding.
void FindRows(const OpView& op, const RowAccess& access, int32_t first_row, int32_t first_column, MacRow* row,
              KernelRow* rows) {
  const TensorRecord& input = op.input(0);
  for (int32_t i = 0; i < row->kernel_rows; ++i) {
    const int32_t from = first_row + i;
    const bool is_inside = from >= 0 && from < static_cast<int32_t>(input.height);
    if (is_inside) {
      rows[i] = {access.Read(input, from, first_column), static_cast<ptrdiff_t>(input.pixel_bytes)};
    } else {
      rows[i] = {access.OwnMemory(op), 0};
    }
  }
  row->rows = rows;
}

void RunTransposeConv(const OpView& op, const RowAccess& access, const RowKernels& kernels, int32_t step) {
  const MacParameters& p = op.parameters<MacParameters>();
  const TensorRecord& input = op.input(0);
  const Axis rows = RowAxis(p.window), columns = ColumnAxis(p.window);
  const Range under = InputsOf(rows, step, int64_t{step} + 1);
  if (under.first < 0 || under.end > static_cast<int32_t>(input.height)) {
    memset(access.OwnMemory(op), input.padding, static_cast<size_t>(PaddingBytes(op)));
  }
  MacRow row = *access.FactsOf(op).row;
  const int8_t* weights = row.weights;
  const int32_t* biases = row.requantization.biases;
  const ptrdiff_t entries = static_cast<ptrdiff_t>(NumEntries(op));
  const ptrdiff_t weights_of_tap = entries * static_cast<ptrdiff_t>(PaddedTo4(input.channels));
  const ptrdiff_t row_phase = static_cast<ptrdiff_t>(rows.PhaseOf(step));
  row.kernel_rows = under.end - under.first;
  row.out_pixel_bytes = static_cast<ptrdiff_t>(columns.stride) * op.output().pixel_bytes;
  const Range window = access.Window(op);
  KernelRow kernel_rows[kMaxKernelRows];
  // Columns of one phase at a time.
  for (int32_t column = window.first; column < window.end && column - window.first < columns.stride; ++column) {
    const ptrdiff_t phase = static_cast<ptrdiff_t>(columns.PhaseOf(column));
    const ptrdiff_t taps_before = static_cast<ptrdiff_t>(rows.TapsBefore(row_phase) * columns.kernel +
                                                         row.kernel_rows * columns.TapsBefore(phase));
    row.weights = weights + taps_before * weights_of_tap;
    row.requantization.biases = biases + (row_phase * static_cast<ptrdiff_t>(columns.stride) + phase) * entries;
    row.kernel_columns = static_cast<int32_t>(columns.NumTaps(phase));
    FindRows(op, access, under.first, static_cast<int32_t>(columns.FirstInput(column)), &row, kernel_rows);
    row.out = access.Write(op.output(), step, column);
    row.columns = static_cast<int32_t>((window.end - 1 - column) / columns.stride + 1);
    kernels.conv[op.op->rule](row);
  }
}

constexpr Kind MakeTransposeConv() {
  Kind kind;
  kind.parameter_bytes = sizeof(MacParameters);
  kind.check = CheckTransposeConv;
  kind.rows = RowsOf;
  kind.columns = ColumnsOf;
  kind.macs = Macs;
  kind.prepare = [](const OpView& op, PreparedRow* row) {
    *row = {};
    PrepareMacRow(op, row);
  };
  kind.run = RunTransposeConv;
  return kind;
}

}  // namespace

const Kind kTransposeConvKind = MakeTransposeConv();

}  // namespace fmtc::region
