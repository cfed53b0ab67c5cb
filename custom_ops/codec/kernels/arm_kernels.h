// Kernels for aarch64; codec/kernels.h says what each does.
#ifndef FMTC_CODEC_KERNELS_ARM_KERNELS_H_
#define FMTC_CODEC_KERNELS_ARM_KERNELS_H_

#include "codec/kernels.h"

namespace fmtc {

// NEON, which every aarch64 processor has.
void AnalyzeRowNeon(const Analysis& analysis, uint32_t width, const uint8_t* row, uint8_t* indices);
void SynthesizeRowNeon(const Synthesis& synthesis, uint32_t width, const uint8_t* indices, uint8_t* row);
void DecodeRunNeon(const DecodeTable& table, RunShape run, LaneDecoder* const* segments, size_t count);
void SplitRunNeon(const ClassTables& tables, const uint8_t* values, size_t n, uint8_t* tokens, RawWriter* raw);
void EncodeRunNeon(const ClassTables& tables, const uint8_t* tokens, size_t n, LaneEncoder* encoder);
void PlanesToPixelsNeon(PlaneShape shape, const uint32_t* place, const uint8_t* planes, uint8_t* pixels);
void PixelsToPlanesNeon(PlaneShape shape, const uint32_t* place, const uint8_t* pixels, uint8_t* planes);
void ResidualsOfRowNeon(RowShape shape, const uint8_t* codes, const uint8_t* above, const uint8_t* indices,
                        uint8_t* residuals);
void IndicesOfRowNeon(RowShape shape, const uint8_t* codes, const uint8_t* above, const uint8_t* residuals,
                      uint8_t* indices);
void TablesOfRowNeon(const ContextRow& row, const uint8_t* above, uint8_t* magnitudes, uint8_t* tables,
                     uint32_t* counts);

// The CRC32 extension.
uint32_t ExtendCrc32cArm(uint32_t crc, const uint8_t* data, size_t bytes);

}  // namespace fmtc

#endif  // FMTC_CODEC_KERNELS_ARM_KERNELS_H_
