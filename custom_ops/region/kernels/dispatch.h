// The one place that knows the row kernels of all levels.
#ifndef FMTC_REGION_KERNELS_DISPATCH_H_
#define FMTC_REGION_KERNELS_DISPATCH_H_

#include "cpu/levels.h"
#include "region/kernels.h"

namespace fmtc::region {

// Of a level that is available (cpu/levels.h).
const RowKernels& RowKernelsOf(CpuLevel level);

// Of the chosen level; plain ones where a forced level is not available, which other places refuse.
const RowKernels& ChosenRowKernels();

}  // namespace fmtc::region

#endif  // FMTC_REGION_KERNELS_DISPATCH_H_
