// Division of a map into groups and segments (FORMAT.md section 3).
#ifndef FMTC_CODEC_GEOMETRY_H_
#define FMTC_CODEC_GEOMETRY_H_

#include <cstdint>

#include "base/bytes.h"
#include "codec/codec.h"

namespace fmtc {

constexpr uint32_t kCodedHeaderBytes = 16;

// `total` things dealt to `parts` parts as evenly as possible, the larger parts first: the size of part `index`.
uint32_t ShareOf(uint32_t total, uint32_t parts, uint32_t index);

// The sum of the shares before.
uint32_t ShareBegin(uint32_t total, uint32_t parts, uint32_t index);

inline uint32_t SegmentRows(const MapPlan& plan, uint32_t segment) {
  return ShareOf(plan.height, plan.segments_per_item, segment);
}

inline uint32_t GroupSegments(const MapPlan& plan, uint32_t group) {
  return ShareOf(plan.segments_per_item, plan.groups_per_item, group);
}

// Of the table of segment lengths. Fits, since the sum of the items' capacities does (PlanMap).
inline size_t SegmentTableBytes(const MapPlan& plan) {
  return sizeof(uint32_t) * size_t{plan.batch} * plan.segments_per_item;
}

inline size_t MaxSegmentValues(const MapPlan& plan) { return size_t{plan.max_segment_rows} * plan.row_values; }

// Where a group begins; without workers it is always the first one. Groups are counted over all batch items.
struct GroupBegin {
  uint32_t item;
  uint32_t segment;  // of all items
  uint32_t row;      // of its item

  GroupBegin(const MapPlan& plan, uint32_t group) : item(0), segment(0), row(0) {
    if (!kHasWorkers) return;
    item = group / plan.groups_per_item;
    const uint32_t in_item = ShareBegin(plan.segments_per_item, plan.groups_per_item, group % plan.groups_per_item);
    segment = item * plan.segments_per_item + in_item;
    row = ShareBegin(plan.height, plan.segments_per_item, in_item);
  }
};

inline uint32_t TotalGroups(const MapPlan& plan) { return plan.batch * plan.groups_per_item; }

// How many of the workers can have a group.
inline uint32_t UsefulWorkers(const MapPlan& plan, uint32_t workers) {
  const uint32_t groups = TotalGroups(plan);
  return !kHasWorkers || groups <= 1 || workers <= 1 ? 1 : workers < groups ? workers : groups;
}

// What DECODE writes.
inline uint32_t OutputHeight(const MapPlan& plan) {
  return kHasStride ? DivideRoundUp(plan.height, plan.stride_height) : plan.height;
}
inline uint32_t OutputWidth(const MapPlan& plan) {
  return kHasStride ? DivideRoundUp(plan.width, plan.stride_width) : plan.width;
}
// Rows of the map before the group, or all of them behind the last one.
inline size_t InputRowsBefore(const MapPlan& plan, uint32_t group) {
  if (group == 0) return 0;
  if (!kHasWorkers || group == TotalGroups(plan)) return size_t{plan.batch} * plan.height;
  const GroupBegin begin(plan, group);
  return size_t{begin.item} * plan.height + begin.row;
}

// Rows that DECODE writes before the group, or all of them behind the last one.
inline size_t OutputRowsBefore(const MapPlan& plan, uint32_t group) {
  if (group == 0) return 0;
  if (!kHasWorkers || group == TotalGroups(plan)) return size_t{plan.batch} * OutputHeight(plan);
  const GroupBegin begin(plan, group);
  const uint32_t in_item = kHasStride ? DivideRoundUp(begin.row, plan.stride_height) : begin.row;
  return size_t{begin.item} * OutputHeight(plan) + in_item;
}

// Values of the map are its indices plus an offset, and kernels can predict them as they are; what these touch behind a
// row is no more than another row.
inline bool CanPredictValues(const Codec& codec, const MapPlan& plan, uint32_t level) {
  return kHasValuePrediction && codec.kernels->predicts_values && codec.has_prediction && codec.has_unit_steps &&
         level == 0 && codec.side_info.centres == nullptr && plan.row_values >= kValueSlack;
}
inline uint8_t ValueOffset(const Codec& codec, ElementType type) {
  return static_cast<uint8_t>(codec.side_info.centre + (type == ElementType::kUInt8 ? 0x80 : 0));
}

// Rows of a map that follow one another in memory and stay as they are while others are decoded or encoded, so that
// prediction of values may take them from there; up to the end, kernels may touch what does not matter behind a row.
// Empty: each row may be somewhere else, and is not needed any more when it has been read or written.
struct RowsInOrder {
  const uint8_t* begin;
  const uint8_t* end;
  size_t stride;  // bytes from one row of a group to the next
};

// Walks over the segments of the groups first ... end - 1, counted over all batch items, in order.
class SegmentWalk {
 public:
  FMTC_ONE_COPY SegmentWalk(const MapPlan& plan, uint32_t first, uint32_t end) : plan_(plan), group_(first), end_(end) {
    if (kHasWorkers) {
      segment_ = ShareBegin(plan.segments_per_item, plan.groups_per_item, first % plan.groups_per_item);
      first_row_ = ShareBegin(plan.height, plan.segments_per_item, segment_);
    }
    if (!done()) left_in_group_ = GroupSegments(plan_, group_ % plan_.groups_per_item);
  }

  bool done() const { return group_ == end_; }
  uint32_t rows() const { return SegmentRows(plan_, segment_); }
  uint32_t first_row() const { return first_row_; }
  bool starts_group() const { return starts_group_; }

  FMTC_SELDOM FMTC_ONE_COPY void Next() {
    first_row_ += rows();
    if (++segment_ == plan_.segments_per_item) segment_ = first_row_ = 0;
    starts_group_ = --left_in_group_ == 0;
    if (starts_group_ && ++group_ != end_) left_in_group_ = GroupSegments(plan_, group_ % plan_.groups_per_item);
  }

 private:
  const MapPlan& plan_;
  uint32_t group_;
  uint32_t end_;
  uint32_t segment_ = 0;    // in its item
  uint32_t first_row_ = 0;  // in its item
  uint32_t left_in_group_ = 0;
  bool starts_group_ = true;
};

}  // namespace fmtc

#endif  // FMTC_CODEC_GEOMETRY_H_
