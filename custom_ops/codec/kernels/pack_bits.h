// Fields of bits, one in each byte of 8 lanes, packed and appended to the streams of the encoder.
#ifndef FMTC_CODEC_KERNELS_PACK_BITS_H_
#define FMTC_CODEC_KERNELS_PACK_BITS_H_

#include <immintrin.h>

#include "codec/bit_streams.h"
#include "cpu/target.h"

FMTC_BEGIN_TARGET_AVX2

namespace fmtc {
namespace {

// The most bits that fit a writer between two flushes.
constexpr uint32_t kMaxPut = 56;

// The low bits of each byte of `values` where the mask has ones.
struct PackedGroup {
  uint64_t value;
  uint32_t bits;

  FMTC_INLINE PackedGroup(uint64_t values, uint64_t mask)
      : value(_pext_u64(values, mask)), bits(static_cast<uint32_t>(_mm_popcnt_u64(mask))) {}

  // Puts `second` behind this group. Both together have at most kMaxPut bits.
  FMTC_INLINE void Append(const PackedGroup& second) {
    value |= second.value << bits;
    bits += second.bits;
  }
};

FMTC_INLINE void PutGroup(const PackedGroup& group, RawWriter* writer) {
  writer->Put(group.value, group.bits);
  writer->FlushInside();
}

// Appends two groups, where there is room.
FMTC_INLINE void PutTwo(PackedGroup first, const PackedGroup& second, RawWriter* writer) {
  if (first.bits + second.bits <= kMaxPut) {
    first.Append(second);
    PutGroup(first, writer);
  } else {
    PutGroup(first, writer);
    PutGroup(second, writer);
  }
}

// Appends four groups, where there is room, so many lanes at a time.
template <int kLanesTogether>
FMTC_INLINE void PutFour(const uint64_t* values, const uint64_t* masks, RawWriter* writer) {
  PackedGroup first(values[0], masks[0]);
  const PackedGroup second(values[1], masks[1]);
  PackedGroup third(values[2], masks[2]);
  const PackedGroup fourth(values[3], masks[3]);
  if (kLanesTogether == 8) {
    PutGroup(first, writer);
    PutGroup(second, writer);
    PutGroup(third, writer);
    PutGroup(fourth, writer);
  } else if (kLanesTogether == 32 && first.bits + second.bits + third.bits + fourth.bits <= kMaxPut) {
    first.Append(second);
    third.Append(fourth);
    first.Append(third);
    PutGroup(first, writer);
  } else {
    PutTwo(first, second, writer);
    PutTwo(third, fourth, writer);
  }
}

FMTC_INLINE void PutGroup(const PackedGroup& group, TokenWriter* writer) {
  writer->Put(group.value, group.bits);
  writer->Flush();
}

// Puts `count` groups, an even number, in front of what has been written, 8 or 16 lanes at a time.
template <int kLanesTogether>
FMTC_INLINE void PutGroups(const uint64_t* values, const uint64_t* masks, size_t count, TokenWriter* writer) {
  for (size_t i = count; i > 0; i -= 2) {
    PackedGroup first(values[i - 2], masks[i - 2]);
    const PackedGroup second(values[i - 1], masks[i - 1]);
    if (kLanesTogether == 16 && first.bits + second.bits <= kMaxPut) {
      first.Append(second);
    } else {
      PutGroup(second, writer);
    }
    PutGroup(first, writer);
  }
}

}  // namespace
}  // namespace fmtc

FMTC_END_TARGET

#endif  // FMTC_CODEC_KERNELS_PACK_BITS_H_
