// The random choices of fuzzing: cheap to seed, since every input has a seed of its own; the same on every machine.
#ifndef FMTC_FUZZ_CHOICES_H_
#define FMTC_FUZZ_CHOICES_H_

#include <cstddef>
#include <cstdint>
#include <initializer_list>

namespace fmtc::fuzz {

// SplitMix64.
class Choices {
 public:
  explicit Choices(uint64_t seed) : state_(seed) {}

  uint64_t Next() {
    uint64_t z = state_ += 0x9E3779B97F4A7C15;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
    z = (z ^ z >> 27) * 0x94D049BB133111EB;
    return z ^ z >> 31;
  }

  // Uniform in [0, n); 0 if there is nothing to choose from.
  uint32_t Below(size_t n) { return n == 0 ? 0 : static_cast<uint32_t>(Next() % n); }
  bool OneIn(uint32_t n) { return Below(n) == 0; }
  uint8_t Byte() { return static_cast<uint8_t>(Next()); }

  template <typename T>
  T Of(std::initializer_list<T> values) {
    return values.begin()[Below(values.size())];
  }

 private:
  uint64_t state_;
};

}  // namespace fmtc::fuzz

#endif  // FMTC_FUZZ_CHOICES_H_
