// What the kinds that multiply and add up have in common.
#include "region/mac.h"

#include "base/bytes.h"

namespace fmtc::region {
namespace {

constexpr uint32_t kWeightsAlignment = 64;
constexpr uint32_t kMaxFactorBits = 0x7F800000;  // of float32: from here on infinite, not a number or negative
constexpr uint64_t kMaxDoubleBits = 0x7FF0000000000000;

bool FitsMultipliers(const OpView& op, uint64_t entries) {
  const MacParameters& p = op.parameters<MacParameters>();
  const Program& program = *op.program;
  const uint8_t rule = kHasAllRules ? op.op->rule : uint8_t{kDoubleRounding};
  const uint32_t bytes = rule == kFloat64Rule ? 8 : 4;
  if (!program.Has(p.multipliers_offset, entries, bytes, 4)) return false;
  const uint8_t* multipliers = program.At<uint8_t>(p.multipliers_offset);
  const bool has_shifts = rule != kFloat32Rule && rule != kFloat64Rule;
  if (has_shifts ? !program.Has(p.shifts_offset, entries, 1, 1) : p.shifts_offset != 0) return false;
  for (size_t i = 0; i < entries; ++i) {
    if (rule == kFloat64Rule) {
      if (Load<uint64_t>(multipliers + 8 * i) >= kMaxDoubleBits) return false;
    } else if (Load<uint32_t>(multipliers + 4 * i) >= (has_shifts ? 0x80000000 : kMaxFactorBits)) {
      return false;
    }
    const int8_t shift = has_shifts ? program.At<int8_t>(p.shifts_offset)[i] : int8_t{0};
    if (shift < kMinShift || shift > kMaxShift) return false;
  }
  return true;
}

// The optional arrays: for each row of blocks of 16 channels, its k-steps in another order.
bool FitsOrder(const OpView& op, uint64_t blocks, uint64_t steps) {
  if (!kHasVectors) return true;  // which alone read them
  const MacParameters& p = op.parameters<MacParameters>();
  if (p.order_offset == 0 && p.safe_offset == 0) return true;
  uint64_t entries;
  if (!CheckedMultiply(blocks, steps, &entries) || !op.program->Has(p.order_offset, entries, 2, 2) ||
      !op.program->Has(p.safe_offset, blocks, 2, 2)) {
    return false;
  }
  const uint16_t* order = op.program->At<uint16_t>(p.order_offset);
  const uint16_t* safe = op.program->At<uint16_t>(p.safe_offset);
  for (uint64_t i = 0; i < entries; ++i) {
    if (order[i] >= steps) return false;
  }
  for (uint64_t i = 0; i < blocks; ++i) {
    if (safe[i] > steps) return false;
  }
  return true;
}

}  // namespace

FMTC_SELDOM Status CheckMac(const OpView& op, const MacShape& shape) {
  const MacParameters& p = op.parameters<MacParameters>();
  if (!IsRule(op, shape.last_rule) || p.layout != shape.layout) return Status::kProgramUnsupported;
  if (p.reserved0 != 0 || !AreZero(p.reserved1)) return Status::kProgramInvalid;
  const TensorRecord& input = op.input(0);
  if (!IsScratch8Bit(input) || !IsScratch8Bit(op.output()) || input.pixel_bytes % 4 != 0) {
    return Status::kProgramInvalid;
  }
  const uint64_t entries = NumEntries(op);
  uint64_t rows_weights, weights, biases;
  const bool counts = CheckedMultiply(entries, shape.k, &rows_weights) &&
                      CheckedMultiply(rows_weights, shape.rows, &weights) &&
                      CheckedMultiply(entries, shape.phases, &biases);
  if (!counts || !op.program->Has(p.weights_offset, weights, 1, kWeightsAlignment) ||
      !op.program->Has(p.biases_offset, biases, 4, 4) || !FitsMultipliers(op, entries) ||
      (p.sums_offset != 0 && !op.program->Has(p.sums_offset, entries, 4, 4))) {
    return Status::kProgramInvalid;
  }
  if (shape.layout == kDotLayout) {
    return ValidIf(FitsOrder(op, entries / kChannelBlock * shape.rows, shape.k / kStepValues));
  }
  return ValidIf(p.order_offset == 0 && p.safe_offset == 0);
}

namespace {

// As MacRow has it; what stands for padding is small, too.
bool HasSmallFactors(const OpView& op) {
  if (!kHasAllRules || op.op->rule == kFloat64Rule || op.op->rule == kRndnu) return false;
  const MacParameters& p = op.parameters<MacParameters>();
  const uint8_t* factors = op.program->At<uint8_t>(p.multipliers_offset);
  const uint64_t entries = NumEntries(op);
  for (uint64_t i = 0; i < entries; ++i, factors += 4) {
    const bool is_small = op.op->rule == kFloat32Rule
                              ? Load<float>(factors) < 1.0f
                              : op.program->At<int8_t>(p.shifts_offset)[i] < 0 || Load<int32_t>(factors) == 0;
    if (!is_small) return false;
  }
  return true;
}

}  // namespace

FMTC_SELDOM void PrepareMacRow(const OpView& op, MacRow* row) {
  const MacParameters& p = op.parameters<MacParameters>();
  const Program& program = *op.program;
  *row = {};
  row->groups = p.groups;
  row->multiplier = 1;
  row->weights = program.At<int8_t>(p.weights_offset);
  row->weight_zero = p.weight_zero;
  row->has_small_factors = HasSmallFactors(op);
  row->requantization.biases = program.At<int32_t>(p.biases_offset);
  row->requantization.multipliers = program.At<uint8_t>(p.multipliers_offset);
  row->requantization.shifts = program.At<int8_t>(p.shifts_offset);
  row->requantization.range = {p.zero, p.low, p.high};
  row->in_channels = static_cast<int32_t>(op.input(0).channels) / p.groups;
  row->out_channels = static_cast<int32_t>(op.output().channels) / p.groups;
  row->requantization.blocks_end = row->out_channels - row->out_channels % kRuleBlock;
  row->stride = row->dilation = 1;
  row->pixel_bytes = row->tap_bytes = op.input(0).pixel_bytes;
  row->out_pixel_bytes = op.output().pixel_bytes;
}

}  // namespace fmtc::region
