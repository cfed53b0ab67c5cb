// The kernels of every level that this machine has.
#ifndef FMTC_TESTS_LEVELS_H_
#define FMTC_TESTS_LEVELS_H_

#include <vector>

#include "base/features.h"
#include "codec/codec.h"
#include "codec/kernels/dispatch.h"
#include "codec/small_kernels.h"

namespace fmtc::test {

// Plain C++ comes first. The small kernels are no level, but tested like one.
inline std::vector<KernelChoice> AllLevels() {
  std::vector<KernelChoice> all;
  for (const char* const* level = kCpuLevels; *level != nullptr; ++level) {
    const Kernels* kernels = FindKernels(*level);
    if (kernels != nullptr) all.push_back({*level, kernels});
  }
  if (!kSmall) all.push_back({"small", &SmallKernels()});
  return all;
}

inline std::vector<const Kernels*> AllKernels() {
  std::vector<const Kernels*> all;
  for (const KernelChoice& level : AllLevels()) all.push_back(level.kernels);
  return all;
}

inline Codec WithKernels(Codec codec, const Kernels* kernels) {
  codec.kernels = kernels;
  return codec;
}

inline std::vector<Codec> AtEveryLevel(const Codec& codec) {
  std::vector<Codec> codecs;
  for (const Kernels* kernels : AllKernels()) codecs.push_back(WithKernels(codec, kernels));
  return codecs;
}

}  // namespace fmtc::test

#endif  // FMTC_TESTS_LEVELS_H_
