// Analysis and synthesis of rows with AVX2.
#if defined(__x86_64__)
#include <immintrin.h>

#include "base/bytes.h"
#include "codec/analysis.h"
#include "codec/kernels/x86_kernels.h"
#include "codec/quantizer.h"
#include "codec/synthesis.h"
#include "cpu/target.h"

FMTC_BEGIN_TARGET_AVX2

#include "codec/kernels/transform_rows-inl.h"
#include "simd/bytes_avx2-inl.h"
#include "simd/sums_avx2-inl.h"

namespace fmtc {

void AnalyzeRowAvx2(const Analysis& analysis, uint32_t width, const uint8_t* row, uint8_t* indices) {
  AnalyzeRowWith<Bytes32, Bytes32, Sums8>(analysis, width, row, indices);
}

void SynthesizeRowAvx2(const Synthesis& synthesis, uint32_t width, const uint8_t* indices, uint8_t* row) {
  SynthesizeRowWith<Bytes32, Bytes32, Sums8>(synthesis, width, indices, row);
}

}  // namespace fmtc

FMTC_END_TARGET
#endif
