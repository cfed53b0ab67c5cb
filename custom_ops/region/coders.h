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

// How the rows of a map are divided into segments, each of which is a row of the coded tensor.
struct Segments {
  uint32_t height, count;
  uint64_t row_values;

  Segments(const TensorRecord& map, const TensorRecord& coded)
      : height(map.height), count(coded.height), row_values(uint64_t{map.width} * map.channels) {}

  uint32_t Begin(uint32_t segment) const;
  uint32_t Rows(uint32_t segment) const;
  // The segment that has a row.
  uint32_t Of(uint32_t row) const;
  uint64_t MostValues() const { return Rows(0) * row_values; }
};

// Of an op's own memory: a segment as pixels, the same as planes of its components, and a row.
uint64_t OwnMemoryBytes(const Segments& segments);

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
