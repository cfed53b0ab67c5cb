#include "core/tables.h"

#include "core/side_info.h"

namespace fmtc {
namespace {

uint32_t FloorLog2(uint32_t x) { return 31u - static_cast<uint32_t>(__builtin_clz(x)); }

// Tokens in the order of the fractions (2i + 1) / count of their next state, and ties by token. Rounded down to 1/2^24
// fractions that are equal stay so, and others too, since they differ by more than 1/64^2.
class StateOrder {
 public:
  explicit StateOrder(const ClassRecord& record) : record_(record) {
    for (uint32_t t = 0; t < kMaxTokens; ++t) keys_[t] = t < record.num_tokens ? Key(t) : UINT32_MAX;
  }

  // States that token t has so far.
  uint32_t used(uint32_t t) const { return used_[t]; }

  uint32_t First() const {
    uint32_t least = keys_[0];
    for (uint32_t t = 1; t < kMaxTokens; ++t) least = keys_[t] < least ? keys_[t] : least;
    return least % kMaxTokens;
  }

  void Use(uint32_t t) {
    ++used_[t];
    keys_[t] = used_[t] < record_.counts[t] ? Key(t) : UINT32_MAX;
  }

 private:
  // Below 2^29, as the fraction is below 2.
  uint32_t Key(uint32_t t) const { return ((2u * used_[t] + 1) << 24) / record_.counts[t] * kMaxTokens + t; }

  const ClassRecord& record_;
  uint32_t used_[kMaxTokens] = {};
  uint32_t keys_[kMaxTokens];
};

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
  *tables = {};
  tables->num_tokens = record.num_tokens;
  tables->constant = record.constant;
  EncodeTable& encode = tables->encode;
  SplitValues(record, tables);
  SetEncodeColumns(record, first_slot, &encode);
  StateOrder order(record);
  for (uint32_t p = 0; p < kNumStates; ++p) {
    const uint32_t t = order.First();
    const uint32_t i = order.used(t);
    SetDecodeState(record, t, record.counts[t] + i, encode.first_value[t], p, &tables->decode);
    const uint8_t state = static_cast<uint8_t>(kNumStates + p);
    encode.next_state[first_slot[t] + i] = state;
    if (i == 0) encode.start_state[t] = state;
    order.Use(t);
  }
}

}  // namespace fmtc
