// Tables of a token class for the tANS coder (FORMAT.md section 6), as columns of bytes.
#ifndef FMTC_CODEC_TABLES_H_
#define FMTC_CODEC_TABLES_H_

#include <cstdint>

namespace fmtc {

struct ClassRecord;

constexpr uint32_t kNumStates = 64;
constexpr uint32_t kMaxTokens = 16;

// What the encoder does with a token in state X = 64 + p, a column for each thing: it writes the low bits of X,
// most_bits of them or one less where X < threshold; next X = next_state[(X >> bits) + state_offset modulo 256].
struct EncodeTable {
  uint8_t most_bits[kMaxTokens];
  uint8_t threshold[kMaxTokens];
  uint8_t state_offset[kMaxTokens];
  uint8_t start_state[kMaxTokens];  // 64 + the lowest p
  uint8_t first_value[kMaxTokens];
  uint8_t raw_bits[kMaxTokens];    // they tell a value from the token's first one, as a difference
  uint8_t raw_mask[kMaxTokens];    // 2^raw_bits - 1
  uint8_t next_state[kNumStates];  // 64 + p, grouped by token
};

// What the decoder does in state p, a column of 64 bytes for each thing: with `token_bits[p]` bits b of the token
// stream the next state is base[p] + b, with `raw_bits[p]` bits u of the raw-bit stream the value is first_value[p] +
// u.
struct DecodeTable {
  uint8_t token_bits[kNumStates];
  uint8_t token_mask[kNumStates];  // 2^token_bits - 1
  uint8_t base[kNumStates];
  uint8_t raw_bits[kNumStates];
  uint8_t raw_mask[kNumStates];  // 2^raw_bits - 1
  uint8_t first_value[kNumStates];
};

struct ClassTables {
  DecodeTable decode;
  EncodeTable encode;
  uint8_t token_of[256];  // by value
  uint8_t num_tokens;
  uint8_t constant;
};

// `record` must have been checked.
void BuildClassTables(const ClassRecord& record, ClassTables* tables);

}  // namespace fmtc

#endif  // FMTC_CODEC_TABLES_H_
