// The two bit streams of a segment (FORMAT.md section 7): readers and writers.
#ifndef FMTC_CODEC_BIT_STREAMS_H_
#define FMTC_CODEC_BIT_STREAMS_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/bytes.h"

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

  size_t Room() const { return static_cast<size_t>(end - next); }

  // At most 56 bits between flushes.
  void Put(uint64_t value, uint32_t bits) {
    buffer |= value << count;
    count += bits;
  }

  // Where there is room for 8 bytes, whatever the number of bits.
  void FlushInside() {
    Store(next, buffer);
    next += count / 8;
    buffer >>= count / 8 * 8;
    count %= 8;
  }

  void Flush() {
    const size_t whole = count / 8;
    if (Room() >= 8) {
      FlushInside();
    } else if (Room() >= whole) {
      const uint64_t bytes = buffer;  // a copy, so that the buffer itself can stay in a register
      memcpy(next, &bytes, whole);
      next += whole;
      buffer >>= 8 * whole;
      count %= 8;
    } else {
      overflow = true;
      buffer = count = 0;  // what follows is of no use, but must not overflow the buffer
    }
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
  uint8_t* data;
  size_t position;      // in bits; that of the last field
  uint64_t buffer = 0;  // the last 64 bits

  // At most 56 bits between flushes.
  void Put(uint64_t value, uint32_t bits) {
    buffer = buffer << bits | value;
    position -= bits;
  }

  // Stores 8 bytes from the position's on: nothing below it, and behind what was put at first up to 8 bytes.
  void Flush() { Store(data + position / 8, buffer << (position % 8)); }
};

}  // namespace fmtc

#endif  // FMTC_CODEC_BIT_STREAMS_H_
