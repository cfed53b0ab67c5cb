// The kernels in their smallest form, a value at a time and without tables for the quantizer: those of a build for
// microcontrollers (base/features.h), and in other builds a level that tests compare with the others.
#ifndef FMTC_CODEC_SMALL_KERNELS_H_
#define FMTC_CODEC_SMALL_KERNELS_H_

#include "codec/kernels.h"

namespace fmtc {

const Kernels& SmallKernels();

}  // namespace fmtc

#endif  // FMTC_CODEC_SMALL_KERNELS_H_
