// PAD, SLICE, TRANSPOSE and CONCATENATION: values that change their places only.
#include <algorithm>
#include <cstring>

#include "base/bytes.h"
#include "region/kind.h"
#include "region/pixel_bytes.h"

namespace fmtc::region {
namespace {

Status CheckPad(const OpView& op) {
  const PadParameters& p = op.parameters<PadParameters>();
  if (!IsRuleOne(op)) return Status::kProgramUnsupported;
  const TensorRecord& in = op.input(0);
  const TensorRecord& out = op.output();
  return ValidIf(AreZero(p.reserved) && IsScratch8Bit(in) && IsScratch8Bit(out) &&
                 uint64_t{p.above} + in.height <= out.height && uint64_t{p.left} + in.width <= out.width &&
                 uint64_t{p.channels_before} + in.channels <= out.channels);
}

Range PadRows(const OpView& op, int, int32_t step) {
  const int64_t row = int64_t{step} - op.parameters<PadParameters>().above;
  return NearestInside(row, row + 1, op.input(0).height);
}

Range PadColumns(const OpView& op, int, Range columns) {
  const int64_t left = op.parameters<PadParameters>().left;
  return NearestInside(columns.first - left, columns.end - left, op.input(0).width);
}

// Bytes from the first channel of a run of columns to behind the last one's.
size_t RunBytes(const TensorRecord& tensor, int64_t columns) {
  return static_cast<size_t>(columns - 1) * tensor.pixel_bytes + tensor.channels;
}

// What is between two pixels' channels may become anything, so that columns of one value are one run, as are columns
// that keep all their channels.
void RunPad(const OpView& op, const RowAccess& access, const RowKernels& kernels, int32_t step) {
  const PadParameters& p = op.parameters<PadParameters>();
  const TensorRecord& in = op.input(0);
  const TensorRecord& out = op.output();
  const Range columns = access.Window(op);
  const int64_t row = int64_t{step} - p.above;
  // Columns of the output that have one of the input.
  const int64_t width = row >= 0 && row < int64_t{in.height} ? int64_t{in.width} : 0;
  const int64_t first = std::min<int64_t>(std::max<int64_t>(p.left, columns.first), columns.end);
  const int64_t end = std::max<int64_t>(std::min<int64_t>(p.left + width, columns.end), first);
  const auto fill = [&](int64_t from, int64_t to) {
    if (from >= to) return;
    memset(access.Write(out, step, static_cast<int32_t>(from)), p.value, RunBytes(out, to - from));
  };
  fill(columns.first, end == first ? columns.end : first);
  if (end == first) return;
  fill(end, columns.end);
  const bool has_all_channels = in.channels == out.channels;
  if (!has_all_channels) fill(first, end);
  const uint8_t* from = access.Read(in, static_cast<int32_t>(row), static_cast<int32_t>(first - p.left));
  uint8_t* to = access.Write(out, step, static_cast<int32_t>(first)) + p.channels_before;
  if (has_all_channels && in.pixel_bytes == out.pixel_bytes) {
    MoveBytes(to, from, RunBytes(in, end - first));
  } else if (has_all_channels) {
    kernels.move_pixels({from, static_cast<ptrdiff_t>(in.pixel_bytes), to, static_cast<ptrdiff_t>(out.pixel_bytes),
                         static_cast<int32_t>(in.channels), static_cast<int32_t>(end - first), 0});
  } else {
    CopyPixels(from, in.pixel_bytes, static_cast<int32_t>(end - first), in.channels, to, out.pixel_bytes);
  }
}

bool FitsAxis(uint32_t first, uint32_t step, uint32_t in, uint32_t out) {
  return step >= 1 && first + uint64_t{step} * (out - 1) < in;
}

Status CheckSlice(const OpView& op) {
  const SliceParameters& p = op.parameters<SliceParameters>();
  if (!IsRuleOne(op)) return Status::kProgramUnsupported;
  const TensorRecord& in = op.input(0);
  const TensorRecord& out = op.output();
  return ValidIf(IsScratch8Bit(in) && IsScratch8Bit(out) && FitsAxis(p.first_row, p.row_step, in.height, out.height) &&
                 FitsAxis(p.first_column, p.column_step, in.width, out.width) &&
                 FitsAxis(p.first_channel, p.channel_step, in.channels, out.channels));
}

Range SliceRows(const OpView& op, int, int32_t step) {
  const SliceParameters& p = op.parameters<SliceParameters>();
  const int32_t row = static_cast<int32_t>(p.first_row + p.row_step * static_cast<uint32_t>(step));
  return {row, row + 1};
}

Range SliceColumns(const OpView& op, int, Range columns) {
  const SliceParameters& p = op.parameters<SliceParameters>();
  const uint32_t first = p.first_column + p.column_step * static_cast<uint32_t>(columns.first);
  const uint32_t last = p.first_column + p.column_step * static_cast<uint32_t>(columns.end - 1);
  return {static_cast<int32_t>(first), static_cast<int32_t>(last) + 1};
}

void RunSlice(const OpView& op, const RowAccess& access, const RowKernels&, int32_t step) {
  const SliceParameters& p = op.parameters<SliceParameters>();
  const TensorRecord& in = op.input(0);
  const TensorRecord& out = op.output();
  const Range columns = access.Window(op);
  const int32_t count = columns.end - columns.first;
  const uint8_t* from =
      access.Read(in, SliceRows(op, 0, step).first, SliceColumns(op, 0, columns).first) + p.first_channel;
  const ptrdiff_t in_bytes = static_cast<ptrdiff_t>(in.pixel_bytes) * static_cast<ptrdiff_t>(p.column_step);
  uint8_t* to = access.Write(out, step, columns.first);
  if (p.channel_step == 1) return CopyPixels(from, in_bytes, count, out.channels, to, out.pixel_bytes);
  for (int32_t i = 0; i < count; ++i, from += in_bytes, to += out.pixel_bytes) {
    for (size_t c = 0; c < out.channels; ++c) to[c] = from[c * p.channel_step];
  }
}

// Adds what an axis of `size` contributes to the least and the greatest element.
void Extend(int32_t stride, uint32_t size, int64_t* least, int64_t* greatest) {
  const int64_t reach = int64_t{stride} * (int64_t{size} - 1);
  *(reach < 0 ? least : greatest) += reach;
}

Status CheckTranspose(const OpView& op) {
  const TransposeParameters& p = op.parameters<TransposeParameters>();
  if (!IsRuleOne(op)) return Status::kProgramUnsupported;
  const TensorRecord& in = op.input(0);
  const TensorRecord& out = op.output();
  const bool fits_types = in.type == out.type || (Is8Bit(in) && Is8Bit(out));
  if (p.reserved != 0 || in.place != kInput || in.height != 1 || in.width != 1 || out.place != kScratch ||
      !fits_types) {
    return Status::kProgramInvalid;
  }
  int64_t least = 0, greatest = 0;
  Extend(p.row_stride, out.height, &least, &greatest);
  if (least < 0 || greatest > INT32_MAX) return Status::kProgramInvalid;
  Extend(p.column_stride, out.width, &least, &greatest);
  if (least < 0 || greatest > INT32_MAX) return Status::kProgramInvalid;
  Extend(p.channel_stride, out.channels, &least, &greatest);
  return ValidIf(least == 0 && greatest < int64_t{in.channels});
}

Range FirstRow(const OpView&, int, int32_t) { return {0, 1}; }

// Elements of more than a byte.
void TransposeElements(const OpView& op, const RowAccess& access, int32_t step) {
  const TransposeParameters& p = op.parameters<TransposeParameters>();
  const ptrdiff_t element = static_cast<ptrdiff_t>(ElementBytes(op.input(0).type));
  const uint8_t* in = access.Read(op.input(0), 0, 0) + ptrdiff_t{p.row_stride} * step * element;
  const Range columns = access.Window(op);
  for (int32_t column = columns.first; column < columns.end; ++column) {
    const uint8_t* from = in + ptrdiff_t{p.column_stride} * column * element;
    uint8_t* to = access.Write(op.output(), step, column);
    for (uint32_t c = 0; c < op.output().channels; ++c, to += element) {
      memcpy(to, from + static_cast<ptrdiff_t>(c) * p.channel_stride * element, static_cast<size_t>(element));
    }
  }
}

void RunTranspose(const OpView& op, const RowAccess& access, const RowKernels&, int32_t step) {
  if (!Is8Bit(op.input(0))) return TransposeElements(op, access, step);
  const TransposeParameters& p = op.parameters<TransposeParameters>();
  const uint8_t* in = access.Read(op.input(0), 0, 0) + ptrdiff_t{p.row_stride} * step;
  const uint8_t flip = SignFlip(op.input(0));
  const Range columns = access.Window(op);
  for (int32_t column = columns.first; column < columns.end; ++column) {
    const uint8_t* from = in + ptrdiff_t{p.column_stride} * column;
    uint8_t* to = access.Write(op.output(), step, column);
    for (uint32_t c = 0; c < op.output().channels; ++c)
      to[c] = from[static_cast<ptrdiff_t>(c) * p.channel_stride] ^ flip;
  }
}

// Of CONCATENATION on rows and columns: where each begins is added up again and again.
constexpr int kMaxInputsBeside = 64;

// Rows, columns or channels of a tensor, whichever it is joined on.
uint32_t SizeOf(const TensorRecord& tensor, uint8_t axis) {
  return axis == kRowAxis ? tensor.height : axis == kColumnAxis ? tensor.width : tensor.channels;
}

// Whether an input is as large as the output but for the axis.
bool FitsBeside(const TensorRecord& in, const TensorRecord& out, uint8_t axis) {
  return (axis == kRowAxis || in.height == out.height) && (axis == kColumnAxis || in.width == out.width) &&
         (axis == kChannelAxis || in.channels == out.channels);
}

Status CheckConcatenation(const OpView& op) {
  const ConcatenationParameters& p = op.parameters<ConcatenationParameters>();
  if (!IsRuleOne(op)) return Status::kProgramUnsupported;
  if (p.axis > kChannelAxis || !AreZero(p.reserved)) return Status::kProgramInvalid;
  if (p.axis != kChannelAxis && op.op->inputs > kMaxInputsBeside) return Status::kProgramInvalid;
  const TensorRecord& out = op.output();
  uint64_t size = 0;
  for (int i = 0; i < op.op->inputs; ++i) {
    const TensorRecord& in = op.input(i);
    if (!IsScratch8Bit(in) || !FitsBeside(in, out, p.axis)) return Status::kProgramInvalid;
    size += SizeOf(in, p.axis);
  }
  return ValidIf(IsScratch8Bit(out) && size == SizeOf(out, p.axis));
}

// Where an input begins in the output, along the axis.
int64_t StartOf(const OpView& op, int operand, uint8_t axis) {
  int64_t start = 0;
  for (int i = 0; i < operand; ++i) start += SizeOf(op.input(i), axis);
  return start;
}

Range ConcatenationRows(const OpView& op, int operand, int32_t step) {
  if (op.parameters<ConcatenationParameters>().axis != kRowAxis) return {step, step + 1};
  const int64_t row = step - StartOf(op, operand, kRowAxis);
  return NearestInside(row, row + 1, op.input(operand).height);
}

Range ConcatenationColumns(const OpView& op, int operand, Range columns) {
  if (op.parameters<ConcatenationParameters>().axis != kColumnAxis) return columns;
  const int64_t start = StartOf(op, operand, kColumnAxis);
  return NearestInside(columns.first - start, columns.end - start, op.input(operand).width);
}

void RunConcatenation(const OpView& op, const RowAccess& access, const RowKernels&, int32_t step) {
  const uint8_t axis = op.parameters<ConcatenationParameters>().axis;
  const TensorRecord& out = op.output();
  const Range columns = access.Window(op);
  int64_t row = step;
  int64_t first_column = 0;
  uint8_t* channels = access.Write(out, step, columns.first);
  for (int i = 0; i < op.op->inputs; ++i) {
    const TensorRecord& in = op.input(i);
    const int64_t size = SizeOf(in, axis);
    if (axis == kRowAxis && row >= 0 && row < size) {
      CopyPixels(access.Read(in, static_cast<int32_t>(row), columns.first), in.pixel_bytes, columns.end - columns.first,
                 in.channels, channels, out.pixel_bytes);
    } else if (axis == kColumnAxis) {
      const int64_t first = columns.first > first_column ? columns.first : first_column;
      const int64_t end = columns.end < first_column + size ? columns.end : first_column + size;
      if (first < end) {
        CopyPixels(access.Read(in, step, static_cast<int32_t>(first - first_column)), in.pixel_bytes,
                   static_cast<int32_t>(end - first), in.channels, access.Write(out, step, static_cast<int32_t>(first)),
                   out.pixel_bytes);
      }
      first_column += size;
    } else if (axis == kChannelAxis) {
      CopyPixels(access.Read(in, step, columns.first), in.pixel_bytes, columns.end - columns.first, in.channels,
                 channels, out.pixel_bytes);
      channels += in.channels;
    }
    row -= size;
  }
}

constexpr Kind MakePad() {
  Kind kind;
  kind.parameter_bytes = sizeof(PadParameters);
  kind.check = CheckPad;
  kind.rows = PadRows;
  kind.columns = PadColumns;
  kind.run = RunPad;
  return kind;
}

constexpr Kind MakeSlice() {
  Kind kind;
  kind.parameter_bytes = sizeof(SliceParameters);
  kind.check = CheckSlice;
  kind.rows = SliceRows;
  kind.columns = SliceColumns;
  kind.run = RunSlice;
  return kind;
}

constexpr Kind MakeTranspose() {
  Kind kind;
  kind.parameter_bytes = sizeof(TransposeParameters);
  kind.check = CheckTranspose;
  kind.rows = FirstRow;
  kind.columns = AllColumns;
  kind.run = RunTranspose;
  return kind;
}

constexpr Kind MakeConcatenation() {
  Kind kind;
  kind.parameter_bytes = sizeof(ConcatenationParameters);
  kind.max_inputs = kMaxInputs;
  kind.check = CheckConcatenation;
  kind.rows = ConcatenationRows;
  kind.columns = ConcatenationColumns;
  kind.run = RunConcatenation;
  return kind;
}

}  // namespace

const Kind kPadKind = MakePad();
const Kind kSliceKind = MakeSlice();
const Kind kTransposeKind = MakeTranspose();
const Kind kConcatenationKind = MakeConcatenation();

}  // namespace fmtc::region
