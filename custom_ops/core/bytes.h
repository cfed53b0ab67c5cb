// Unaligned little-endian loads and stores, overflow-checked sizes, and carving of caller-owned memory.
#ifndef FMTC_CORE_BYTES_H_
#define FMTC_CORE_BYTES_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "core/small.h"

namespace fmtc {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "loads and stores below assume a little-endian target");

template <typename T>
inline T Load(const uint8_t* p) {
  T value;
  memcpy(&value, p, sizeof(T));
  return value;
}

// Load of what is checked before it is used: the compiler must keep the value, as the bytes may be somebody else's
// meanwhile. (Tensors of a damaged model overlap; a coded tensor may be changed while it is decoded.)
template <typename T>
inline T LoadOnce(const uint8_t* p) {
  T value = Load<T>(p);
  __asm__("" : "+r"(value));
  return value;
}

template <typename T>
inline void Store(uint8_t* p, T value) {
  memcpy(p, &value, sizeof(T));
}

// memmove; if small, without asking the C library for more than memcpy: right only if `to` is not below `from` or they
// do not overlap, and never outside either.
inline void MoveBytes(uint8_t* to, const uint8_t* from, size_t n) {
  if (!kSmall) {
    memmove(to, from, n);
  } else {
    while (n-- > 0) to[n] = from[n];
  }
}

// *product = a * b; false on overflow.
inline bool CheckedMultiply(uint64_t a, uint64_t b, uint64_t* product) {
  return !__builtin_mul_overflow(a, b, product);
}

// Of 32 bits, since a division of 64 bits is a large function on small processors.
inline uint32_t DivideRoundUp(uint32_t a, uint32_t b) { return a / b + (a % b != 0); }

inline size_t RoundUp(size_t value, size_t multiple) { return (value + multiple - 1) / multiple * multiple; }

// Hands out aligned pieces of one block. The sum of PieceBytes() of all pieces always suffices.
class MemoryCarver {
 public:
  static constexpr size_t kAlignment = 64;

  explicit MemoryCarver(uint8_t* memory) : next_(memory) {}

  static size_t PieceBytes(size_t bytes) { return bytes + kAlignment; }

  template <typename T>
  T* Take(size_t count) {
    const uintptr_t address = reinterpret_cast<uintptr_t>(next_);
    uint8_t* piece = next_ + (kAlignment - address % kAlignment) % kAlignment;
    next_ = piece + count * sizeof(T);
    return reinterpret_cast<T*>(piece);
  }

 private:
  uint8_t* next_;
};

}  // namespace fmtc

#endif  // FMTC_CORE_BYTES_H_
