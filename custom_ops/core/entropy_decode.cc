#include <cstring>

#include "core/bytes.h"
#include "core/entropy.h"

namespace fmtc {
namespace {

constexpr size_t kBatch = 8;  // values that one 64-bit window of either stream serves
// A step reads windows of 8 bytes that start less than this before the stream's position at its end.
constexpr size_t kMaxStepBytes = 7 * kLanes / 8 + 8;

// A bit stream, lowest bit first. `readable` counts the bytes that may be touched from `data` on.
struct BitStream {
  const uint8_t* data;
  size_t readable;
  uint64_t position;  // in bits; may run past the end of damaged streams

  bool HasWholeStep() const { return position / 8 + kMaxStepBytes <= readable; }

  uint64_t Window() const { return Load<uint64_t>(data + position / 8) >> (position % 8); }

  // The same near the end of the memory: what lies behind it reads as zero.
  uint64_t WindowAtEnd() const {
    const uint64_t byte = position / 8;
    if (byte >= readable) return 0;
    const size_t left = readable - static_cast<size_t>(byte);
    uint64_t window = 0;
    memcpy(&window, data + byte, left < 8 ? left : 8);
    return window >> (position % 8);
  }
};

struct SegmentStreams {
  BitStream tokens;
  BitStream raw;
};

// Decodes `count` <= 8 lanes. Without kAdvance the states stay and no token bits are used.
template <bool kAdvance>
inline void DecodeBatch(const DecodeTable& table, uint64_t token_window, uint64_t raw_window, size_t count,
                        uint8_t* states, uint8_t* values, SegmentStreams* streams) {
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
  streams->tokens.position += token_bits_used;
  streams->raw.position += raw_bits_used;
}

// One step of 64 lanes.
template <bool kAdvance>
void DecodeStep(const DecodeTable& table, uint8_t* states, uint8_t* values, SegmentStreams* streams) {
  SegmentStreams s = *streams;
  if (s.tokens.HasWholeStep() && s.raw.HasWholeStep()) {
    for (size_t lane = 0; lane < kLanes; lane += kBatch) {
      DecodeBatch<kAdvance>(table, s.tokens.Window(), s.raw.Window(), kBatch, states + lane, values + lane, &s);
    }
  } else {
    for (size_t lane = 0; lane < kLanes; lane += kBatch) {
      DecodeBatch<kAdvance>(table, s.tokens.WindowAtEnd(), s.raw.WindowAtEnd(), kBatch, states + lane, values + lane,
                            &s);
    }
  }
  *streams = s;
}

// The first step of a run whose length is no multiple of 64.
void DecodePartialStep(const DecodeTable& table, size_t lanes, uint8_t* states, uint8_t* values,
                       SegmentStreams* streams) {
  for (size_t lane = 0; lane < lanes; lane += kBatch) {
    const size_t count = lanes - lane < kBatch ? lanes - lane : kBatch;
    DecodeBatch<true>(table, streams->tokens.WindowAtEnd(), streams->raw.WindowAtEnd(), count, states + lane,
                      values + lane, streams);
  }
}

void DecodeRun(const DecodeTable& table, size_t n, bool is_last, uint8_t* states, uint8_t* values,
               SegmentStreams* streams) {
  const size_t partial = n % kLanes;
  if (partial > 0) DecodePartialStep(table, partial, states, values, streams);
  const size_t free_lanes = is_last && n >= kLanes ? kLanes : 0;
  size_t i = partial;
  for (; i < n - free_lanes; i += kLanes) DecodeStep<true>(table, states, values + i, streams);
  if (free_lanes > 0) DecodeStep<false>(table, states, values + i, streams);
}

void UnpackStates(const uint8_t* packed, uint8_t* states) {
  for (size_t lane = 0; lane < kLanes; lane += 4, packed += 3) {
    const uint32_t four = packed[0] | packed[1] << 8 | packed[2] << 16;
    for (size_t k = 0; k < 4; ++k) states[lane + k] = four >> (6 * k) & 63;
  }
}

uint32_t LastCodedClass(const SegmentShape& shape, uint32_t constant_mask) {
  uint32_t last = shape.num_classes() - 1;
  while ((constant_mask >> last & 1) != 0) --last;
  return last;
}

}  // namespace

bool DecodeSegment(const SegmentShape& shape, const uint8_t* in, size_t bytes, size_t readable, uint8_t* residuals) {
  if (bytes == shape.num_values()) {
    memcpy(residuals, in, bytes);
    return true;
  }
  if (bytes < 1 || bytes > shape.num_values()) return false;
  const uint32_t constant_mask = in[0];
  const uint32_t all_classes = (1u << shape.num_classes()) - 1;
  if (constant_mask > all_classes) return false;
  const bool all_constant = constant_mask == all_classes;
  if (all_constant ? bytes != 1 : bytes < kSegmentHeaderBytes) return false;

  uint8_t states[kLanes];
  SegmentStreams streams{};
  size_t token_bytes = 0;
  size_t raw_bytes = 0;
  if (!all_constant) {
    const uint32_t field = Load<uint32_t>(in + 1);
    token_bytes = field >> 3;
    if (token_bytes > bytes - kSegmentHeaderBytes) return false;
    raw_bytes = bytes - kSegmentHeaderBytes - token_bytes;
    UnpackStates(in + 5, states);
    const uint8_t* tokens = in + kSegmentHeaderBytes;
    streams.tokens = {tokens, readable - kSegmentHeaderBytes, field & 7};
    streams.raw = {tokens + token_bytes, readable - kSegmentHeaderBytes - token_bytes, 0};
  }
  for (uint32_t j = 0; j < shape.num_classes(); ++j) {
    uint8_t* values = residuals + shape.RunBegin(j);
    const ClassTables& tables = shape.codec->tables[j];
    if ((constant_mask >> j & 1) != 0) {
      memset(values, tables.constant, shape.RunLength(j));
      continue;
    }
    DecodeRun(tables.decode, shape.RunLength(j), j == LastCodedClass(shape, constant_mask), states, values, &streams);
  }
  return streams.tokens.position == uint64_t{8} * token_bytes && (streams.raw.position + 7) / 8 == raw_bytes;
}

}  // namespace fmtc
