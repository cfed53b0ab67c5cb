#include "core/geometry.h"

#include "core/bytes.h"

namespace fmtc {
namespace {

constexpr uint64_t kMinSegmentValues = 8192;
constexpr uint64_t kMinGroupValues = 65536;
constexpr int64_t kMaxDimension = INT32_MAX;
// The length field of a token stream has 29 bits.
constexpr uint64_t kMaxSegmentValues = (uint64_t{1} << 29) - 1;

uint64_t Min(uint64_t a, uint64_t b) { return a < b ? a : b; }

// *product = batch * height * width * channels if it fits size_t.
bool MapBytes(uint32_t batch, uint32_t height, uint32_t width, uint32_t channels, size_t* product) {
  uint64_t bytes = uint64_t{height} * width;
  if (!CheckedMultiply(bytes, channels, &bytes) || !CheckedMultiply(bytes, batch, &bytes)) return false;
  *product = static_cast<size_t>(bytes);
  return bytes <= SIZE_MAX;
}

bool DivideRows(uint64_t row_values, MapPlan* plan) {
  const uint64_t height = plan->height;
  const uint64_t min_rows = Min(height, DivideRoundUp(kMinSegmentValues, row_values));
  const uint64_t segments = height / min_rows;
  const uint64_t rows = height / segments;
  const uint64_t min_segments = Min(segments, DivideRoundUp(kMinGroupValues, rows * row_values));
  plan->row_values = static_cast<uint32_t>(row_values);
  plan->segments_per_item = static_cast<uint32_t>(segments);
  plan->groups_per_item = static_cast<uint32_t>(segments / min_segments);
  plan->max_segment_rows = SegmentRows(*plan, 0);
  return plan->max_segment_rows * row_values <= kMaxSegmentValues;
}

}  // namespace

Status PlanMap(const Codec& codec, int64_t batch, int64_t height, int64_t width, MapPlan* plan) {
  if (plan == nullptr || batch < 0 || height < 1 || width < 1) return Status::kInvalidArgument;
  if (batch > kMaxDimension || height > kMaxDimension || width > kMaxDimension) return Status::kInvalidArgument;
  plan->batch = static_cast<uint32_t>(batch);
  plan->height = static_cast<uint32_t>(height);
  plan->width = static_cast<uint32_t>(width);
  const uint64_t row_values = uint64_t{plan->width} * codec.side_info.components;
  if (row_values > kMaxSegmentValues || !DivideRows(row_values, plan)) return Status::kInvalidArgument;

  // Both factors are below 2^31, and the sum below 2^62 + 2^34.
  const uint64_t capacity = kCodedHeaderBytes + uint64_t{4} * plan->segments_per_item + plan->height * row_values;
  if (capacity > UINT32_MAX - 7) return Status::kInvalidArgument;
  plan->item_capacity = RoundUp(static_cast<size_t>(capacity), 8);
  if (uint64_t{plan->batch} * plan->item_capacity > UINT32_MAX) return Status::kInvalidArgument;
  if (!MapBytes(plan->batch, plan->height, plan->width, codec.side_info.EncoderChannels(),
                &plan->encoder_input_bytes)) {
    return Status::kInvalidArgument;
  }
  return SetDecoderStride(codec, 1, 1, plan);
}

Status SetDecoderStride(const Codec& codec, int64_t stride_height, int64_t stride_width, MapPlan* plan) {
  if (stride_height < 1 || stride_width < 1) return Status::kInvalidArgument;
  if (stride_height > kMaxDimension || stride_width > kMaxDimension) return Status::kInvalidArgument;
  plan->stride_height = static_cast<uint32_t>(stride_height);
  plan->stride_width = static_cast<uint32_t>(stride_width);
  const bool fits = MapBytes(plan->batch, OutputHeight(*plan), OutputWidth(*plan), codec.side_info.channels,
                             &plan->decoder_output_bytes);
  return fits ? Status::kOk : Status::kInvalidArgument;
}

}  // namespace fmtc
