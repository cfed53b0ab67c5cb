// Tables of a class: states, tokens and the inverse relation of encoder and decoder.
#include "codec/tables.h"

#include <cstdint>

#include "tests/expect.h"
#include "tests/random_inputs.h"

namespace fmtc {
namespace {

// For every state and value: what the encoder leaves, the decoder undoes.
void CheckInverse(const ClassTables& tables) {
  for (uint32_t state = kNumStates; state < 2 * kNumStates; ++state) {
    for (uint32_t value = 0; value < 256; ++value) {
      const EncodeTable& encode = tables.encode;
      const uint8_t token = tables.token_of[value];
      const uint32_t bits = encode.most_bits[token] - (state < encode.threshold[token] ? 1u : 0u);
      const uint8_t slot = static_cast<uint8_t>((state >> bits) + encode.state_offset[token]);
      const uint32_t next = encode.next_state[slot] - kNumStates;
      EXPECT(tables.decode.token_bits[next] == bits);
      EXPECT(tables.decode.token_mask[next] == (1u << bits) - 1);
      EXPECT(tables.decode.base[next] + (state & tables.decode.token_mask[next]) == state - kNumStates);
      EXPECT(tables.decode.raw_bits[next] == encode.raw_bits[token]);
      EXPECT(tables.decode.raw_mask[next] == (1u << encode.raw_bits[token]) - 1);
      EXPECT(encode.raw_mask[token] == tables.decode.raw_mask[next]);
      EXPECT(encode.first_value[token] == tables.decode.first_value[next]);
      const uint8_t raw_value = static_cast<uint8_t>(value - encode.first_value[token]);
      EXPECT(raw_value <= encode.raw_mask[token]);
    }
  }
}

// The lowest state of each token starts a lane.
void CheckStartStates(const ClassTables& tables) {
  for (uint32_t p = kNumStates; p-- > 0;) {
    const uint32_t token = tables.token_of[tables.decode.first_value[p]];
    const uint8_t start = tables.encode.start_state[token];
    EXPECT(start <= kNumStates + p);
    EXPECT(tables.token_of[tables.decode.first_value[start - kNumStates]] == token);
  }
}

// Tokens with 48 and 16 states.
void TestOrderOfStates() {
  const uint8_t widths[] = {0x77};
  const uint8_t counts[] = {48, 16};
  ClassTables tables;
  BuildClassTables({0, 0, 2, widths, counts}, &tables);
  // (2i + 1) / 48 = (2j + 1) / 16 at i = 3j + 1: the first token precedes.
  for (uint32_t p = 0; p < kNumStates; ++p) {
    EXPECT(tables.decode.first_value[p] == (p % 4 == 2 ? 128u : 0u));
  }
}

// By definition, for a token with each count beside two others.
void TestOrderOfStatesByDefinition() {
  for (uint32_t count = 1; count <= 62; ++count) {
    for (uint32_t other = 1; count + other <= 63; ++other) {
      const uint8_t widths[] = {0x66, 7};
      const uint8_t counts[] = {static_cast<uint8_t>(count), static_cast<uint8_t>(other),
                                static_cast<uint8_t>(64 - count - other)};
      ClassTables tables;
      BuildClassTables({0, 0, 3, widths, counts}, &tables);
      uint32_t next[3] = {};
      for (uint32_t p = 0; p < kNumStates; ++p) {
        uint32_t first = 3;
        for (uint32_t t = 0; t < 3; ++t) {
          if (next[t] == counts[t]) continue;
          if (first == 3 || (2 * next[t] + 1) * counts[first] < (2 * next[first] + 1) * counts[t]) first = t;
        }
        EXPECT(tables.decode.first_value[p] == 64 * first);
        ++next[first];
      }
    }
  }
}

}  // namespace
}  // namespace fmtc

int main() {
  fmtc::TestOrderOfStates();
  fmtc::TestOrderOfStatesByDefinition();
  fmtc::test::Random random(3);
  for (int i = 0; i < 200; ++i) {
    const fmtc::test::ClassSpec spec = fmtc::test::RandomClass(&random);
    fmtc::test::SideInfoSpec side_info;
    side_info.classes = {spec};
    side_info.classes_of = {0};
    side_info.predictors = {0};
    const fmtc::test::OwnedCodec codec(BuildSideInfo(side_info));
    EXPECT(codec.status() == fmtc::Status::kOk);
    fmtc::CheckInverse(codec.codec().tables[0]);
    fmtc::CheckStartStates(codec.codec().tables[0]);
  }
  return 0;
}
