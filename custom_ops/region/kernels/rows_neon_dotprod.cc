// Rows of the region executor with NEON and its dot products.
#if defined(__aarch64__)
#include <arm_neon.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#include "cpu/target.h"
#include "region/kernels/levels.h"
#include "region/packed_weights.h"
#include "region/pixel_bytes.h"
#include "region/plain_kernels.h"
#include "region/taps.h"

FMTC_BEGIN_TARGET_NEON_DOTPROD

#include "region/kernels/dotprod_neon-inl.h"
#include "region/kernels/vector_rows-inl.h"

FMTC_END_TARGET

namespace fmtc::region {

const RowKernels& RowKernelsNeonDotprod() {
  static const RowKernels kernels = MakeRowKernels();
  return kernels;
}

}  // namespace fmtc::region
#endif
