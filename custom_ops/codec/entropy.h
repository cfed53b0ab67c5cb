// Entropy coding of segments: 64 interleaved tANS lanes (FORMAT.md section 7).
#ifndef FMTC_CODEC_ENTROPY_H_
#define FMTC_CODEC_ENTROPY_H_

#include <cstddef>
#include <cstdint>

#include "codec/codec.h"
#include "codec/contexts.h"
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

// The residuals of a segment in segment order as runs, each of which one table codes: run i has the table
// i % num_tables. With contexts the segment's rows follow one another, num_tables runs each, of which some are empty.
struct SegmentRuns {
  const Codec* codec;
  const uint32_t* lengths;  // [count]
  size_t count;
  size_t values;  // the sum

  uint32_t num_tables() const { return codec->side_info.num_tables(); }
};

// Codes `residuals` into out[0 .. room) and returns the length, or 0 if neither the coded nor the raw form fits. All of
// the room may be overwritten. kValueSlack bytes behind the residuals must be readable. `tokens` is scratch memory of
// runs.values + kValueSlack bytes.
size_t EncodeRuns(const SegmentRuns& runs, const uint8_t* residuals, uint8_t* tokens, uint8_t* out, size_t room);

// The same without contexts.
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

// Decodes a segment of `rows` rows with contexts: its residuals, NHWC, behind which kValueSlack bytes may be
// overwritten. `above` are those of the row above, which may be the last row of the same memory; null in the first row
// of a group. False if the segment is damaged; the residuals are then unspecified.
bool DecodeRows(const Codec& codec, const ContextRow& row, const ContextMemory& memory, const uint8_t* above,
                uint32_t rows, const CodedSegment& coded);

// For both decoders: the streams of a coded segment behind its mask of constant tables, and whether all of them was
// used.
bool OpenStreams(const uint8_t* in, size_t bytes, LaneDecoder* lanes);
bool AreStreamsUsedUp(const LaneDecoder& lanes);

}  // namespace fmtc

#endif  // FMTC_CODEC_ENTROPY_H_
