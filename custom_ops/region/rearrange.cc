// MIRROR_PAD, DEPTH_TO_SPACE and SPACE_TO_DEPTH: values that change their places by more than a shift.
#include <cstring>

#include "region/kind.h"
#include "region/pixel_bytes.h"

namespace fmtc::region {
namespace {

// An axis of MIRROR_PAD.
struct Mirror {
  int64_t size, before, outputs, skipped;
};

// The input's place of an output's.
int64_t SourceOf(const Mirror& m, int64_t place) {
  const int64_t inside = place - m.before;
  if (inside < 0) return m.skipped - 1 - inside;
  return inside < m.size ? inside : 2 * m.size - 1 - m.skipped - inside;
}

// What the output's places need, also those before and behind them that are still to be had or had been: rows come
// back at the ends, and what is needed moves on all the same.
Range SourcesOf(const Mirror& m, int64_t first, int64_t last) {
  const int64_t of_first = SourceOf(m, first), of_last = SourceOf(m, last);
  const int64_t at_end = SourceOf(m, m.outputs - 1), at_start = SourceOf(m, 0);
  const int64_t least = first <= m.before ? 0 : (of_first < at_end ? of_first : at_end);
  const int64_t greatest = last >= m.before + m.size ? m.size - 1 : (of_last > at_start ? of_last : at_start);
  return {static_cast<int32_t>(least), static_cast<int32_t>(greatest) + 1};
}

Mirror RowMirror(const OpView& op) {
  const MirrorPadParameters& p = op.parameters<MirrorPadParameters>();
  return {op.input(0).height, p.above, op.output().height, p.skipped};
}

Mirror ColumnMirror(const OpView& op) {
  const MirrorPadParameters& p = op.parameters<MirrorPadParameters>();
  return {op.input(0).width, p.left, op.output().width, p.skipped};
}

Mirror ChannelMirror(const OpView& op) {
  const MirrorPadParameters& p = op.parameters<MirrorPadParameters>();
  return {op.input(0).channels, p.channels_before, op.output().channels, p.skipped};
}

// Nothing is mirrored that the input does not have.
bool FitsMirror(const Mirror& m) {
  const int64_t after = m.outputs - m.size - m.before;
  return after >= 0 && (m.before == 0 || m.before <= m.size - m.skipped) && (after == 0 || after <= m.size - m.skipped);
}

Status CheckMirrorPad(const OpView& op) {
  const MirrorPadParameters& p = op.parameters<MirrorPadParameters>();
  if (!IsRuleOne(op)) return Status::kProgramUnsupported;
  return ValidIf(p.skipped <= 1 && AreZero(p.reserved) && IsScratch8Bit(op.input(0)) && IsScratch8Bit(op.output()) &&
                 FitsMirror(RowMirror(op)) && FitsMirror(ColumnMirror(op)) && FitsMirror(ChannelMirror(op)));
}

Range MirrorPadRows(const OpView& op, int, int32_t step) { return SourcesOf(RowMirror(op), step, step); }

Range MirrorPadColumns(const OpView& op, int, Range columns) {
  return SourcesOf(ColumnMirror(op), columns.first, columns.end - 1);
}

void RunMirrorPad(const OpView& op, const RowAccess& access, const RowKernels&, int32_t step) {
  const TensorRecord& in = op.input(0);
  const TensorRecord& out = op.output();
  const Mirror in_columns = ColumnMirror(op), in_channels = ChannelMirror(op);
  const int32_t row = static_cast<int32_t>(SourceOf(RowMirror(op), step));
  const Range columns = access.Window(op);
  for (int32_t column = columns.first; column < columns.end; ++column) {
    const uint8_t* from = access.Read(in, row, static_cast<int32_t>(SourceOf(in_columns, column)));
    uint8_t* to = access.Write(out, step, column);
    if (in.channels == out.channels) {
      memmove(to, from, in.channels);
      continue;
    }
    for (uint32_t c = 0; c < out.channels; ++c) to[c] = from[SourceOf(in_channels, c)];
  }
}

// Whether blocks of pixels of one tensor are the pixels of another.
bool Folds(const TensorRecord& shallow, const TensorRecord& deep, uint64_t block) {
  return block >= 1 && block <= INT32_MAX && shallow.height == deep.height * block &&
         shallow.width == deep.width * block && deep.channels / block / block == shallow.channels &&
         deep.channels == shallow.channels * block * block;
}

Status CheckBlocks(const OpView& op, const TensorRecord& shallow, const TensorRecord& deep) {
  const BlockParameters& p = op.parameters<BlockParameters>();
  if (!IsRuleOne(op)) return Status::kProgramUnsupported;
  return ValidIf(p.reserved == 0 && IsScratch8Bit(shallow) && IsScratch8Bit(deep) && Folds(shallow, deep, p.block));
}

Status CheckDepthToSpace(const OpView& op) { return CheckBlocks(op, op.output(), op.input(0)); }
Status CheckSpaceToDepth(const OpView& op) { return CheckBlocks(op, op.input(0), op.output()); }

int32_t BlockOf(const OpView& op) { return static_cast<int32_t>(op.parameters<BlockParameters>().block); }

Range DepthToSpaceRows(const OpView& op, int, int32_t step) {
  const int32_t row = step / BlockOf(op);
  return {row, row + 1};
}

Range DepthToSpaceColumns(const OpView& op, int, Range columns) {
  const int32_t block = BlockOf(op);
  return {columns.first / block, (columns.end - 1) / block + 1};
}

// What a deep pixel has of a row of its block is side by side: where the shallow pixels are, too, it moves at once, and
// otherwise a column of each block after the other.
void RunDepthToSpace(const OpView& op, const RowAccess& access, const RowKernels&, int32_t step) {
  const TensorRecord& out = op.output();
  const int32_t block = BlockOf(op), row = step / block;
  const ptrdiff_t channels = out.channels, deep = op.input(0).pixel_bytes, shallow = out.pixel_bytes;
  const ptrdiff_t of_row = ptrdiff_t{step % block} * block * channels;  // what it needs of a deep pixel
  const Range columns = access.Window(op);
  if (shallow == channels && columns.first % block == 0 && columns.end % block == 0) {
    const ptrdiff_t side = block * channels;
    return CopyPixels(access.Read(op.input(0), row, columns.first / block) + of_row, deep,
                      (columns.end - columns.first) / block, static_cast<size_t>(side),
                      access.Write(out, step, columns.first), side);
  }
  for (int32_t first = columns.first; first < columns.end && first - columns.first < block; ++first) {
    CopyPixels(access.Read(op.input(0), row, first / block) + of_row + first % block * channels, deep,
               (columns.end - first - 1) / block + 1, out.channels, access.Write(out, step, first), block * shallow);
  }
}

Range SpaceToDepthRows(const OpView& op, int, int32_t step) {
  const int32_t block = BlockOf(op);
  return {step * block, (step + 1) * block};
}

Range SpaceToDepthColumns(const OpView& op, int, Range columns) {
  const int32_t block = BlockOf(op);
  return {columns.first * block, columns.end * block};
}

void RunSpaceToDepth(const OpView& op, const RowAccess& access, const RowKernels&, int32_t step) {
  const TensorRecord& in = op.input(0);
  const int32_t block = BlockOf(op);
  const ptrdiff_t channels = in.channels, shallow = in.pixel_bytes, deep = op.output().pixel_bytes;
  const Range columns = access.Window(op);
  const int32_t pieces = shallow == channels ? 1 : block;  // of a row of a block
  const ptrdiff_t bytes = channels * block / pieces;
  uint8_t* out = access.Write(op.output(), step, columns.first);
  for (int32_t i = 0; i < block; ++i) {
    const uint8_t* from = access.Read(in, step * block + i, columns.first * block);
    for (int32_t j = 0; j < pieces; ++j, from += shallow, out += bytes) {
      CopyPixels(from, block * shallow, columns.end - columns.first, static_cast<size_t>(bytes), out, deep);
    }
  }
}

constexpr Kind MakeMirrorPad() {
  Kind kind;
  kind.parameter_bytes = sizeof(MirrorPadParameters);
  kind.check = CheckMirrorPad;
  kind.rows = MirrorPadRows;
  kind.columns = MirrorPadColumns;
  kind.run = RunMirrorPad;
  return kind;
}

constexpr Kind MakeDepthToSpace() {
  Kind kind;
  kind.parameter_bytes = sizeof(BlockParameters);
  kind.check = CheckDepthToSpace;
  kind.rows = DepthToSpaceRows;
  kind.columns = DepthToSpaceColumns;
  kind.run = RunDepthToSpace;
  return kind;
}

constexpr Kind MakeSpaceToDepth() {
  Kind kind;
  kind.parameter_bytes = sizeof(BlockParameters);
  kind.check = CheckSpaceToDepth;
  kind.rows = SpaceToDepthRows;
  kind.columns = SpaceToDepthColumns;
  kind.run = RunSpaceToDepth;
  return kind;
}

}  // namespace

const Kind kMirrorPadKind = MakeMirrorPad();
const Kind kDepthToSpaceKind = MakeDepthToSpace();
const Kind kSpaceToDepthKind = MakeSpaceToDepth();

}  // namespace fmtc::region
