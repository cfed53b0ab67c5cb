#include <cstring>

#include "core/bytes.h"
#include "core/entropy.h"

namespace fmtc {
namespace {

// Values or tokens between two flushes of a 64-bit buffer: 8 * 7 raw bits, or 8 * 6 token bits, and 7 left over.
constexpr size_t kBatch = 8;
static_assert(kLanes % kBatch == 0, "a step is a whole number of batches");
// Seven batches and seven bits fill 42 bytes; the eighth batch stores 8 bytes below them.
static_assert(kSegmentHeaderBytes >= 42 + 8, "the header's place takes what a step stores too far down");

// Writes fields from the front, lowest bit first; remembers overflow.
struct RawWriter {
  uint8_t* next;
  uint8_t* end;
  uint64_t buffer = 0;
  uint32_t count = 0;  // bits in the buffer, < 8 after a flush
  bool overflow = false;

  void Put(ValueSplit split) {
    buffer |= uint64_t{split.raw_value} << count;
    count += split.raw_bits;
  }

  void Flush() {
    const size_t whole = count / 8;
    const size_t room = static_cast<size_t>(end - next);
    if (room >= 8) {
      Store(next, buffer);
    } else if (room >= whole) {
      const uint64_t bytes = buffer;  // a copy, so that the buffer itself can stay in a register
      memcpy(next, &bytes, whole);
    } else {
      overflow = true;
      return;
    }
    next += whole;
    buffer >>= 8 * whole;
    count %= 8;
  }

  // Pads to a whole byte.
  void Finish() {
    count = (count + 7) / 8 * 8;
    Flush();
  }
};

// Writes fields from the back: the field that is put last is read first.
struct TokenWriter {
  uint8_t* next;  // the byte behind the next ones to be written
  uint64_t buffer = 0;
  uint32_t count = 0;  // bits in the buffer, < 8 after a flush

  void Put(uint32_t bits, uint32_t value) {
    buffer = buffer << bits | value;
    count += bits;
  }

