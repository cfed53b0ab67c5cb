// CONV, DEPTHWISE and FULLY_CONNECTED.
#include <cstring>

#include "base/bytes.h"
#include "region/kind.h"
#include "region/mac.h"
#include "region/packed_weights.h"
#include "region/window.h"

namespace fmtc::region {
namespace {

// Memory for a row of padding, if any step reads one.
bool FitsPaddingRow(const OpView& op) {
  const WindowParameters& w = op.parameters<MacParameters>().window;
  const TensorRecord& input = op.input(0);
  const Range last = RowsUnder(w, static_cast<int32_t>(op.output().height) - 1);
  if (last.first >= last.end) return false;
  if (w.above == 0 && last.end <= static_cast<int32_t>(input.height)) return true;
  return SpanBytes(w, input) <= op.op->memory_bytes;
}

bool FitsKernel(const OpView& op) {
  const WindowParameters& w = op.parameters<MacParameters>().window;
  return w.kernel_rows <= kMaxKernelRows && FitsWindow(w, op.input(0), op.output()) && FitsPaddingRow(op);
}

uint64_t NumWindowTaps(const OpView& op) {
  const WindowParameters& w = op.parameters<MacParameters>().window;
  return uint64_t{w.kernel_rows} * w.kernel_columns;
}

// Of an output channel of CONV, with those of padding.
uint64_t ConvWeights(const OpView& op) {
  return NumWindowTaps(op) * PaddedTo4(op.parameters<MacParameters>().group_channels);
}

FMTC_SELDOM Status CheckConv(const OpView& op) {
  const MacParameters& p = op.parameters<MacParameters>();
  const TensorRecord& input = op.input(0);
  if (p.groups == 0 || uint64_t{p.group_channels} * p.groups != input.channels ||
      op.output().channels % p.groups != 0 || !FitsKernel(op)) {
    return Status::kProgramInvalid;
  }
  return CheckMac(op, {kDotLayout, kRndnu, ConvWeights(op), 1, 1});
}

FMTC_SELDOM Status CheckDepthwise(const OpView& op) {
  const MacParameters& p = op.parameters<MacParameters>();
  if (p.groups != 1 || p.group_channels == 0 ||
      uint64_t{p.group_channels} * op.input(0).channels != op.output().channels || !FitsKernel(op)) {
    return Status::kProgramInvalid;
  }
  return CheckMac(op, {kChannelLayout, kBlocksRule, NumWindowTaps(op), 1, 1});
}

FMTC_SELDOM Status CheckFullyConnected(const OpView& op) {
  const MacParameters& p = op.parameters<MacParameters>();
  const TensorRecord& input = op.input(0);
  uint16_t window[8];
  memcpy(window, &p.window, sizeof(window));
  if (!AreZero(window) || p.groups != 1 || p.group_channels != 0 || op.output().width != 1) {
    return Status::kProgramInvalid;
  }
  if (PaddedTo16(op.output().channels) * sizeof(int32_t) > op.op->memory_bytes) return Status::kProgramInvalid;
  return CheckMac(op, {kDotLayout, kRndnu, input.width * PaddedTo4(input.channels), input.height, 1});
}

FMTC_SELDOM Range WindowRows(const OpView& op, int, int32_t step) {
  return Clip(RowsUnder(op.parameters<MacParameters>().window, step), op.input(0).height);
}

FMTC_SELDOM Range WindowColumns(const OpView& op, int, Range columns) {
  return ColumnsUnder(op.parameters<MacParameters>().window, columns);
}

// Output channels of DEPTHWISE that read the input channel of their own number.
bool KeepsChannels(const OpView& op) {
  return kHasTeams && op.op->kind == kDepthwise && op.parameters<MacParameters>().group_channels == 1;
}

ptrdiff_t ColumnPlace(const TensorRecord& tensor, int32_t column) {
  return static_cast<ptrdiff_t>(tensor.offset) +
         (ptrdiff_t{column} + tensor.left) * static_cast<ptrdiff_t>(tensor.pixel_bytes);
}

// Bytes between the slots of rows that are so many rows apart.
uint32_t BytesBetween(const RowPlaces& places, int64_t rows) {
  return static_cast<uint32_t>(rows * places.pitch % places.depth) * places.row_bytes;
}

void FindPath(const OpView& op, const StepPlaces& places, StepPath* path) {
  // Of the first rows under kernels that end within the input, the last one, counted from the padding above.
  const int32_t last = places.height - 1 - (places.kernel_rows - 1) * places.row_dilation + places.above;
  path->first = (places.above + places.row_stride - 1) / places.row_stride;
  path->end = last < 0 || places.kernel_rows > kFewKernelRows ? 0 : last / places.row_stride + 1;
  const int32_t steps = static_cast<int32_t>(op.output().height);
  if (path->end > steps) path->end = steps;
  path->in_bytes = places.in.depth * places.in.row_bytes;
  path->out_bytes = places.out.depth * places.out.row_bytes;
  path->in_advance = BytesBetween(places.in, places.row_stride);
  path->out_advance = BytesBetween(places.out, 1);
  path->between = BytesBetween(places.in, places.row_dilation);
  path->padding = op.output().padding;
}

void FindPlaces(const OpView& op, StepPlaces* places) {
  const WindowParameters& w = op.parameters<MacParameters>().window;
  const TensorRecord& input = op.input(0);
  const TensorRecord& output = op.output();
  places->input = &input;
  places->output = &output;
  places->in = PlacesOf(input);
  places->out = PlacesOf(output);
  places->in_first = ColumnPlace(input, -int32_t{w.left});
  places->out_first = ColumnPlace(output, 0);
  places->column_bytes = ptrdiff_t{w.column_stride} * static_cast<ptrdiff_t>(input.pixel_bytes);
  places->padding_bytes = SpanBytes(w, input);
  // Rows that a step reads are all in memory, so that from one to another there are fewer slots than all; for others
  // the number may wrap around.
  places->between = uint32_t{w.row_dilation} * PitchOf(input);
  places->row_stride = w.row_stride;
  places->row_dilation = w.row_dilation;
  places->above = w.above;
  places->kernel_rows = w.kernel_rows;
  places->height = static_cast<int32_t>(input.height);
  places->keeps_channels = KeepsChannels(op);
}

// Of CONV and DEPTHWISE.
void MakeWindowRow(const OpView& op, WindowRow* row) {
  const WindowParameters& w = op.parameters<MacParameters>().window;
  PrepareMacRow(op, row);
  FindPlaces(op, &row->places);
  row->kernel_rows = w.kernel_rows;
  row->kernel_columns = w.kernel_columns;
  row->stride = w.column_stride;
  row->dilation = w.column_dilation;
  row->tap_bytes = w.column_dilation * row->pixel_bytes;
  // DEPTHWISE's alone:
  row->multiplier = static_cast<int32_t>(op.parameters<MacParameters>().group_channels);
  row->tap_weights = static_cast<ptrdiff_t>(PaddedTo16(op.output().channels));
}

void PrepareWindows(const OpView& op, PreparedRow* row) {
  *row = {};
  MakeWindowRow(op, row);
  FindPath(op, row->places, &row->path);
}

void MakeFullyConnectedRow(const OpView& op, MacRow* row) {
  PrepareMacRow(op, row);
  row->kernel_rows = 1;
  row->kernel_columns = static_cast<int32_t>(op.input(0).width);
  row->columns = 1;
}

void PrepareFullyConnected(const OpView& op, PreparedRow* row) {
  *row = {};
  MakeFullyConnectedRow(op, row);
}

// Moves to a share of the output channels, of `k` weights each.
void TakeChannels(Range channels, uint64_t k, uint8_t rule, MacRow* row) {
  const ptrdiff_t first = channels.first;
  row->weights += first * static_cast<ptrdiff_t>(k);
  if (row->packed_weights != nullptr) row->packed_weights += first * PackedWeightsOfChannel(*row);
  row->requantization.biases += first;
  row->requantization.multipliers += first * (rule == kFloat64Rule ? 8 : 4);
  row->requantization.shifts += first;
  row->out_channels = channels.end - channels.first;
}

using MacFunction = void (*)(const MacRow&);

// Bytes from a row's memory to column 0 of a tensor less what ColumnOffset() has: of a window that does not begin it.
ptrdiff_t WindowShift(const RowAccess& access, const TensorRecord& tensor) {
  const int32_t first = access.WindowOf(tensor).first;
  return first > 0 ? (ptrdiff_t{first} + tensor.left) * static_cast<ptrdiff_t>(tensor.pixel_bytes) : 0;
}

// Finds what lies under the kernel rows of an output row: rows of the input, whose first slot has the first column's
// first tap at `memory`, or the op's row of padding. Whether there are such.
bool FindRows(const StepPlaces& places, const uint8_t* memory, const uint8_t* padding, int32_t step, KernelRow* rows) {
  const RowPlaces& in = places.in;
  KernelRow* const end = rows + places.kernel_rows;
  int32_t row = step * places.row_stride - places.above;
  int32_t above = 0;
  for (; row < 0 && rows < end; row += places.row_dilation, ++above) *rows++ = {padding, 0};
  // The rows that are there lie in memory at equal distances, from its end on from its beginning.
  if (row < places.height) {
    uint32_t slot = in.SlotOf(row);
    for (; row < places.height && rows < end; row += places.row_dilation) {
      *rows++ = {memory + size_t{slot} * in.row_bytes, places.column_bytes};
      slot += places.between;
      if (slot >= in.depth) slot -= in.depth;
    }
  }
  const bool has_padding = above > 0 || rows < end;
  while (rows < end) *rows++ = {padding, 0};
  return has_padding;
}

// Where a step's rows would lie if they were in their tensors' first slots: returns the first tap of the share's first
// column in the input, and sets that column of the output.
const uint8_t* FindFirstSlots(const StepPlaces& places, const RowAccess& access, MacRow* row) {
  const int32_t column = access.share.columns.first, channel = access.share.channels.first;
  uint8_t* in = access.MemoryOf(*places.input) + places.in_first + column * places.column_bytes;
  row->out = access.MemoryOf(*places.output) + places.out_first + column * row->out_pixel_bytes + channel;
  if (places.keeps_channels) in += channel;
  if (places.input->windowed) in -= WindowShift(access, *places.input);
  if (places.output->windowed) row->out -= WindowShift(access, *places.output);
  return in;
}

void RunWindows(const StepPlaces& places, const RowAccess& access, MacFunction function, int32_t step, MacRow* row) {
  const uint8_t* in = FindFirstSlots(places, access, row);
  KernelRow rows[kMaxKernelRows];
  if (FindRows(places, in, access.own_memory, step, rows)) {
    memset(access.own_memory, places.input->padding, places.padding_bytes);
  }
  row->rows = rows;
  row->out += size_t{places.out.SlotOf(step)} * places.out.row_bytes;
  row->columns = access.share.columns.end - access.share.columns.first;
  function(*row);
}

// Both steps of a convolution of two rows, the first of which has waited for the second one, at the latter.
void RunPair(const PreparedRow& row, const RowAccess& access, const RowKernels& kernels, int32_t step) {
  if (step == 0) return;
  const StepPlaces& places = row.places;
  const uint8_t* const in = access.MemoryOf(*places.input) + places.in_first;
  uint8_t* const out = access.MemoryOf(*places.output) + places.out_first;
  KernelRow kernel_rows[2][kPairKernelRows];
  MacRow rows[2] = {row, row};
  for (int i = 0; i < 2; ++i) {
    if (FindRows(places, in, access.own_memory, i, kernel_rows[i])) {
      memset(access.own_memory, places.input->padding, places.padding_bytes);
    }
    rows[i].rows = kernel_rows[i];
    rows[i].out = out + size_t{places.out.SlotOf(i)} * places.out.row_bytes;
    rows[i].columns = static_cast<int32_t>(places.output->width);
  }
  kernels.conv_pair(rows[0], rows[1]);
}

// Sets the path out from a step that is on it, of all channels.
void StartPath(const RowAccess& access, MacFunction function, int32_t step, PreparedRow* row) {
  StepPath& path = row->path;
  path.next = step >= path.first && step < path.end ? step : -1;
  if (path.next < 0) return;
  const StepPlaces& places = row->places;
  path.in = places.in.SlotOf(step * places.row_stride - places.above) * places.in.row_bytes;
  path.out = places.out.SlotOf(step) * places.out.row_bytes;
  path.share = access.share;
  path.function = function;
  path.in_memory = FindFirstSlots(places, access, row);
  path.out_memory = row->out;
  const TensorRecord& output = *places.output;
  const bool is_first = access.share.columns.first == 0;
  const bool is_last = access.share.columns.end == static_cast<int32_t>(output.width);
  path.left_bytes = is_first ? size_t{output.left} * output.pixel_bytes : 0;
  path.right_bytes = is_last ? size_t{output.right} * output.pixel_bytes : 0;
}

// A step of all channels that is not on the path, where the next one may be.
void RunBesidePath(const RowAccess& access, MacFunction function, int32_t step, PreparedRow* row) {
  RunWindows(row->places, access, function, step, row);
  StartPath(access, function, step + 1, row);
}

uint64_t NumOutputs(const OpView& op) {
  const TensorRecord& output = op.output();
  return uint64_t{output.height} * output.width * output.channels;
}

bool HasOneGroup(const OpView& op) { return op.parameters<MacParameters>().groups == 1; }
uint64_t ConvMacs(const OpView& op) {
  return NumOutputs(op) * NumWindowTaps(op) * op.parameters<MacParameters>().group_channels;
}
uint64_t DepthwiseMacs(const OpView& op) { return NumOutputs(op) * NumWindowTaps(op); }
uint64_t FullyConnectedMacs(const OpView& op) {
  const TensorRecord& input = op.input(0);
  return uint64_t{input.height} * input.width * input.channels * op.output().channels;
}

bool TakesAllChannels(const PreparedRow& row, const RowAccess& access) {
  const Range channels = access.share.channels;
  return channels.first == 0 && channels.end == static_cast<int32_t>(row.places.output->channels);
}

// Where nothing is kept from the check on and nothing is shared among threads.
void RunUnprepared(const OpView& op, const RowAccess& access, MacFunction function, int32_t step) {
  WindowRow row;
  MakeWindowRow(op, &row);
  RunWindows(row.places, access, function, step, &row);
}

FMTC_SELDOM void RunConv(const OpView& op, const RowAccess& access, const RowKernels& kernels, int32_t step) {
  if (!kHasRegionFacts) return RunUnprepared(op, access, kernels.conv[op.op->rule], step);
  PreparedRow* row = access.FactsOf(op).row;
  if (row->places.is_pair && access.pairs_rows && kernels.conv_pair != nullptr) {
    return RunPair(*row, access, kernels, step);
  }
  const auto function = kernels.conv[op.op->rule];
  if (TakesAllChannels(*row, access)) return RunBesidePath(access, function, step, row);
  MacRow part = *row;
  TakeChannels(access.share.channels, ConvWeights(op), op.op->rule, &part);
  RunWindows(row->places, access, function, step, &part);
}

FMTC_SELDOM void RunDepthwise(const OpView& op, const RowAccess& access, const RowKernels& kernels, int32_t step) {
  if (!kHasRegionFacts) return RunUnprepared(op, access, kernels.depthwise[op.op->rule], step);
  PreparedRow* row = access.FactsOf(op).row;
  const auto function = kernels.depthwise[op.op->rule];
  if (TakesAllChannels(*row, access)) return RunBesidePath(access, function, step, row);
  MacRow part = *row;
  TakeChannels(access.share.channels, 1, op.op->rule, &part);
  part.requantization.blocks_end -= access.share.channels.first;
  RunWindows(row->places, access, function, step, &part);
}

FMTC_SELDOM void RunFullyConnected(const OpView& op, const RowAccess& access, const RowKernels& kernels, int32_t step) {
  const TensorRecord& input = op.input(0);
  const TensorRecord& output = op.output();
  const Range channels = access.share.channels;
  const uint64_t k = input.width * PaddedTo4(input.channels);
  MacRow row;
  if (kHasRegionFacts) {
    row = *access.FactsOf(op).row;
  } else {
    MakeFullyConnectedRow(op, &row);
  }
  if (kHasTeams) TakeChannels(channels, k, op.op->rule, &row);
  int32_t* acc = reinterpret_cast<int32_t*>(access.OwnMemory(op)) + channels.first;
  const uint64_t entries = PaddedTo16(static_cast<uint64_t>(row.out_channels));
  if (step == 0) memcpy(acc, row.requantization.biases, entries * sizeof(int32_t));
  const KernelRow kernel_row{access.Read(input, step, 0), 0};
  row.rows = &kernel_row;
  row.weights += static_cast<uint64_t>(step) * k * NumEntries(op);
  kernels.add_products(row, acc);
  if (step + 1 < static_cast<int32_t>(input.height)) return;
  kernels.requantize[op.op->rule](acc, row.requantization, row.out_channels,
                                  access.Write(output, 0, 0) + channels.first);
}

constexpr Kind MakeConv() {
  Kind kind;
  kind.parameter_bytes = sizeof(MacParameters);
  kind.check = CheckConv;
  kind.rows = WindowRows;
  kind.columns = WindowColumns;
  if (kHasTeams) {
    kind.splits_channels = HasOneGroup;
    kind.macs = ConvMacs;
  }
  if (kHasRegionFacts) kind.prepare = PrepareWindows;
  kind.run = RunConv;
  return kind;
}

constexpr Kind MakeDepthwise() {
  Kind kind;
  kind.parameter_bytes = sizeof(MacParameters);
  kind.check = CheckDepthwise;
  kind.rows = WindowRows;
  kind.columns = WindowColumns;
  if (kHasTeams) {
    kind.splits_channels = KeepsChannels;
    kind.keeps_channels = true;
    kind.macs = DepthwiseMacs;
  }
  if (kHasRegionFacts) kind.prepare = PrepareWindows;
  kind.run = RunDepthwise;
  return kind;
}

constexpr Kind MakeFullyConnected() {
  Kind kind;
  kind.parameter_bytes = sizeof(MacParameters);
  kind.check = CheckFullyConnected;
  kind.accumulates = Always;
  kind.columns = AllColumns;
  if (kHasTeams) {
    kind.splits_channels = Always;
    kind.macs = FullyConnectedMacs;
  }
  if (kHasRegionFacts) kind.prepare = PrepareFullyConnected;
  kind.run = RunFullyConnected;
  return kind;
}

}  // namespace

const Kind kConvKind = MakeConv();
const Kind kDepthwiseKind = MakeDepthwise();
const Kind kFullyConnectedKind = MakeFullyConnected();

}  // namespace fmtc::region
