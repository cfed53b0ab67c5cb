// Kernels for x86-64; codec/kernels.h says what each does.
#ifndef FMTC_CODEC_KERNELS_X86_KERNELS_H_
#define FMTC_CODEC_KERNELS_X86_KERNELS_H_

#include "codec/kernels.h"

namespace fmtc {

// AVX2, BMI2.
void AnalyzeRowAvx2(const Analysis& analysis, uint32_t width, const uint8_t* row, uint8_t* indices);
void SynthesizeRowAvx2(const Synthesis& synthesis, uint32_t width, const uint8_t* indices, uint8_t* row);
void DecodeRunAvx2(const DecodeTable& table, RunShape run, LaneDecoder* const* segments, size_t count);
void SplitRunAvx2(const ClassTables& tables, const uint8_t* values, size_t n, uint8_t* tokens, RawWriter* raw);
void EncodeRunAvx2(const ClassTables& tables, const uint8_t* tokens, size_t n, LaneEncoder* encoder);
void PlanesToPixelsAvx2(PlaneShape shape, const uint32_t* place, const uint8_t* planes, uint8_t* pixels);
void PixelsToPlanesAvx2(PlaneShape shape, const uint32_t* place, const uint8_t* pixels, uint8_t* planes);
void ResidualsOfRowAvx2(RowShape shape, const uint8_t* codes, const uint8_t* above, const uint8_t* indices,
                        uint8_t* residuals);
void IndicesOfRowAvx2(RowShape shape, const uint8_t* codes, const uint8_t* above, const uint8_t* residuals,
                      uint8_t* indices);
void TablesOfRowAvx2(const ContextRow& row, const uint8_t* above, uint8_t* magnitudes, uint8_t* tables,
                     uint32_t* counts);
void SortRowAvx2(const ContextRow& row, const uint8_t* tables, const uint32_t* counts, const uint8_t* values,
                 uint8_t* sorted);
void UnsortRowAvx2(const ContextRow& row, const uint8_t* tables, const uint32_t* counts, const uint8_t* sorted,
                   uint8_t* values);

// AVX-512 with VBMI, VBMI2, BITALG, VNNI and VPCLMULQDQ.
void AnalyzeRowAvx512(const Analysis& analysis, uint32_t width, const uint8_t* row, uint8_t* indices);
void SynthesizeRowAvx512(const Synthesis& synthesis, uint32_t width, const uint8_t* indices, uint8_t* row);
void DecodeRunAvx512(const DecodeTable& table, RunShape run, LaneDecoder* const* segments, size_t count);
void SplitRunAvx512(const ClassTables& tables, const uint8_t* values, size_t n, uint8_t* tokens, RawWriter* raw);
void EncodeRunAvx512(const ClassTables& tables, const uint8_t* tokens, size_t n, LaneEncoder* encoder);
void PlanesToPixelsAvx512(PlaneShape shape, const uint32_t* place, const uint8_t* planes, uint8_t* pixels);
void PixelsToPlanesAvx512(PlaneShape shape, const uint32_t* place, const uint8_t* pixels, uint8_t* planes);
void ResidualsOfRowAvx512(RowShape shape, const uint8_t* codes, const uint8_t* above, const uint8_t* indices,
                          uint8_t* residuals);
void IndicesOfRowAvx512(RowShape shape, const uint8_t* codes, const uint8_t* above, const uint8_t* residuals,
                        uint8_t* indices);
void TablesOfRowAvx512(const ContextRow& row, const uint8_t* above, uint8_t* magnitudes, uint8_t* tables,
                       uint32_t* counts);
void SortRowAvx512(const ContextRow& row, const uint8_t* tables, const uint32_t* counts, const uint8_t* values,
                   uint8_t* sorted);
void UnsortRowAvx512(const ContextRow& row, const uint8_t* tables, const uint32_t* counts, const uint8_t* sorted,
                     uint8_t* values);
uint32_t ExtendCrc32cAvx512(uint32_t crc, const uint8_t* data, size_t bytes);

// SSE4.2, PCLMULQDQ.
uint32_t ExtendCrc32cX86(uint32_t crc, const uint8_t* data, size_t bytes);

}  // namespace fmtc

#endif  // FMTC_CODEC_KERNELS_X86_KERNELS_H_
