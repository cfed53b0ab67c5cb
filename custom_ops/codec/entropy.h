// Entropy coding of segments: 64 interleaved tANS lanes (FORMAT.md section 7).
#ifndef FMTC_CODEC_ENTROPY_H_
#define FMTC_CODEC_ENTROPY_H_

#include <cstddef>
#include <cstdint>

#include "codec/codec.h"
#include "codec/kernels.h"

namespace fmtc {

// Constant classes, start bit and token bytes, start states.
constexpr size_t kSegmentHeaderBytes = 1 + 4 + kLanes * 6 / 8;

// Residuals of one segment in segment order; each component has `plane_bytes` = rows * width of them.
struct SegmentShape {
  const Codec* codec;
  size_t plane_bytes;

  uint32_t num_classes() const { return codec->side_info.num_classes; }
  size_t RunBegin(uint32_t j) const { return codec->class_begin[j] * plane_bytes; }
  size_t RunLength(uint32_t j) const { return (codec->class_begin[j + 1] - codec->class_begin[j]) * plane_bytes; }
  size_t num_values() const { return codec->side_info.components * plane_bytes; }
};

// Codes `residuals` into out[0 .. room) and returns the length, or 0 if neither the coded nor the raw form fits. All of
// the room may be overwritten. kValueSlack bytes behind the residuals must be readable. `tokens` is scratch memory of
// num_values() + kValueSlack bytes.
size_t EncodeSegment(const SegmentShape& shape, const uint8_t* residuals, uint8_t* tokens, uint8_t* out, size_t room);

// A coded segment of at least 1 and at most num_values() bytes, behind which kReadSlack bytes are readable, and where
// its residuals go.
struct CodedSegment {
  const uint8_t* data;
  size_t bytes;
  uint8_t* residuals;
};

// Decodes 1 ... kMaxSegmentsTogether segments of one shape. False if one is damaged; the residuals are then
// unspecified.
bool DecodeSegments(const SegmentShape& shape, const CodedSegment* segments, size_t count);

}  // namespace fmtc

#endif  // FMTC_CODEC_ENTROPY_H_
