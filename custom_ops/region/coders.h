// Coded tensors of a region (REGION.md section 5, ENCODE and DECODE): their geometry, and the codecs of their ops.
#ifndef FMTC_REGION_CODERS_H_
#define FMTC_REGION_CODERS_H_

#include "base/layout.h"
#include "codec/codec.h"
#include "region/program.h"

namespace fmtc::region {

// In front of a segment: its length.
constexpr uint32_t kSlotHeaderBytes = sizeof(uint32_t);

constexpr size_t kCodecAlignment = Layout::kAlignment;

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

// Of an op's own memory. ENCODE: a segment as pixels, the same as planes of its components, and a row. DECODE: a row
// and the segments of a share as pixels, which it keeps, and a segment as planes.
uint64_t EncodeMemoryBytes(const Segments& segments);
uint64_t DecodeMemoryBytes(const Segments& segments);

// What InitCodec takes for the codecs of a program that has been opened only: what is wrong with one that is hostile
// makes it less, and BindCodec refuses it.
struct CodecRoom {
  uint32_t codecs;
  size_t bytes;
};
CodecRoom CodecRoomOf(const Program& program);

// Codecs that are built while the ops are checked, one after another.
struct CodecBuilder {
  Codec* codec;
  uint8_t* memory;
  uint32_t codecs_left;
  uint32_t components_left;
};
CodecBuilder MakeCodecBuilder(const Program& program, const State& state);

// Of a checked program: has its codecs run with these kernels instead of plain ones.
void UseCodecKernels(const Program& program, const Kernels& kernels, State* state);

}  // namespace fmtc::region

#endif  // FMTC_REGION_CODERS_H_
