#include "core/tables.h"

#include "core/side_info.h"

namespace fmtc {
namespace {

uint32_t FloorLog2(uint32_t x) { return 31u - static_cast<uint32_t>(__builtin_clz(x)); }

// The token with the smallest (2i + 1) / count, where i counts the states that it has so far; the first such token.
uint32_t TokenOfNextState(const ClassRecord& record, const uint8_t* used) {
  uint32_t best = kMaxTokens;
  for (uint32_t t = 0; t < record.num_tokens; ++t) {
    if (used[t] == record.counts[t]) continue;
    if (best == kMaxTokens || (2u * used[t] + 1) * record.counts[best] < (2u * used[best] + 1) * record.counts[t]) {
      best = t;
    }
  }
  return best;
}

void SplitValues(const ClassRecord& record, ClassTables* tables) {
  uint8_t* const first_value = tables->encode.first_value;
  first_value[0] = record.offset;
  for (uint32_t t = 1; t < record.num_tokens; ++t) {
    first_value[t] = static_cast<uint8_t>(first_value[t - 1] + (1u << record.WidthLog2(t - 1)));
  }
  // Backwards, since a value belongs to the first token that covers it.
  for (uint32_t t = record.num_tokens; t-- > 0;) {
    const uint32_t bits = record.WidthLog2(t);
    tables->encode.raw_mask[t] = static_cast<uint8_t>((1u << bits) - 1);
    for (uint32_t u = 0; u < 1u << bits; ++u) {
      const uint8_t value = static_cast<uint8_t>(first_value[t] + u);
      tables->token_of[value] = static_cast<uint8_t>(t);
      tables->split[value] = {static_cast<uint8_t>(u), static_cast<uint8_t>(bits)};
    }
  }
}

// first_slot[t] is where the states of token t begin in next_state.
void SetEncodeColumns(const ClassRecord& record, uint8_t* first_slot, EncodeTable* table) {
  uint32_t slot = 0;
  for (uint32_t t = 0; t < record.num_tokens; ++t) {
    const uint32_t count = record.counts[t];
    uint32_t most_bits = 0;
    while (count << (most_bits + 1) < 2 * kNumStates) ++most_bits;
    table->most_bits[t] = static_cast<uint8_t>(most_bits);
    table->threshold[t] = static_cast<uint8_t>(count << most_bits);
    table->state_offset[t] = static_cast<uint8_t>(slot - count);
    first_slot[t] = static_cast<uint8_t>(slot);
    slot += count;
  }
}

// State p is the one that belongs to token t with this x.
void SetDecodeState(const ClassRecord& record, uint32_t t, uint32_t x, uint8_t first_value, uint32_t p,
                    DecodeTable* table) {
  const uint32_t bits = 6 - FloorLog2(x);
  const uint32_t raw_bits = record.WidthLog2(t);
  table->token_bits[p] = static_cast<uint8_t>(bits);
  table->token_mask[p] = static_cast<uint8_t>((1u << bits) - 1);
  table->base[p] = static_cast<uint8_t>((x << bits) - kNumStates);
  table->raw_bits[p] = static_cast<uint8_t>(raw_bits);
  table->raw_mask[p] = static_cast<uint8_t>((1u << raw_bits) - 1);
  table->first_value[p] = first_value;
}

}  // namespace

void BuildClassTables(const ClassRecord& record, ClassTables* tables) {
  uint8_t first_slot[kMaxTokens];
  uint8_t used[kMaxTokens] = {};
  *tables = {};
  tables->num_tokens = record.num_tokens;
  tables->constant = record.constant;
  EncodeTable& encode = tables->encode;
  SplitValues(record, tables);
  SetEncodeColumns(record, first_slot, &encode);
  for (uint32_t p = 0; p < kNumStates; ++p) {
    const uint32_t t = TokenOfNextState(record, used);
    SetDecodeState(record, t, record.counts[t] + used[t], encode.first_value[t], p, &tables->decode);
    const uint8_t state = static_cast<uint8_t>(kNumStates + p);
    encode.next_state[first_slot[t] + used[t]] = state;
    if (used[t] == 0) encode.start_state[t] = state;
    ++used[t];
  }
}

}  // namespace fmtc
