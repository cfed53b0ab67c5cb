#include "region/halo.h"

#include <cstring>

#include "region/share.h"

namespace fmtc::region {
namespace {

Range Common(Range a, Range b) { return {a.first > b.first ? a.first : b.first, a.end < b.end ? a.end : b.end}; }

void CopyPixels(const RowAccess& access, const TensorRecord& tensor, int32_t row, const Share& pixels,
                const uint8_t* from) {
  const size_t element = ElementBytes(tensor.type), pixel = tensor.pixel_bytes;
  const ptrdiff_t first = access.PixelOffset(tensor, row, pixels.columns.first) +
                          pixels.channels.first * static_cast<ptrdiff_t>(element) + tensor.offset;
  const uint8_t* in = from + first;
  uint8_t* out = access.private_scratch + first;
  const size_t columns = static_cast<size_t>(pixels.columns.end - pixels.columns.first);
  const size_t channels = static_cast<size_t>(pixels.channels.end - pixels.channels.first);
  if (channels == tensor.channels) {
    memcpy(out, in, (columns - 1) * pixel + channels * element);
    return;
  }
  for (size_t x = 0; x < columns; ++x) memcpy(out + x * pixel, in + x * pixel, channels * element);
}

void FetchRows(const OpView& op, const Kind& kind, int operand, Range rows, const RowAccess& access, int part,
               int parts, const uint8_t* const* scratches) {
  const TensorRecord& input = op.input(operand);
  const TensorState& state = access.StateOf(input);
  const OpView writer{op.program, &op.program->ops[state.writer]};
  const Range columns = kind.columns(op, operand, access.share.columns);
  const bool keeps = kind.keeps_channels && input.channels == op.output().channels;
  const Range channels = keeps ? access.share.channels : AllChannels(writer);
  for (int other = 0; other < parts; ++other) {
    const Share share = ShareOf(writer, *FindKind(writer.op->kind), state.window, other, parts);
    if (other == part || share.IsEmpty()) continue;
    const Share pixels{Common(columns, WithPadding(input, share.columns)), Common(channels, share.channels)};
    if (pixels.columns.first >= pixels.columns.end || pixels.channels.first >= pixels.channels.end) continue;
    for (int32_t row = rows.first; row < rows.end; ++row) CopyPixels(access, input, row, pixels, scratches[other]);
  }
}

bool Holds(const PassRecord& section, int op) { return op >= section.first_op && op < section.first_op + section.ops; }

}  // namespace

void FindPrivateTensors(const Program& program, const Sections& sections, State* state) {
  for (int i = 0; i < program.header->tensors; ++i) {
    state->tensors[i].is_private = program.tensors[i].place == kScratch;
  }
  for (size_t i = 0; i < sections.count; ++i) {
    const PassRecord& section = sections.records[i];
    for (int j = section.first_op; j < section.first_op + section.ops; ++j) {
      const OpView op{&program, &program.ops[j]};
      for (int operand = 0; operand < op.op->inputs; ++operand) {
        TensorState& input = state->tensors[&op.input(operand) - program.tensors];
        if (!Holds(section, input.writer)) input.is_private = false;
      }
      // What several passes write to stays for a later one, whose shares are others. (in_pass: one of them has been.)
      TensorState& output = state->tensors[op.op->output];
      if (output.in_pass && !op.output().windowed && RowsHeld(op.output()) >= op.output().height)
        output.is_private = false;
      output.in_pass = true;
    }
  }
  for (int i = 0; i < program.header->tensors; ++i) state->tensors[i].in_pass = false;
}

Range InnerColumns(const OpView& op, const Kind& kind, const RowAccess& access, int part, int parts) {
  Range inner = access.share.columns;
  for (int operand = 0; operand < op.op->inputs; ++operand) {
    const TensorRecord& input = op.input(operand);
    const TensorState& state = access.StateOf(input);
    if (input.place != kScratch || !state.in_pass) continue;
    const OpView writer{op.program, &op.program->ops[state.writer]};
    const Share share = ShareOf(writer, *FindKind(writer.op->kind), state.window, part, parts);
    const bool has_channels = share.channels.first == 0 && share.channels.end == AllChannels(writer).end;
    if (share.IsEmpty() || !has_channels) return {inner.first, inner.first};
    const Range own = WithPadding(input, share.columns);
    while (inner.first < inner.end && kind.columns(op, operand, inner).first < own.first) ++inner.first;
    while (inner.first < inner.end && kind.columns(op, operand, inner).end > own.end) --inner.end;
  }
  return inner;
}

void FetchHalo(const OpView& op, const Kind& kind, int32_t step, const RowAccess& access, int part, int parts,
               const uint8_t* const* scratches) {
  for (int operand = 0; operand < op.op->inputs; ++operand) {
    if (!access.StateOf(op.input(operand)).is_private) continue;
    const Range rows = NewRows(op, kind, operand, step);
    if (rows.first < rows.end) FetchRows(op, kind, operand, rows, access, part, parts, scratches);
  }
}

}  // namespace fmtc::region
