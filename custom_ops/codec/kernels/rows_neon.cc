// Analysis and synthesis of rows with NEON.
#if defined(__aarch64__)
#include <arm_neon.h>

#include <cstring>

#include "base/bytes.h"
#include "codec/analysis.h"
#include "codec/kernels/arm_kernels.h"
#include "codec/quantizer.h"
#include "codec/synthesis.h"
#include "cpu/target.h"
// These last: they include nothing but one another.
#include "codec/kernels/transform_rows-inl.h"
#include "simd/bytes_neon-inl.h"
#include "simd/sums_neon-inl.h"

namespace fmtc {

void AnalyzeRowNeon(const Analysis& analysis, uint32_t width, const uint8_t* row, uint8_t* indices) {
  AnalyzeRowWith<Bytes16, Bytes16, Sums4>(analysis, width, row, indices);
}

void SynthesizeRowNeon(const Synthesis& synthesis, uint32_t width, const uint8_t* indices, uint8_t* row) {
  SynthesizeRowWith<Bytes16, Bytes16, Sums4>(synthesis, width, indices, row);
}

}  // namespace fmtc
#endif
