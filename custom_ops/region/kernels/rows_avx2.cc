// Rows of the region executor with AVX2.
#if defined(__x86_64__)
#include "region/kernels/x86_rows.h"

FMTC_BEGIN_TARGET_AVX2

#include "region/kernels/products_avx2-inl.h"
#include "region/kernels/vector_rows-inl.h"
// Behind it.
#include "region/kernels/half_tiles_avx2-inl.h"

FMTC_END_TARGET

namespace fmtc::region {

const RowKernels& RowKernelsAvx2() {
  static const RowKernels kernels = MakeRowKernels();
  return kernels;
}

}  // namespace fmtc::region
#endif
