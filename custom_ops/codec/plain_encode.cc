// The encoder's runs in plain C++.
#include "codec/plain_kernels.h"

namespace fmtc {
namespace {

// Values or tokens between two flushes of a 64-bit buffer: 8 * 7 raw bits, or 8 * 6 token bits, and 7 left over.
constexpr size_t kBatch = 8;
static_assert(kLanes % kBatch == 0, "a step is a whole number of batches");

constexpr uint8_t kLowBits[] = {0, 1, 3, 7, 15, 31, 63};

inline void EncodeToken(const ClassTables& tables, uint8_t token, uint8_t* state, TokenWriter* writer) {
  const EncodeTable& table = tables.encode;
  const uint32_t x = *state;
  const uint32_t bits = table.most_bits[token] - (x < table.threshold[token] ? 1u : 0u);
  writer->Put(x & kLowBits[bits], bits);
  *state = table.next_state[static_cast<uint8_t>((x >> bits) + table.state_offset[token])];
}

// One step of up to 64 lanes, backwards.
void EncodeStep(const ClassTables& tables, const uint8_t* tokens, size_t lanes, uint8_t* states, TokenWriter* writer) {
  TokenWriter w = *writer;
  if (lanes % kBatch != 0) {
    for (; lanes % kBatch != 0; --lanes) EncodeToken(tables, tokens[lanes - 1], states + lanes - 1, &w);
    w.Flush();
  }
  for (; lanes > 0; lanes -= kBatch) {
    for (size_t k = 1; k <= kBatch; ++k) EncodeToken(tables, tokens[lanes - k], states + lanes - k, &w);
    w.Flush();
  }
  *writer = w;
}

inline void SplitValue(const ClassTables& tables, uint8_t value, uint8_t* token, RawWriter* raw) {
  const uint8_t t = *token = tables.token_of[value];
  raw->Put(static_cast<uint8_t>(value - tables.encode.first_value[t]), tables.encode.raw_bits[t]);
}

}  // namespace

void SplitRunPlain(const ClassTables& tables, const uint8_t* values, size_t n, uint8_t* tokens, RawWriter* raw) {
  RawWriter w = *raw;
  size_t i = 0;
  for (; i + kBatch <= n && !w.overflow; i += kBatch) {
    for (size_t k = 0; k < kBatch; ++k) SplitValue(tables, values[i + k], tokens + i + k, &w);
    w.Flush();
  }
  if (i < n && !w.overflow) {
    for (; i < n; ++i) SplitValue(tables, values[i], tokens + i, &w);
    w.Flush();
  }
  *raw = w;
}

void EncodeRunPlain(const ClassTables& tables, const uint8_t* tokens, size_t n, LaneEncoder* encoder) {
  for (; n >= kLanes; n -= kLanes) {
    EncodeStep(tables, tokens + n - kLanes, kLanes, encoder->states, &encoder->writer);
  }
  if (n > 0) EncodeStep(tables, tokens, n, encoder->states, &encoder->writer);
}

}  // namespace fmtc
