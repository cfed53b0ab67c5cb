// What the codec is compared with: general-purpose compressors, as far as the build has found them, and a plain
// order-0 rANS coder.
#ifndef FMTC_BENCH_RIVALS_H_
#define FMTC_BENCH_RIVALS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace fmtc::bench {

struct Rival {
  std::string name;
  size_t coded_bytes;
  std::function<void()> encode;
  std::function<void()> decode;
};

// Coders of `values`, which must outlive them; each has encoded once.
std::vector<Rival> MakeRivals(const std::vector<uint8_t>& values);

}  // namespace fmtc::bench

#endif  // FMTC_BENCH_RIVALS_H_
