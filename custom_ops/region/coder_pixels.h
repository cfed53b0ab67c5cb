// Pixels of a map that ENCODE and DECODE code, to indices and back.
#ifndef FMTC_REGION_CODER_PIXELS_H_
#define FMTC_REGION_CODER_PIXELS_H_

#include <cstddef>
#include <cstdint>

#include "codec/analysis.h"
#include "codec/synthesis.h"

namespace fmtc::region {

// Pixels with something added to each value, modulo 256.
inline void AddToPixels(uint8_t addend, const uint8_t* in, size_t in_bytes, uint8_t* out, size_t out_bytes,
                        size_t channels, size_t columns) {
  if (in_bytes == channels && out_bytes == channels) {
    for (size_t i = 0; i < channels * columns; ++i) out[i] = static_cast<uint8_t>(in[i] + addend);
    return;
  }
  for (; columns > 0; --columns, in += in_bytes, out += out_bytes) {
    for (size_t c = 0; c < channels; ++c) out[c] = static_cast<uint8_t>(in[c] + addend);
  }
}

// Whether values are indices plus one number.
inline bool AddsOffsetOnly(const Codec& codec) {
  const SideInfo& info = codec.side_info;
  return kHasStepTables && AddsCentresOnly(codec, 0) && info.centres == nullptr && info.lo == -128 && info.hi == 127;
}

// Columns of a row of a map, in the unsigned domain.
template <typename Byte>
struct Pixels {
  Byte* values;
  size_t pixel_bytes;
  size_t width;
};

// `spare` has room for a row of indices.
inline void AnalyzePixels(const Codec& codec, Pixels<const uint8_t> pixels, uint8_t* spare, uint8_t* indices) {
  const size_t channels = codec.side_info.channels;
  if (AddsOffsetOnly(codec)) {
    const auto addend = static_cast<uint8_t>(-ValueOffset(codec, ElementType::kUInt8));
    return AddToPixels(addend, pixels.values, pixels.pixel_bytes, indices, channels, channels, pixels.width);
  }
  if (pixels.pixel_bytes != channels) {
    AddToPixels(0, pixels.values, pixels.pixel_bytes, spare, channels, channels, pixels.width);
    pixels.values = spare;
  }
  Analysis analysis{};
  InitAnalysis(codec, ElementType::kUInt8, 0, &analysis);
  AnalyzeRow(analysis, static_cast<uint32_t>(pixels.width), pixels.values, indices);
}

// Likewise.
inline void SynthesizePixels(const Codec& codec, const uint8_t* indices, uint8_t* spare, Pixels<uint8_t> pixels) {
  const size_t channels = codec.side_info.channels;
  if (AddsOffsetOnly(codec)) {
    const uint8_t offset = ValueOffset(codec, ElementType::kUInt8);
    return AddToPixels(offset, indices, channels, pixels.values, pixels.pixel_bytes, channels, pixels.width);
  }
  const bool is_dense = pixels.pixel_bytes == channels;
  Synthesis synthesis{};
  InitSynthesis(codec, ElementType::kUInt8, 0, &synthesis);
  SynthesizeRow(synthesis, static_cast<uint32_t>(pixels.width), indices, is_dense ? pixels.values : spare);
  if (!is_dense) AddToPixels(0, spare, channels, pixels.values, pixels.pixel_bytes, channels, pixels.width);
}

}  // namespace fmtc::region

#endif  // FMTC_REGION_CODER_PIXELS_H_
