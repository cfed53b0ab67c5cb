// Analysis and synthesis of rows with AVX-512.
#if defined(__x86_64__)
#include <immintrin.h>

#include "base/bytes.h"
#include "codec/analysis.h"
#include "codec/kernels/x86_kernels.h"
#include "codec/quantizer.h"
#include "codec/synthesis.h"
#include "cpu/target.h"

FMTC_BEGIN_TARGET_AVX512

#include "codec/kernels/transform_rows-inl.h"
#include "simd/bytes_avx2-inl.h"
#include "simd/bytes_avx512-inl.h"
#include "simd/sums_avx512-inl.h"

namespace fmtc {

void AnalyzeRowAvx512(const Analysis& analysis, uint32_t width, const uint8_t* row, uint8_t* indices) {
  AnalyzeRowWith<Bytes64, Bytes32, Sums16>(analysis, width, row, indices);
}

void SynthesizeRowAvx512(const Synthesis& synthesis, uint32_t width, const uint8_t* indices, uint8_t* row) {
  SynthesizeRowWith<Bytes64, Bytes32, Sums16>(synthesis, width, indices, row);
}

}  // namespace fmtc

FMTC_END_TARGET
#endif
