// Unaligned little-endian loads and stores, and sizes.
#ifndef FMTC_BASE_BYTES_H_
#define FMTC_BASE_BYTES_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/features.h"

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

// memmove, or without the library what is right only if `to` is not below `from` or they do not overlap; never outside
// either.
inline void MoveBytes(uint8_t* to, const uint8_t* from, size_t n) {
  if (kHasLibrary) {
    memmove(to, from, n);
  } else {
    while (n-- > 0) to[n] = from[n];
  }
}

FMTC_ONE_COPY inline bool Overlap(const void* a, size_t a_bytes, const void* b, size_t b_bytes) {
  const uintptr_t a_begin = reinterpret_cast<uintptr_t>(a);
  const uintptr_t b_begin = reinterpret_cast<uintptr_t>(b);
  return a_begin < b_begin + b_bytes && b_begin < a_begin + a_bytes;
}

// *product = a * b; false on overflow.
FMTC_ONE_COPY inline bool CheckedMultiply(uint64_t a, uint64_t b, uint64_t* product) {
  return !__builtin_mul_overflow(a, b, product);
}

// Of 32 bits, since a division of 64 bits is a large function on small processors.
inline uint32_t DivideRoundUp(uint32_t a, uint32_t b) { return a / b + (a % b != 0); }

inline size_t RoundUp(size_t value, size_t multiple) { return (value + multiple - 1) / multiple * multiple; }

}  // namespace fmtc

#endif  // FMTC_BASE_BYTES_H_
