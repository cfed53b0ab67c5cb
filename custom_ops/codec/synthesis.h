// From component indices back to values of the map, a row at a time (FORMAT.md sections 4.1 and 4.2).
#ifndef FMTC_CODEC_SYNTHESIS_H_
#define FMTC_CODEC_SYNTHESIS_H_

#include <cstddef>
#include <cstdint>

#include "base/layout.h"
#include "codec/codec.h"

namespace fmtc {

// Synthesis at one level.
struct Synthesis {
  const Codec* codec;
  uint32_t level;
  uint8_t flip;  // XORed onto signed values to make output bytes
  StepTables steps;
  int16_t* pixels;  // matrix: kMatrixPixels pixels of scaled indices, each filled up to whole pairs
};

// Takes the memory that synthesis needs, which depends on the side information.
void LayOutSynthesis(const Codec& codec, Layout* layout, Synthesis* synthesis);

// Prepares a synthesis that has its memory for a level.
void InitSynthesis(const Codec& codec, ElementType type, uint32_t level, Synthesis* synthesis);

// Synthesis is an addition of centres: no matrix, and step 1 at this level.
inline bool AddsCentresOnly(const Codec& codec, uint32_t level) {
  return codec.has_unit_steps && !codec.side_info.has_synthesis && level == 0;
}

// By the codec's kernels. `indices`: width pixels of `components` bytes. `row`: width pixels of `channels` bytes.
inline void SynthesizeRow(const Synthesis& synthesis, uint32_t width, const uint8_t* indices, uint8_t* row) {
  synthesis.codec->kernels->synthesize_row(synthesis, width, indices, row);
}

}  // namespace fmtc

#endif  // FMTC_CODEC_SYNTHESIS_H_
