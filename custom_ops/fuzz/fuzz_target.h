// What a fuzz target defines. libFuzzer calls the first function; the regression driver also uses the second.
#ifndef FMTC_FUZZ_FUZZ_TARGET_H_
#define FMTC_FUZZ_FUZZ_TARGET_H_

#include <cstddef>
#include <cstdint>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace fmtc::fuzz {

// A well-formed input to start mutations from; another one for every index.
std::vector<uint8_t> MakeSeed(uint32_t index);

}  // namespace fmtc::fuzz

#endif  // FMTC_FUZZ_FUZZ_TARGET_H_
