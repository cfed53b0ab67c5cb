// Tables of a token class for the tANS coder (FORMAT.md section 6), in the layout that the scalar coder wants.
#ifndef FMTC_CORE_TABLES_H_
#define FMTC_CORE_TABLES_H_

#include <cstdint>

namespace fmtc {

struct ClassRecord;

constexpr uint32_t kNumStates = 64;

// What the encoder does with a token in state X = 64 + p:
// bits = (X + bits_bias) >> 16, next X = next_state[(X >> bits) + state_offset].
struct EncodeEntry {
  uint32_t bits_bias;
  int32_t state_offset;
};

// How a value is split: its token, and the raw bits that tell it from the token's other values.
struct ValueSplit {
  uint8_t raw_value;
  uint8_t raw_bits;
};

struct ClassTables {
  // Per state: token bits to read in bits 0-7, raw bits to read in 8-15, base of the next state in 16-23, first value
  // of the token in 24-31. The two lowest bytes of eight entries can be added without a carry between them.
  uint32_t decode[kNumStates];
  EncodeEntry encode[16];          // by token
  uint8_t next_state[kNumStates];  // 64 + p, grouped by token
  uint8_t start_state[16];         // 64 + the lowest p of each token
  uint8_t token_of[256];           // by value
  ValueSplit split[256];           // by value
  uint8_t constant;
};

// `record` must have been checked.
void BuildClassTables(const ClassRecord& record, ClassTables* tables);

}  // namespace fmtc

#endif  // FMTC_CORE_TABLES_H_
