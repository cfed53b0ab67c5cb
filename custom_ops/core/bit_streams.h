// The two bit streams of a segment (FORMAT.md section 7): readers and writers.
#ifndef FMTC_CORE_BIT_STREAMS_H_
#define FMTC_CORE_BIT_STREAMS_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "core/bytes.h"

namespace fmtc {

// Bytes that must be readable behind a segment that is decoded: a position is clamped to the first byte behind the
// stream, and a step of 64 lanes loads 64 bytes from there on.
constexpr size_t kReadSlack = 72;

// Reads fields from the front, lowest bit first.
struct BitReader {
  const uint8_t* data;
  size_t end;       // in bits
  size_t position;  // in bits; behind the end in damaged streams, and what is read there does not matter

  // Called often enough this keeps reads inside the slack, and a stream that was overrun stays so.
  void ClampPosition() {
    if (position > end + 8) position = end + 8;
  }

  // At least 57 bits from the position on.
  uint64_t Window() const { return Load<uint64_t>(data + position / 8) >> (position % 8); }
};

// Writes fields from the front, lowest bit first; remembers overflow.
struct RawWriter {
  uint8_t* next;
  uint8_t* end;
  uint64_t buffer = 0;
  uint32_t count = 0;  // bits in the buffer, < 8 after a flush
  bool overflow = false;

  // At most 56 bits between flushes.
  void Put(uint64_t value, uint32_t bits) {
    buffer |= value << count;
    count += bits;
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
      buffer = count = 0;  // what follows is of no use, but must not overflow the buffer
      return;
    }
    next += whole;
    buffer >>= 8 * whole;
    count %= 8;
  }

  // Pads to a whole byte, after a flush.
  void Finish() {
    if (count == 0) return;
    if (next == end) {
      overflow = true;
    } else {
      *next++ = static_cast<uint8_t>(buffer);
    }
    buffer = count = 0;
  }
};

// Writes fields from the back: the field that is put last is read first.
struct TokenWriter {
  uint8_t* next;  // the byte behind the next ones to be written
  uint64_t buffer = 0;
  uint32_t count = 0;  // bits in the buffer, < 8 after a flush

  // At most 56 bits between flushes.
  void Put(uint64_t value, uint32_t bits) {
    buffer = buffer << bits | value;
    count += bits;
  }

  // Stores 8 bytes, whatever the number of bits.
  void Flush() {
    Store(next - 8, buffer << 1 << (63 - count));
    next -= count / 8;
    count %= 8;
  }
};

}  // namespace fmtc

#endif  // FMTC_CORE_BIT_STREAMS_H_
