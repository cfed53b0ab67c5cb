// Analysis and synthesis of rows for any processor.
#include "core/bytes.h"
#include "core/plain_kernels.h"
#include "core/quantizer.h"
// These two last: they include nothing themselves.
#include "core/analysis_rows.h"
#include "core/synthesis_rows.h"

namespace fmtc {

void AnalyzeRowPlain(const Analysis& analysis, uint32_t width, const uint8_t* row, uint8_t* indices) {
  AnalyzeRowHere(analysis, width, row, indices);
}

void SynthesizeRowPlain(const Synthesis& synthesis, uint32_t width, const uint8_t* indices, uint8_t* row) {
  SynthesizeRowHere(synthesis, width, indices, row);
}

}  // namespace fmtc
