// Rows of the region executor with AVX-512.
#if defined(__x86_64__)
#include "region/kernels/x86_rows.h"

FMTC_BEGIN_TARGET_AVX512

#include "region/kernels/sums_avx512-inl.h"
#include "region/kernels/vector_rows-inl.h"
// Behind it.
#include "region/kernels/conv_pairs_avx512-inl.h"
#include "region/kernels/conv_slides_avx512-inl.h"
#include "region/kernels/half_tiles_avx512-inl.h"
#include "region/kernels/wide_windows_avx512-inl.h"

FMTC_END_TARGET

namespace fmtc::region {

const RowKernels& RowKernelsAvx512() {
  static const RowKernels kernels = [] {
    RowKernels k = MakeRowKernels();
    k.conv_pair = ConvPair;
    return k;
  }();
  return kernels;
}

}  // namespace fmtc::region
#endif
