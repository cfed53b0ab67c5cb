#include "core/tables.h"

#include "core/side_info.h"

namespace fmtc {
namespace {

uint32_t FloorLog2(uint32_t x) { return 31u - static_cast<uint32_t>(__builtin_clz(x)); }

// The places of the states, which are given token by token: they are sorted by (2i + 1) / count of their token, ties by
// token. Rounded down to 1/2^24, fractions that are equal stay so, and others, which differ by more than 1/64^2,
// differ.
void PlaceStates(const ClassRecord& record, uint8_t* places) {
  int32_t keys[kNumStates];  // below 2^29, as the fractions are below 2
  uint32_t slot = 0;
  for (uint32_t t = 0; t < record.num_tokens; ++t) {
    for (uint32_t i = 0; i < record.counts[t]; ++i, ++slot) {
      keys[slot] = static_cast<int32_t>(((2 * i + 1) << 24) / record.counts[t] * kMaxTokens + t);
    }
  }
  // Counting what comes before, without branches, is faster than any sort of so few.
  for (uint32_t k = 0; k < kNumStates; ++k) {
    int32_t before = 0;
    for (uint32_t j = 0; j < kNumStates; ++j) before += keys[j] < keys[k] ? 1 : 0;
    places[k] = static_cast<uint8_t>(before);
  }
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

void SetEncodeColumns(const ClassRecord& record, EncodeTable* table) {
  uint32_t slot = 0;
  for (uint32_t t = 0; t < record.num_tokens; ++t) {
    const uint32_t count = record.counts[t];
    uint32_t most_bits = 0;
    while (count << (most_bits + 1) < 2 * kNumStates) ++most_bits;
    table->most_bits[t] = static_cast<uint8_t>(most_bits);
    table->threshold[t] = static_cast<uint8_t>(count << most_bits);
    table->state_offset[t] = static_cast<uint8_t>(slot - count);
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
  *tables = {};
  tables->num_tokens = record.num_tokens;
  tables->constant = record.constant;
  EncodeTable& encode = tables->encode;
  SplitValues(record, tables);
  SetEncodeColumns(record, &encode);
  uint8_t places[kNumStates];
  PlaceStates(record, places);
  uint32_t slot = 0;
  for (uint32_t t = 0; t < record.num_tokens; ++t) {
    encode.start_state[t] = static_cast<uint8_t>(kNumStates + places[slot]);
    for (uint32_t i = 0; i < record.counts[t]; ++i, ++slot) {
      SetDecodeState(record, t, record.counts[t] + i, encode.first_value[t], places[slot], &tables->decode);
      encode.next_state[slot] = static_cast<uint8_t>(kNumStates + places[slot]);
    }
  }
}

}  // namespace fmtc
