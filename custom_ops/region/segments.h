// Coded tensors of a region (REGION.md section 5, ENCODE and DECODE): their geometry, and the memory of their ops.
#ifndef FMTC_REGION_SEGMENTS_H_
#define FMTC_REGION_SEGMENTS_H_

#include "codec/contexts.h"
#include "region/program.h"

namespace fmtc::region {

// In front of a segment: its length.
constexpr uint32_t kSlotHeaderBytes = sizeof(uint32_t);

// How a map is divided into segments: its rows into shares, and these by groups of columns. A row of the coded tensor
// has a share's segments, a column those of a group.
struct Segments {
  uint32_t height, width, channels;  // of the map
  uint32_t count, groups;
  const uint16_t* ends;  // of the groups' columns; null: one group

  Segments(const TensorRecord& map, const TensorRecord& coded, const uint16_t* group_ends)
      : height(map.height),
        width(map.width),
        channels(map.channels),
        count(coded.height),
        groups(coded.width),
        ends(group_ends) {}

  uint32_t Begin(uint32_t segment) const;
  uint32_t Rows(uint32_t segment) const;
  // The share that has a row.
  uint32_t Of(uint32_t row) const;
  Range Columns(uint32_t group) const;
  uint64_t RowValues() const { return uint64_t{width} * channels; }
  uint64_t MostRowValues() const;  // of a group
  uint64_t MostValues() const { return Rows(0) * MostRowValues(); }
};

// Behind a segment, and behind a row.
constexpr size_t kSegmentSlack = 72;
constexpr size_t kRowSlack = 64;

// Of an op's own memory.
uint64_t EncodeMemoryBytes(const Segments& segments, bool has_contexts);
uint64_t DecodeMemoryBytes(const Segments& segments, bool has_contexts);

// The own memory of an ENCODE.
struct EncodeMemory {
  // With contexts only:
  uint32_t* lengths = nullptr;  // of the segment's runs
  uint8_t* rows[2] = {};        // residuals of a group's row and the row above it
  ContextMemory contexts;

  uint8_t* pixels;  // residuals of a segment; with contexts in segment order
  uint8_t* planes;  // the same as planes of components, or tokens; before that, two rows of indices

  EncodeMemory(uint8_t* own, const Segments& segments, bool has_contexts);
};

// The own memory of a DECODE. What it keeps from step to step is in front; the pixels of a share's groups follow one
// another. What a row needs behind it is only read, so that the next one may be there.
struct DecodeMemory {
  uint8_t* last;             // indices of the row before
  uint8_t* above = nullptr;  // with contexts: residuals of the last row of the share before
  uint8_t* pixels;
  uint8_t* planes;  // of a segment, or its bytes; then a group's part of a row of indices, then of values
  ContextMemory contexts;

  DecodeMemory(uint8_t* own, const Segments& segments, bool has_contexts);
};

}  // namespace fmtc::region

#endif  // FMTC_REGION_SEGMENTS_H_
