#include "region/packed_weights.h"

#include "base/bytes.h"
#include "region/taps.h"

namespace fmtc::region {
namespace {

constexpr uint32_t kBlockStep = kChannelBlock * kStepValues;  // bytes
constexpr uint32_t kWeightsAlignment = 64;

// Of an op that may be anything; 0: it keeps those of the program.
size_t BytesOf(const Program& program, const OpRecord& op) {
  if (op.kind != kConv || op.parameter_bytes != sizeof(MacParameters) || op.output >= program.header->tensors ||
      !program.Has(op.parameters_offset, sizeof(MacParameters), 1, 4)) {
    return 0;
  }
  const MacParameters& p = *program.At<MacParameters>(op.parameters_offset);
  const WindowParameters& w = p.window;
  const bool is_single = p.groups == 1 && p.group_channels == 1 && p.weight_zero == 0;
  if (!is_single || w.kernel_columns < 2 || w.column_dilation != 1) return 0;
  const uint64_t steps = uint64_t{w.kernel_rows} * ((w.kernel_columns + 3u) / 4);
  const uint64_t blocks = (uint64_t{program.tensors[op.output].channels} + kChannelBlock - 1) / kChannelBlock;
  const uint64_t taps = uint64_t{w.kernel_rows} * w.kernel_columns;
  if (blocks == 0 || steps > kMaxPackedSteps || taps * kBlockStep > program.header->bytes / blocks ||
      !program.Has(p.weights_offset, blocks * taps * kBlockStep, 1, kWeightsAlignment)) {
    return 0;
  }
  return blocks * steps * kBlockStep;
}

}  // namespace

size_t PackedWeightsBytes(const Program& program) {
  size_t bytes = 0;
  for (int i = 0; i < program.header->ops; ++i) {
    const size_t more = BytesOf(program, program.ops[i]);
    if (more <= program.header->bytes - bytes) bytes += more;
  }
  return bytes;
}

void PackWeights(const OpView& op, MacRow* row, PackedRoom* room) {
  const size_t bytes = BytesOf(*op.program, *op.op);
  if (bytes == 0 || bytes > room->bytes || row->pixel_bytes != kStepValues) return;
  PackWeightsOf(*row, room->memory);
  row->packed_weights = room->memory;
  *room = {room->memory + bytes, room->bytes - bytes};
}

void PackWeightsOf(const MacRow& row, int8_t* packed) {
  const int8_t* weights = row.weights;
  for (int32_t c = 0; c < row.out_channels; c += kChannelBlock) {
    for (int32_t i = 0; i < row.kernel_rows; ++i) {
      for (int32_t j = 0; j < RoundUpTo(row.kernel_columns, kStepValues); ++j) {
        int8_t* const out = packed + j / kStepValues * kBlockStep + j % kStepValues;
        for (int32_t k = 0; k < kChannelBlock; ++k) {
          out[k * kStepValues] = j < row.kernel_columns ? weights[j * kBlockStep + k * kStepValues] : int8_t{0};
        }
      }
      weights += row.kernel_columns * kBlockStep;
      packed += RoundUpTo(row.kernel_columns, kStepValues) / kStepValues * kBlockStep;
    }
  }
}

}  // namespace fmtc::region
