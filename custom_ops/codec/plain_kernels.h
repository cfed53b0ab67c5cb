// The kernels in plain C++; kernels.h says what each does. Versions for processors take those that they do not replace.
#ifndef FMTC_CODEC_PLAIN_KERNELS_H_
#define FMTC_CODEC_PLAIN_KERNELS_H_

#include "codec/analysis.h"
#include "codec/kernels.h"
#include "codec/synthesis.h"

namespace fmtc {

void AnalyzeRowPlain(const Analysis& analysis, uint32_t width, const uint8_t* row, uint8_t* indices);
void SynthesizeRowPlain(const Synthesis& synthesis, uint32_t width, const uint8_t* indices, uint8_t* row);
void DecodeRunPlain(const DecodeTable& table, RunShape run, LaneDecoder* const* segments, size_t count);
void SplitRunPlain(const ClassTables& tables, const uint8_t* values, size_t n, uint8_t* tokens, RawWriter* raw);
void EncodeRunPlain(const ClassTables& tables, const uint8_t* tokens, size_t n, LaneEncoder* encoder);
void PlanesToPixelsPlain(PlaneShape shape, const uint32_t* place, const uint8_t* planes, uint8_t* pixels);
void PixelsToPlanesPlain(PlaneShape shape, const uint32_t* place, const uint8_t* pixels, uint8_t* planes);
void ResidualsOfRowPlain(RowShape shape, const uint8_t* codes, const uint8_t* above, const uint8_t* indices,
                         uint8_t* residuals);
void IndicesOfRowPlain(RowShape shape, const uint8_t* codes, const uint8_t* above, const uint8_t* residuals,
                       uint8_t* indices);

void TablesOfRowPlain(const ContextRow& row, const uint8_t* above, uint8_t* magnitudes, uint8_t* tables,
                      uint32_t* counts);
void SortRowPlain(const ContextRow& row, const uint8_t* tables, const uint32_t* counts, const uint8_t* values,
                  uint8_t* sorted);
void UnsortRowPlain(const ContextRow& row, const uint8_t* tables, const uint32_t* counts, const uint8_t* sorted,
                    uint8_t* values);

}  // namespace fmtc

#endif  // FMTC_CODEC_PLAIN_KERNELS_H_
