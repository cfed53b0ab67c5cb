#include "region/row_pairs.h"

#include "region/kind.h"
#include "region/prepared_row.h"

namespace fmtc::region {
namespace {

struct Bytes {
  uint64_t first, end;

  bool Meets(const Bytes& o) const { return first < o.end && o.first < end; }
};

Bytes RowBytes(const TensorRecord& tensor, int32_t row) {
  const uint64_t first = tensor.offset + uint64_t{PlacesOf(tensor).SlotOf(row)} * tensor.row_bytes;
  return {first, first + tensor.row_bytes};
}

bool IsApart(const OpView& op, const Kind& kind) {
  const TensorRecord& input = op.input(0);
  const Bytes own = {op.op->memory_offset, uint64_t{op.op->memory_offset} + op.op->memory_bytes};
  for (int32_t step = 0; step < 2; ++step) {
    const Bytes out = RowBytes(op.output(), step);
    if (out.Meets(own)) return false;
    const Range rows = {kind.rows(op, 0, 0).first, kind.rows(op, 0, 1).end};
    for (int32_t row = rows.first; row < rows.end; ++row) {
      if (out.Meets(RowBytes(input, row))) return false;
    }
  }
  return true;
}

bool MayPair(const OpView& op, const Kind& kind, const PreparedRow& row) {
  const bool is_small = row.kernel_rows <= kPairKernelRows && op.output().width <= kPairWidth;
  return op.op->kind == kConv && op.op->rule == kFloat32Rule && row.groups == 1 && is_small &&
         op.output().height == 2 && !op.input(0).windowed && !op.output().windowed && IsApart(op, kind);
}

}  // namespace

void FindRowPairs(const Program& program, State* state) {
  for (int i = 0; i < program.header->ops; ++i) {
    const OpFacts& facts = state->ops[i];
    if (facts.row != nullptr) facts.row->places.is_pair = MayPair({&program, &program.ops[i]}, *facts.kind, *facts.row);
  }
  for (int i = 0; i < program.header->passes; ++i) {
    const PassRecord& pass = program.passes[i];
    for (uint32_t step = 0; step < pass.steps; ++step) {
      const uint16_t* const at = program.steps + pass.first_step + step;
      PreparedRow* const row = state->ops[*at].row;
      if (row == nullptr || !row->places.is_pair) continue;
      row->places.is_pair = step + 1 < pass.steps && at[1] == *at;
      ++step;
    }
  }
}

}  // namespace fmtc::region
