// The row functions of the executor for microcontrollers: rule 1 only, in loops for its instructions where it has any.
#ifndef FMTC_MICRO_KERNELS_H_
#define FMTC_MICRO_KERNELS_H_

#include "region/kernels.h"

namespace fmtc::region {

// Bit n: the build has kind n. A program's own needs make a smaller one.
#if defined(FMTC_MICRO_KINDS)
constexpr uint64_t kMicroKinds = FMTC_MICRO_KINDS;
#else
constexpr uint64_t kMicroKinds = ~uint64_t{0};
#endif
constexpr bool HasKind(uint8_t number) { return (kMicroKinds >> number & 1) != 0; }

const RowKernels& MicroRowKernels();

void MicroConv(const MacRow& row);
void MicroDepthwise(const MacRow& row);
void MicroAdd(const AddRow& row);
void MicroAddProducts(const MacRow& row, int32_t* acc);

}  // namespace fmtc::region

#endif  // FMTC_MICRO_KERNELS_H_
