// The tables of the levels that a processor may have.
#ifndef FMTC_REGION_KERNELS_LEVELS_H_
#define FMTC_REGION_KERNELS_LEVELS_H_

#include "region/kernels.h"

namespace fmtc::region {

const RowKernels& RowKernelsNeon();
const RowKernels& RowKernelsNeonDotprod();
const RowKernels& RowKernelsAvx2();
const RowKernels& RowKernelsAvxVnni();
const RowKernels& RowKernelsAvx512VlVnni();
const RowKernels& RowKernelsAvx512();

}  // namespace fmtc::region

#endif  // FMTC_REGION_KERNELS_LEVELS_H_
