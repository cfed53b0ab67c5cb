// Analysis and synthesis of rows, compiled for AVX2.
#if defined(__x86_64__)
#include "core/analysis.h"
#include "core/bytes.h"
#include "core/quantizer.h"
#include "core/synthesis.h"
#include "kernels/target.h"
#include "kernels/x86_kernels.h"

FMTC_BEGIN_TARGET_AVX2

#include "core/analysis_rows.h"
#include "core/synthesis_rows.h"

namespace fmtc {

void AnalyzeRowAvx2(const Analysis& analysis, uint32_t width, const uint8_t* row, uint8_t* indices) {
  AnalyzeRowHere(analysis, width, row, indices);
}

void SynthesizeRowAvx2(const Synthesis& synthesis, uint32_t width, const uint8_t* indices, uint8_t* row) {
  SynthesizeRowHere(synthesis, width, indices, row);
}

}  // namespace fmtc

FMTC_END_TARGET
#endif
