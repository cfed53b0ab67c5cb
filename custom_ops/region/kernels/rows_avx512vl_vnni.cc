// Rows of the region executor with AVX2 and dot products of bytes, as AVX-512 has them for vectors of 256 bits.
#if defined(__x86_64__)
#include "region/kernels/x86_rows.h"

FMTC_BEGIN_TARGET_AVX512VL_VNNI

namespace fmtc::region {
namespace {

// In assembly, as compilers copy the sums of the intrinsic.
FMTC_INLINE __m256i DotProducts(__m256i sums, __m256i x, __m256i w) {
  __asm__("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(x), "v"(w));
  return sums;
}

}  // namespace
}  // namespace fmtc::region

#include "region/kernels/products_avx_vnni-inl.h"
#include "region/kernels/vector_rows-inl.h"

FMTC_END_TARGET

namespace fmtc::region {

const RowKernels& RowKernelsAvx512VlVnni() {
  static const RowKernels kernels = MakeRowKernels();
  return kernels;
}

}  // namespace fmtc::region
#endif
