#include <cstring>

#include "base/bytes.h"
#include "codec/entropy.h"

namespace fmtc {
namespace {

// What a segment's header says.
struct OpenSegment {
  uint32_t constant_classes;  // bit mask
  uint32_t last_class;        // the last one that is coded
  bool is_coded;              // not raw, and any class is coded
  LaneDecoder lanes;
};

// The last states are followed by a stream or by the slack, so that four bytes can be loaded for their three.
void UnpackStates(const uint8_t* packed, uint8_t* states) {
  for (size_t lane = 0; lane < kLanes; lane += 4, packed += 3) {
    const uint32_t four = Load<uint32_t>(packed);
    Store(states + lane, (four & 63) | (four << 2 & 63 << 8) | (four << 4 & 63 << 16) | (four << 6 & 63u << 24));
  }
}

// Also finishes what has no streams: raw segments and constant classes.
bool Open(const SegmentShape& shape, const CodedSegment& coded, OpenSegment* segment) {
  segment->is_coded = false;
  if (coded.bytes == shape.num_values()) {
    MoveBytes(coded.residuals, coded.data, coded.bytes);
    return true;
  }
  const uint32_t mask = LoadOnce<uint8_t>(coded.data);
  const uint32_t all_classes = (1u << shape.num_classes()) - 1;
  if (mask > all_classes) return false;
  for (uint32_t j = 0; j < shape.num_classes(); ++j) {
    if ((mask >> j & 1) != 0) {
      memset(coded.residuals + shape.RunBegin(j), shape.codec->tables[j].constant, shape.RunLength(j));
    } else {
      segment->last_class = j;
    }
  }
  if (mask == all_classes) return coded.bytes == 1;
  segment->constant_classes = mask;
  segment->is_coded = true;
  return OpenStreams(coded.data, coded.bytes, &segment->lanes);
}

// A run of the segments that are at the same place in the same way; those are nearly always all.
void DecodeRun(const SegmentShape& shape, uint32_t j, bool ends_segment, const CodedSegment* coded,
               OpenSegment* segments, size_t count) {
  LaneDecoder* together[kMaxSegmentsTogether];
  size_t n = 0;
  for (size_t i = 0; i < count; ++i) {
    OpenSegment& segment = segments[i];
    if (!segment.is_coded || (segment.constant_classes >> j & 1) != 0) continue;
    if ((segment.last_class == j) != ends_segment) continue;
    segment.lanes.values = coded[i].residuals + shape.RunBegin(j);
    together[n++] = &segment.lanes;
  }
  if (n == 0) return;
  const Codec& codec = *shape.codec;
  codec.kernels->decode_run(codec.tables[j].decode, {shape.RunLength(j), ends_segment}, together, n);
}

// Where there is never more than one.
bool DecodeAlone(const SegmentShape& shape, uint8_t* residuals, OpenSegment* segment) {
  if (!segment->is_coded) return true;
  const Codec& codec = *shape.codec;
  LaneDecoder* const lanes = &segment->lanes;
  for (uint32_t j = 0; j < shape.num_classes(); ++j) {
    if ((segment->constant_classes >> j & 1) != 0) continue;
    lanes->values = residuals + shape.RunBegin(j);
    codec.kernels->decode_run(codec.tables[j].decode, {shape.RunLength(j), segment->last_class == j}, &lanes, 1);
  }
  return AreStreamsUsedUp(segment->lanes);
}

}  // namespace

FMTC_SELDOM bool OpenStreams(const uint8_t* in, size_t bytes, LaneDecoder* lanes) {
  if (bytes < kSegmentHeaderBytes) return false;
  const uint32_t field = LoadOnce<uint32_t>(in + 1);
  const size_t token_bytes = field >> 3;
  if (token_bytes > bytes - kSegmentHeaderBytes) return false;
  UnpackStates(in + 5, lanes->states);
  const uint8_t* tokens = in + kSegmentHeaderBytes;
  lanes->tokens = {tokens, size_t{8} * token_bytes, field & 7};
  lanes->raw = {tokens + token_bytes, size_t{8} * (bytes - kSegmentHeaderBytes - token_bytes), 0};
  return true;
}

FMTC_SELDOM bool AreStreamsUsedUp(const LaneDecoder& lanes) {
  return lanes.tokens.position == lanes.tokens.end && (lanes.raw.position + 7) / 8 == lanes.raw.end / 8;
}

FMTC_SELDOM bool DecodeSegments(const SegmentShape& shape, const CodedSegment* coded, size_t count) {
  OpenSegment segments[kMaxSegmentsTogether];
  if (kMaxSegmentsTogether == 1) return Open(shape, *coded, segments) && DecodeAlone(shape, coded->residuals, segments);
  for (size_t i = 0; i < count; ++i) {
    if (!Open(shape, coded[i], &segments[i])) return false;
  }
  for (uint32_t j = 0; j < shape.num_classes(); ++j) {
    DecodeRun(shape, j, false, coded, segments, count);
    DecodeRun(shape, j, true, coded, segments, count);
  }
  for (size_t i = 0; i < count; ++i) {
    if (segments[i].is_coded && !AreStreamsUsedUp(segments[i].lanes)) return false;
  }
  return true;
}

}  // namespace fmtc
