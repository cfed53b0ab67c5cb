// Division of a map into groups and segments (FORMAT.md section 3).
#ifndef FMTC_CORE_GEOMETRY_H_
#define FMTC_CORE_GEOMETRY_H_

#include <cstdint>

#include "core/codec.h"

namespace fmtc {

constexpr uint32_t kCodedHeaderBytes = 16;

// `total` things dealt to `parts` parts as evenly as possible, the larger parts first: the size of part `index`.
inline uint32_t ShareOf(uint32_t total, uint32_t parts, uint32_t index) {
  return total / parts + (index < total % parts ? 1 : 0);
}

// The sum of the shares before.
inline uint32_t ShareBegin(uint32_t total, uint32_t parts, uint32_t index) {
  return total / parts * index + (index < total % parts ? index : total % parts);
}

inline uint32_t SegmentRows(const MapPlan& plan, uint32_t segment) {
  return ShareOf(plan.height, plan.segments_per_item, segment);
}

inline uint32_t GroupSegments(const MapPlan& plan, uint32_t group) {
  return ShareOf(plan.segments_per_item, plan.groups_per_item, group);
}

inline size_t MaxSegmentValues(const MapPlan& plan) { return size_t{plan.max_segment_rows} * plan.row_values; }

// Where a group begins. Groups are counted over all batch items.
struct GroupBegin {
  uint32_t segment;  // likewise
  uint64_t row;      // likewise

  GroupBegin(const MapPlan& plan, uint32_t group) {
    const uint32_t item = group / plan.groups_per_item;
    const uint32_t in_item = ShareBegin(plan.segments_per_item, plan.groups_per_item, group % plan.groups_per_item);
    segment = item * plan.segments_per_item + in_item;
    row = uint64_t{item} * plan.height + ShareBegin(plan.height, plan.segments_per_item, in_item);
  }
};

inline uint32_t TotalGroups(const MapPlan& plan) { return plan.batch * plan.groups_per_item; }

// How many of the workers can have a group.
inline uint32_t UsefulWorkers(const MapPlan& plan, uint32_t workers) {
  const uint32_t groups = TotalGroups(plan);
  return groups <= 1 || workers <= 1 ? 1 : workers < groups ? workers : groups;
}

// Walks over the segments of the groups first ... end - 1, counted over all batch items, in order.
class SegmentWalk {
 public:
  SegmentWalk(const MapPlan& plan, uint32_t first, uint32_t end) : plan_(plan), group_(first), end_(end) {
    segment_ = ShareBegin(plan.segments_per_item, plan.groups_per_item, first % plan.groups_per_item);
    if (!done()) left_in_group_ = GroupSegments(plan_, group_ % plan_.groups_per_item);
  }

  bool done() const { return group_ == end_; }
  uint32_t rows() const { return SegmentRows(plan_, segment_); }
  bool starts_group() const { return starts_group_; }

  void Next() {
    if (++segment_ == plan_.segments_per_item) segment_ = 0;
    starts_group_ = --left_in_group_ == 0;
    if (starts_group_ && ++group_ != end_) left_in_group_ = GroupSegments(plan_, group_ % plan_.groups_per_item);
  }

 private:
  const MapPlan& plan_;
  uint32_t group_;
  uint32_t end_;
  uint32_t segment_;  // in its item
  uint32_t left_in_group_ = 0;
  bool starts_group_ = true;
};

}  // namespace fmtc

#endif  // FMTC_CORE_GEOMETRY_H_
