// Rows of the region executor with NEON.
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
// These last: they include nothing but one another.
#include "region/kernels/products_neon-inl.h"
#include "region/kernels/vector_rows-inl.h"

namespace fmtc::region {

const RowKernels& RowKernelsNeon() {
  static const RowKernels kernels = MakeRowKernels();
  return kernels;
}

}  // namespace fmtc::region
#endif
