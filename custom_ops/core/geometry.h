// Division of a map into groups and segments (FORMAT.md section 3).
#ifndef FMTC_CORE_GEOMETRY_H_
#define FMTC_CORE_GEOMETRY_H_

#include <cstdint>

#include "core/bytes.h"
#include "core/codec.h"

namespace fmtc {

constexpr uint32_t kCodedHeaderBytes = 16;

// `total` things dealt to `parts` parts as evenly as possible, the larger parts first: the size of part `index`.
uint32_t ShareOf(uint32_t total, uint32_t parts, uint32_t index);

inline uint32_t SegmentRows(const MapPlan& plan, uint32_t segment) {
  return ShareOf(plan.height, plan.segments_per_item, segment);
}

inline uint32_t GroupSegments(const MapPlan& plan, uint32_t group) {
  return ShareOf(plan.segments_per_item, plan.groups_per_item, group);
}

inline size_t MaxSegmentValues(const MapPlan& plan) { return size_t{plan.max_segment_rows} * plan.row_values; }

// What DECODE writes.
inline uint32_t OutputHeight(const MapPlan& plan) {
  return kSmall ? plan.height : DivideRoundUp(plan.height, plan.stride_height);
}
inline uint32_t OutputWidth(const MapPlan& plan) {
  return kSmall ? plan.width : DivideRoundUp(plan.width, plan.stride_width);
}

// Walks over the segments of one batch item in order.
class SegmentWalk {
 public:
  explicit SegmentWalk(const MapPlan& plan) : plan_(plan), left_in_group_(GroupSegments(plan, 0)) {}

  bool done() const { return segment_ == plan_.segments_per_item; }
  uint32_t index() const { return segment_; }
  uint32_t rows() const { return SegmentRows(plan_, segment_); }
  uint32_t first_row() const { return first_row_; }
  bool starts_group() const { return starts_group_; }

  void Next() {
    first_row_ += rows();
    ++segment_;
    starts_group_ = --left_in_group_ == 0;
    if (starts_group_ && !done()) left_in_group_ = GroupSegments(plan_, ++group_);
  }

 private:
  const MapPlan& plan_;
  uint32_t segment_ = 0;
  uint32_t group_ = 0;
  uint32_t first_row_ = 0;
  uint32_t left_in_group_;
  bool starts_group_ = true;
};

}  // namespace fmtc

#endif  // FMTC_CORE_GEOMETRY_H_
