// The decoder's run in plain C++.
#include "codec/plain_kernels.h"

namespace fmtc {
namespace {

constexpr size_t kBatch = 8;  // values that one 64-bit window of either stream serves

// Decodes `count` <= 8 lanes. Without kAdvance the states stay and no token bits are used.
template <bool kAdvance>
inline void DecodeBatch(const DecodeTable& table, size_t count, uint8_t* states, uint8_t* values, BitReader* tokens,
                        BitReader* raw) {
  tokens->ClampPosition();
  raw->ClampPosition();
  uint64_t token_window = kAdvance ? tokens->Window() : 0;
  uint64_t raw_window = raw->Window();
  uint32_t token_bits_used = 0;
  uint32_t raw_bits_used = 0;
  for (size_t k = 0; k < count; ++k) {
    const size_t state = states[k];
    const uint32_t raw_bits = table.raw_bits[state];
    const uint32_t raw_value = static_cast<uint32_t>(raw_window) & table.raw_mask[state];
    values[k] = static_cast<uint8_t>(table.first_value[state] + raw_value);
    raw_window >>= raw_bits;
    raw_bits_used += raw_bits;
    if (kAdvance) {
      const uint32_t token_bits = table.token_bits[state];
      states[k] = static_cast<uint8_t>(table.base[state] + (token_window & table.token_mask[state]));
      token_window >>= token_bits;
      token_bits_used += token_bits;
    }
  }
  tokens->position += token_bits_used;
  raw->position += raw_bits_used;
}

template <bool kAdvance>
void DecodeStep(const DecodeTable& table, uint8_t* states, uint8_t* values, BitReader* tokens, BitReader* raw) {
  for (size_t lane = 0; lane < kLanes; lane += kBatch) {
    DecodeBatch<kAdvance>(table, kBatch, states + lane, values + lane, tokens, raw);
  }
}

void DecodeRun(const DecodeTable& table, RunShape run, LaneDecoder* segment) {
  BitReader tokens = segment->tokens;
  BitReader raw = segment->raw;
  uint8_t* const states = segment->states;
  uint8_t* values = segment->values;
  const size_t partial = run.PartialStep();
  for (size_t lane = 0; lane < partial; lane += kBatch) {
    const size_t count = partial - lane < kBatch ? partial - lane : kBatch;
    DecodeBatch<true>(table, count, states + lane, values + lane, &tokens, &raw);
  }
  values += partial;
  for (size_t steps = run.WholeSteps(); steps > 0; --steps, values += kLanes) {
    DecodeStep<true>(table, states, values, &tokens, &raw);
  }
  if (run.FreeLanes() > 0) DecodeStep<false>(table, states, values, &tokens, &raw);
  segment->tokens = tokens;
  segment->raw = raw;
}

}  // namespace

void DecodeRunPlain(const DecodeTable& table, RunShape run, LaneDecoder* const* segments, size_t count) {
  for (size_t i = 0; i < count; ++i) DecodeRun(table, run, segments[i]);
}

}  // namespace fmtc
