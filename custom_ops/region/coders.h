// The codecs of a region's ENCODE and DECODE ops (REGION.md section 5).
#ifndef FMTC_REGION_CODERS_H_
#define FMTC_REGION_CODERS_H_

#include "base/layout.h"
#include "codec/codec.h"
#include "region/program.h"

namespace fmtc::region {

constexpr size_t kCodecAlignment = Layout::kAlignment;

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
