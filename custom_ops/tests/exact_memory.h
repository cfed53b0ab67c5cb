// Memory of exact size for tests of loops that must stay within it.
#ifndef FMTC_TESTS_EXACT_MEMORY_H_
#define FMTC_TESTS_EXACT_MEMORY_H_

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <new>
#include <vector>

#include "tests/random_inputs.h"

namespace fmtc::test {

// Noise, or extremes only.
inline std::vector<uint8_t> RandomBytes(Random* random, size_t count) {
  std::vector<uint8_t> bytes(count);
  const bool extreme = Draw(random, 0, 3) == 0;
  for (uint8_t& b : bytes)
    b = extreme ? static_cast<uint8_t>(Draw(random, 0, 1) * 255) : static_cast<uint8_t>((*random)());
  return bytes;
}

// A block of exact size at a multiple of 64.
class Block {
 public:
  explicit Block(const std::vector<uint8_t>& bytes) : memory_(new (std::align_val_t{64}) uint8_t[bytes.size()]) {
    std::copy(bytes.begin(), bytes.end(), memory_);
  }
  Block(const Block&) = delete;
  ~Block() { ::operator delete[](memory_, std::align_val_t{64}); }
  template <typename T>
  const T* As() const {
    return reinterpret_cast<const T*>(memory_);
  }

 private:
  uint8_t* memory_;
};

template <typename T>
std::vector<uint8_t> AsBytes(const std::vector<T>& values) {
  std::vector<uint8_t> bytes(values.size() * sizeof(T));
  if (!bytes.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

}  // namespace fmtc::test

#endif  // FMTC_TESTS_EXACT_MEMORY_H_
