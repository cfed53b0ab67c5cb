// The table of what is fuzzed.
#ifndef FMTC_FUZZ_TARGET_H_
#define FMTC_FUZZ_TARGET_H_

#include <cstdint>
#include <vector>

#include "codec/kernels.h"
#include "fuzz/choices.h"
#include "fuzz/fuzz_case.h"

namespace fmtc::fuzz {

struct Target {
  const char* name;
  bool has_levels;  // it runs kernels

  // Bytes that are valid for the case.
  Bytes (*make)(const FuzzCase& c, Choices* choices);
  void (*mutate)(const FuzzCase& c, Choices* choices, Bytes* bytes);
  // Whether the bytes were accepted; ends the process where neither that nor a refusal is right. `bytes` is a heap
  // block of exact size. Everything follows from the arguments.
  bool (*run)(const FuzzCase& c, const Kernels* kernels, Choices choices, const Bytes& bytes);
};

extern const std::vector<Target> kTargets;

// Null if there is none of this name.
const Target* FindTarget(const char* name);

// What is run, and what a file of a failing input holds: two numbers of four bytes, then the bytes.
struct Input {
  uint32_t case_number;
  uint32_t choices;  // seed of what the target chooses
  Bytes bytes;
};

Bytes WriteInput(const Input& input);
Input ReadInput(const uint8_t* data, size_t size);

// The input that this seed stands for: valid bytes of the case, damaged.
Input MakeInput(const Target& target, const FuzzCase& c, uint32_t seed);

inline bool RunInput(const Target& target, const FuzzCase& c, const Kernels* kernels, const Input& input) {
  const Bytes exact(input.bytes);
  return target.run(c, kernels, Choices(input.choices), exact);
}

}  // namespace fmtc::fuzz

#endif  // FMTC_FUZZ_TARGET_H_