  void Flush() {
    if (count == 0) return;
    Store(next - 8, buffer << (64 - count));
    next -= count / 8;
    count %= 8;
  }
};

void AppendRawBits(const ClassTables& tables, const uint8_t* values, size_t n, RawWriter* writer) {
  RawWriter w = *writer;
  size_t i = 0;
  for (; i + kBatch <= n && !w.overflow; i += kBatch) {
    for (size_t k = 0; k < kBatch; ++k) w.Put(tables.split[values[i + k]]);
    w.Flush();
  }
  if (i < n && !w.overflow) {
    for (; i < n; ++i) w.Put(tables.split[values[i]]);
    w.Flush();
  }
  *writer = w;
}

constexpr uint8_t kLowBits[] = {0, 1, 3, 7, 15, 31, 63};

inline void EncodeToken(const ClassTables& tables, uint8_t value, uint8_t* state, TokenWriter* writer) {
  const uint32_t x = *state;
  const EncodeEntry entry = tables.encode[tables.token_of[value]];
  const uint32_t bits = (x + entry.bits_bias) >> 8;
  writer->Put(bits, x & kLowBits[bits]);
  *state = tables.next_state[static_cast<int32_t>(x >> bits) + entry.state_offset];
}

// One step of up to 64 lanes, backwards. Stores nothing further than 50 bytes below writer->next at entry.
void EncodeStep(const ClassTables& tables, const uint8_t* values, size_t lanes, uint8_t* states, TokenWriter* writer) {
  TokenWriter w = *writer;
  if (lanes % kBatch != 0) {
    for (; lanes % kBatch != 0; --lanes) EncodeToken(tables, values[lanes - 1], states + lanes - 1, &w);
    w.Flush();
  }
  for (; lanes > 0; lanes -= kBatch) {
    for (size_t k = 1; k <= kBatch; ++k) EncodeToken(tables, values[lanes - k], states + lanes - k, &w);
    w.Flush();
  }
  *writer = w;
}

// Codes one class. With `fresh` lanes the last step costs nothing: it says where the lanes start. False if the stream
// ran below `lowest`.
bool EncodeRun(const ClassTables& tables, const uint8_t* values, size_t n, bool fresh, const uint8_t* lowest,
               uint8_t* states, TokenWriter* writer) {
  size_t left = n;
  if (fresh && n >= kLanes) {
    left -= kLanes;
    for (size_t lane = 0; lane < kLanes; ++lane) {
      states[lane] = tables.start_state[tables.token_of[values[left + lane]]];
    }
  }
  for (; left >= kLanes; left -= kLanes) {
    if (writer->next < lowest) return false;
    EncodeStep(tables, values + left - kLanes, kLanes, states, writer);
  }
  if (left > 0) {
    if (writer->next < lowest) return false;
    EncodeStep(tables, values, left, states, writer);
  }
  return true;
}

bool IsConstant(const uint8_t* values, size_t n, uint8_t constant) {
  return values[0] == constant && memcmp(values, values + 1, n - 1) == 0;
}

uint8_t FindConstantClasses(const SegmentShape& shape, const uint8_t* residuals) {
  uint32_t mask = 0;
  for (uint32_t j = 0; j < shape.num_classes(); ++j) {
    const bool constant =
        IsConstant(residuals + shape.RunBegin(j), shape.RunLength(j), shape.codec->tables[j].constant);
    mask |= uint32_t{constant} << j;
  }
  return static_cast<uint8_t>(mask);
}

bool EncodeRawBits(const SegmentShape& shape, const uint8_t* residuals, uint8_t constant_mask, RawWriter* writer) {
  for (uint32_t j = 0; j < shape.num_classes(); ++j) {
    if ((constant_mask >> j & 1) != 0) continue;
    AppendRawBits(shape.codec->tables[j], residuals + shape.RunBegin(j), shape.RunLength(j), writer);
  }
  writer->Finish();
  return !writer->overflow;
}

bool EncodeTokens(const SegmentShape& shape, const uint8_t* residuals, uint8_t constant_mask, const uint8_t* lowest,
                  uint8_t* states, TokenWriter* writer) {
  memset(states, kNumStates, kLanes);
  bool fresh = true;
  for (uint32_t j = shape.num_classes(); j-- > 0;) {
    if ((constant_mask >> j & 1) != 0) continue;
    const uint8_t* values = residuals + shape.RunBegin(j);
    if (!EncodeRun(shape.codec->tables[j], values, shape.RunLength(j), fresh, lowest, states, writer)) return false;
    fresh = false;
  }
  return true;
}

void WriteSegmentHeader(uint8_t constant_mask, uint32_t start_bit, size_t token_bytes, const uint8_t* states,
                        uint8_t* out) {
  out[0] = constant_mask;
  Store(out + 1, start_bit | static_cast<uint32_t>(token_bytes) << 3);
  out += 5;
  for (size_t lane = 0; lane < kLanes; lane += 4, out += 3) {
    const uint32_t four = (states[lane] - kNumStates) | (states[lane + 1] - kNumStates) << 6 |
                          (states[lane + 2] - kNumStates) << 12 | (states[lane + 3] - kNumStates) << 18;
    out[0] = static_cast<uint8_t>(four);
    out[1] = static_cast<uint8_t>(four >> 8);
    out[2] = static_cast<uint8_t>(four >> 16);
  }
}

// The coded form in out[0 .. room); its length, or 0 if it does not fit. The raw-bit stream is written first, behind
// the header, and moved to the end of the room; the token stream grows down from there; both then move to the header.
size_t EncodeCoded(const SegmentShape& shape, const uint8_t* residuals, uint8_t* out, size_t room) {
  if (room < 1) return 0;
  const uint8_t constant_mask = FindConstantClasses(shape, residuals);
  if (constant_mask == (1u << shape.num_classes()) - 1) {
    out[0] = constant_mask;
    return 1;
  }
  if (room < kSegmentHeaderBytes) return 0;
  uint8_t* const body = out + kSegmentHeaderBytes;
  uint8_t* const end = out + room;
  RawWriter raw{body, end};
  if (!EncodeRawBits(shape, residuals, constant_mask, &raw)) return 0;
  const size_t raw_bytes = static_cast<size_t>(raw.next - body);
  uint8_t* const token_end = end - raw_bytes;
  memmove(token_end, body, raw_bytes);

  uint8_t states[kLanes];
  TokenWriter tokens{token_end};
  if (!EncodeTokens(shape, residuals, constant_mask, body, states, &tokens)) return 0;
  const uint32_t start_bit = (8 - tokens.count) % 8;
  if (tokens.count > 0) {
    if (tokens.next <= body) return 0;
    *--tokens.next = static_cast<uint8_t>(tokens.buffer << start_bit);
  }
  if (tokens.next < body) return 0;
  const size_t token_bytes = static_cast<size_t>(token_end - tokens.next);
  memmove(body, tokens.next, token_bytes + raw_bytes);
  WriteSegmentHeader(constant_mask, start_bit, token_bytes, states, out);
  return kSegmentHeaderBytes + token_bytes + raw_bytes;
}

}  // namespace

size_t EncodeSegment(const SegmentShape& shape, const uint8_t* residuals, uint8_t* out, size_t room) {
  const size_t n = shape.num_values();
  const size_t coded = EncodeCoded(shape, residuals, out, room < n - 1 ? room : n - 1);
  if (coded != 0) return coded;
  if (room < n) return 0;
  memcpy(out, residuals, n);
  return n;
}

}  // namespace fmtc
