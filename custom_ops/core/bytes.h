// Unaligned little-endian loads and stores, overflow-checked sizes, and carving of caller-owned memory.
#ifndef FMTC_CORE_BYTES_H_
#define FMTC_CORE_BYTES_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace fmtc {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "loads and stores below assume a little-endian target");

template <typename T>
inline T Load(const uint8_t* p) {
  T value;
  memcpy(&value, p, sizeof(T));
  return value;
}

template <typename T>
inline void Store(uint8_t* p, T value) {
  memcpy(p, &value, sizeof(T));
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
