// From values of the map to component indices, a row at a time (FORMAT.md sections 4.1 and 4.2).
#ifndef FMTC_CODEC_ANALYSIS_H_
#define FMTC_CODEC_ANALYSIS_H_

#include <cstddef>
#include <cstdint>

#include "base/layout.h"
#include "codec/codec.h"

namespace fmtc {

// Analysis at one level. Which pointers are set depends on the side information.
struct Analysis {
  const Codec* codec;
  uint32_t level;
  uint8_t flip;  // XORed onto input bytes to make them signed
  StepTables steps;
  int16_t* pixels;  // matrix: kMatrixPixels pixels of input values, each filled up to whole pairs
};

// Takes the memory that analysis needs, which depends on the side information.
void LayOutAnalysis(const Codec& codec, Layout* layout, Analysis* analysis);

// Prepares an analysis that has its memory for a level.
void InitAnalysis(const Codec& codec, ElementType type, uint32_t level, Analysis* analysis);

// By the codec's kernels. `row`: width pixels of EncoderChannels() bytes. `indices`: width pixels of `components`
// bytes.
inline void AnalyzeRow(const Analysis& analysis, uint32_t width, const uint8_t* row, uint8_t* indices) {
  analysis.codec->kernels->analyze_row(analysis, width, row, indices);
}

}  // namespace fmtc

#endif  // FMTC_CODEC_ANALYSIS_H_
