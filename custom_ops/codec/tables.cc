#include "codec/tables.h"

#include "base/bytes.h"
#include "codec/side_info.h"

namespace fmtc {
namespace {

uint32_t FloorLog2(uint32_t x) { return 31u - static_cast<uint32_t>(__builtin_clz(x)); }

// The tokens and places of the states, which are given token by token. The places are sorted by the states' fractions,
// (2i + 1) / count of their token, ties by token. A place is thus how many states come before, summed over the tokens:
// of one with c states, (ceil(fraction * c) - 1 + 1) / 2 have smaller fractions, and (floor(fraction * c) + 1) / 2 have
// fractions that are not larger, both rounded down. No branch depends on the counts but the ends of loops.
void PlaceStates(const ClassRecord& record, uint8_t* tokens, uint8_t* places) {
  // In 1/2^15, below 2^16: a fraction and at most 1.25 more. Less 2, it is too small. Times c < 64, neither is wrong by
  // as much as 1/63, of which the product is a multiple: the whole parts are floor() and ceil() - 1.
  uint16_t fractions[kNumStates];
  uint32_t slot = 0;
  for (uint32_t t = 0; t < record.num_tokens; ++t) {
    const uint32_t unit = ((1u << 24) + record.counts[t] - 1u) / record.counts[t];
    for (uint32_t i = 0; i < record.counts[t]; ++i, ++slot) {
      tokens[slot] = static_cast<uint8_t>(t);
      fractions[slot] = static_cast<uint16_t>(((2 * i + 1) * unit >> 9) + 1);
    }
  }
  uint16_t before[kNumStates] = {};
  uint16_t end = 0;  // of the states whose ties in token t do not come before them
  for (uint32_t t = 0; t < record.num_tokens; ++t) {
    end = static_cast<uint16_t>(end + record.counts[t]);
    const uint16_t twice = static_cast<uint16_t>(2u * record.counts[t]);
    for (uint16_t k = 0; k < kNumStates; ++k) {
      const uint16_t fraction = static_cast<uint16_t>(fractions[k] - (k < end ? 2 : 0));
      const uint16_t product = static_cast<uint16_t>(uint32_t{fraction} * twice >> 16);
      before[k] = static_cast<uint16_t>(before[k] + static_cast<uint16_t>(static_cast<uint16_t>(product + 1) >> 1));
    }
  }
  for (uint32_t k = 0; k < kNumStates; ++k) places[k] = static_cast<uint8_t>(before[k]);
}

void SplitValues(const ClassRecord& record, ClassTables* tables) {
  EncodeTable& encode = tables->encode;
  uint8_t token_of[256 + 128];  // from the record's offset on
  uint32_t value = 0;
  for (uint32_t t = 0; t < record.num_tokens; ++t) {
    const uint32_t bits = record.WidthLog2(t);
    encode.first_value[t] = static_cast<uint8_t>(record.offset + value);
    encode.raw_bits[t] = static_cast<uint8_t>(bits);
    encode.raw_mask[t] = static_cast<uint8_t>((1u << bits) - 1);
    // In pieces, as runs are short as a rule; the next token's values follow.
    for (uint32_t u = 0; u < 1u << bits; u += 16) memset(token_of + value + u, static_cast<int>(t), 16);
    value += 1u << bits;
  }
  // What the last token covers beyond 256 values belongs to the first ones.
  const size_t before_wrap = 256u - record.offset;
  memcpy(tables->token_of + record.offset, token_of, before_wrap);
  memcpy(tables->token_of, token_of + before_wrap, record.offset);
}

void SetEncodeColumns(const ClassRecord& record, EncodeTable* table) {
  uint32_t slot = 0;
  for (uint32_t t = 0; t < record.num_tokens; ++t) {
    const uint32_t count = record.counts[t];
    const uint32_t most_bits = 6 - FloorLog2(count);
    table->most_bits[t] = static_cast<uint8_t>(most_bits);
    table->threshold[t] = static_cast<uint8_t>(count << most_bits);
    table->state_offset[t] = static_cast<uint8_t>(slot - count);
    slot += count;
  }
}

void SetStates(const ClassRecord& record, ClassTables* tables) {
  EncodeTable& encode = tables->encode;
  DecodeTable& decode = tables->decode;
  uint8_t tokens[kNumStates];
  uint8_t places[kNumStates];
  PlaceStates(record, tokens, places);
  // Backwards, so that the first one of a token is the last that start_state gets.
  for (uint32_t k = kNumStates; k-- > 0;) {
    const uint32_t p = places[k], t = tokens[k];
    const uint32_t x = static_cast<uint8_t>(k - encode.state_offset[t]);  // count ... 2 * count - 1
    const uint32_t bits = 6 - FloorLog2(x);
    encode.next_state[k] = encode.start_state[t] = static_cast<uint8_t>(kNumStates + p);
    decode.token_bits[p] = static_cast<uint8_t>(bits);
    decode.token_mask[p] = static_cast<uint8_t>((1u << bits) - 1);
    decode.base[p] = static_cast<uint8_t>((x << bits) - kNumStates);
    decode.raw_bits[p] = encode.raw_bits[t];
    decode.raw_mask[p] = encode.raw_mask[t];
    decode.first_value[p] = encode.first_value[t];
  }
}

}  // namespace

FMTC_SELDOM void BuildClassTables(const ClassRecord& record, ClassTables* tables) {
  tables->encode = {};  // decode and the values are covered completely
  tables->num_tokens = record.num_tokens;
  tables->constant = record.constant;
  SplitValues(record, tables);
  SetEncodeColumns(record, &tables->encode);
  SetStates(record, tables);
}

}  // namespace fmtc
