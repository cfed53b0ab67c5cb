#include "codec/geometry.h"

#include "base/bytes.h"

namespace fmtc {
namespace {

constexpr uint32_t kMinSegmentValues = 8192;
constexpr uint32_t kMinGroupValues = 65536;
constexpr int64_t kMaxDimension = INT32_MAX;
// The length field of a token stream has 29 bits, and positions in bits must fit size_t.
constexpr uint64_t kMaxSegmentValues = (uint64_t{1} << (sizeof(size_t) > 4 ? 29 : 28)) - 1;

bool IsDimension(int64_t value, int64_t least) { return value >= least && value <= kMaxDimension; }
uint32_t Min(uint32_t a, uint32_t b) { return a < b ? a : b; }

// Bytes of a map if they fit size_t. At most 2^32 pixels of 2^16 channels, since a coded item has a byte a pixel.
bool MapBytes(uint32_t batch, uint32_t height, uint32_t width, uint32_t channels, size_t* bytes) {
  const uint64_t values = uint64_t{height} * width * batch * channels;
  *bytes = static_cast<size_t>(values);
  return values <= SIZE_MAX;
}

// Divisions are of 32 bits, since those of 64 bits are a large function on small processors.
bool DivideRows(uint32_t row_values, uint32_t segment_rows, MapPlan* plan) {
  const uint32_t height = plan->height;
  const uint32_t segments = kHasVersion2 && segment_rows > 0
                                ? DivideRoundUp(height, segment_rows)
                                : height / Min(height, DivideRoundUp(kMinSegmentValues, row_values));
  const uint64_t segment_values = uint64_t{height / segments} * row_values;
  const uint32_t min_segments =
      segment_values >= kMinGroupValues ? 1 : DivideRoundUp(kMinGroupValues, static_cast<uint32_t>(segment_values));
  plan->row_values = row_values;
  plan->segments_per_item = segments;
  plan->groups_per_item = segments / Min(segments, min_segments);
  plan->max_segment_rows = SegmentRows(*plan, 0);
  return uint64_t{plan->max_segment_rows} * row_values <= kMaxSegmentValues;
}

}  // namespace

FMTC_SELDOM uint32_t ShareOf(uint32_t total, uint32_t parts, uint32_t index) {
  return total / parts + (index < total % parts ? 1 : 0);
}

FMTC_SELDOM uint32_t ShareBegin(uint32_t total, uint32_t parts, uint32_t index) {
  return total / parts * index + (index < total % parts ? index : total % parts);
}

FMTC_SELDOM Status PlanMap(const Codec& codec, int64_t batch, int64_t height, int64_t width, MapPlan* plan) {
  if (plan == nullptr || !IsDimension(batch, 0) || !IsDimension(height, 1) || !IsDimension(width, 1)) {
    return Status::kInvalidArgument;
  }
  plan->batch = static_cast<uint32_t>(batch);
  plan->height = static_cast<uint32_t>(height);
  plan->width = static_cast<uint32_t>(width);
  const uint64_t row_values = uint64_t{plan->width} * codec.side_info.components;
  if (row_values > kMaxSegmentValues ||
      !DivideRows(static_cast<uint32_t>(row_values), codec.side_info.segment_rows, plan)) {
    return Status::kInvalidArgument;
  }

  // Both factors are below 2^31, and the sum below 2^62 + 2^34.
  const uint64_t capacity = kCodedHeaderBytes + uint64_t{4} * plan->segments_per_item + plan->height * row_values;
  if (capacity > UINT32_MAX - 7) return Status::kInvalidArgument;
  plan->item_capacity = RoundUp(static_cast<size_t>(capacity), 8);
  if (uint64_t{plan->batch} * plan->item_capacity > UINT32_MAX) return Status::kInvalidArgument;
  if (!kHasMatrices) {
    // Both maps have as many values as there are indices, which are fewer than the bytes of all items.
    plan->stride_height = plan->stride_width = 1;
    plan->encoder_input_bytes = plan->decoder_output_bytes =
        plan->batch * plan->height * static_cast<size_t>(plan->row_values);
    return Status::kOk;
  }
  if (!MapBytes(plan->batch, plan->height, plan->width, codec.side_info.EncoderChannels(),
                &plan->encoder_input_bytes)) {
    return Status::kInvalidArgument;
  }
  return SetDecoderStride(codec, 1, 1, plan);
}

FMTC_SELDOM Status SetDecoderStride(const Codec& codec, int64_t stride_height, int64_t stride_width, MapPlan* plan) {
  if (!IsDimension(stride_height, 1) || !IsDimension(stride_width, 1)) return Status::kInvalidArgument;
  if (!kHasStride && (stride_height > 1 || stride_width > 1)) return Status::kInvalidArgument;
  plan->stride_height = static_cast<uint32_t>(stride_height);
  plan->stride_width = static_cast<uint32_t>(stride_width);
  const bool fits = MapBytes(plan->batch, OutputHeight(*plan), OutputWidth(*plan), codec.side_info.channels,
                             &plan->decoder_output_bytes);
  return fits ? Status::kOk : Status::kInvalidArgument;
}

}  // namespace fmtc
