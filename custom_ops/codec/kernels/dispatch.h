// The one place that knows the kernels of all levels.
#ifndef FMTC_CODEC_KERNELS_DISPATCH_H_
#define FMTC_CODEC_KERNELS_DISPATCH_H_

#include "codec/kernels.h"
#include "cpu/levels.h"

namespace fmtc {

// Kernels of a level (cpu/levels.h), or null if it is not available.
const Kernels* FindKernels(const char* level);

struct KernelChoice {
  const char* level;       // as forced, or the fastest that is available
  const Kernels* kernels;  // null: the forced level is not available
};

// Made at the first call.
const KernelChoice& ChosenKernels();

}  // namespace fmtc

#endif  // FMTC_CODEC_KERNELS_DISPATCH_H_
