// Analysis and synthesis of rows for any processor.
#include "base/bytes.h"
#include "codec/plain_kernels.h"
#include "codec/quantizer.h"
// These last: they include nothing but one another.
#include "codec/analysis_rows-inl.h"
#include "codec/synthesis_rows-inl.h"

namespace fmtc {

void AnalyzeRowPlain(const Analysis& analysis, uint32_t width, const uint8_t* row, uint8_t* indices) {
  AnalyzeRowHere(analysis, width, row, indices);
}

void SynthesizeRowPlain(const Synthesis& synthesis, uint32_t width, const uint8_t* indices, uint8_t* row) {
  SynthesizeRowHere(synthesis, width, indices, row);
}

}  // namespace fmtc
