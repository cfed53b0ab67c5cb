// The one place that chooses kernels for the processor at hand.
#ifndef FMTC_KERNELS_DISPATCH_H_
#define FMTC_KERNELS_DISPATCH_H_

#include "core/kernels.h"

namespace fmtc {

// The environment variable that forces a level.
constexpr char kCpuLevelVariable[] = "FMTC_CPU_LEVEL";

// Levels from the slowest to the fastest; the last one is null.
extern const char* const kCpuLevels[];

// Kernels of a level, or null if the processor, the operating system or this build does not have it.
const Kernels* FindKernels(const char* level);

struct KernelChoice {
  const char* level;       // as forced, or the fastest that is available
  const Kernels* kernels;  // null: the forced level is not available
};

// Made at the first call.
const KernelChoice& ChosenKernels();

}  // namespace fmtc

#endif  // FMTC_KERNELS_DISPATCH_H_
