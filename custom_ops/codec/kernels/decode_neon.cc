// The decoder's run with NEON: a step of 64 lanes is four vectors, each of which takes its bits from one load of 16
// bytes, since 16 fields of at most 7 bits and 7 bits before them fill 119.
#if defined(__aarch64__)
#include <cstring>

#include "codec/kernels/arm_kernels.h"
#include "simd/lookup_neon.h"

namespace fmtc {
namespace {

constexpr size_t kVectors = kLanes / kVectorBytes;

struct Columns {
  Lookup64 token_mask, base, raw_mask, first_value;

  explicit FMTC_INLINE Columns(const DecodeTable& table)
      : token_mask(table.token_mask), base(table.base), raw_mask(table.raw_mask), first_value(table.first_value) {}
};

struct Lanes {
  uint8x16_t states[kVectors];
  BitReader tokens, raw;
  uint8_t* values;
};

// Sums of all bytes up to and including each one.
FMTC_INLINE uint8x16_t SumsUpTo(uint8x16_t bytes) {
  const uint8x16_t zero = vdupq_n_u8(0);
  uint8x16_t sums = vaddq_u8(bytes, vextq_u8(zero, bytes, 15));
  sums = vaddq_u8(sums, vextq_u8(zero, sums, 14));
  sums = vaddq_u8(sums, vextq_u8(zero, sums, 12));
  return vaddq_u8(sums, vextq_u8(zero, sums, 8));
}

// Takes a field of 0 ... 7 bits for each of 16 lanes, in their order; `mask` is 2^bits - 1. The position does not wait
// for anything but the masks, so that the vectors of a step overlap.
FMTC_INLINE uint8x16_t TakeFields(uint8x16_t mask, BitReader* reader) {
  const uint8x16_t bits = vcntq_u8(mask);
  const uint64_t position = reader->position;
  reader->position = position + vaddvq_u8(bits);
  const uint8x16_t window = vld1q_u8(reader->data + position / 8);
  const uint8x16_t before = vsubq_u8(SumsUpTo(bits), bits);
  const uint8x16_t begin = vaddq_u8(before, vdupq_n_u8(static_cast<uint8_t>(position % 8)));
  const uint8x16_t byte = vshrq_n_u8(begin, 3);
  const uint8x16_t low = vqtbl1q_u8(window, byte);
  const uint8x16_t high = vqtbl1q_u8(window, vaddq_u8(byte, vdupq_n_u8(1)));
  // A shift by a negative number goes right.
  const int8x16_t right = vnegq_s8(vreinterpretq_s8_u8(vandq_u8(begin, vdupq_n_u8(7))));
  const uint8x16_t fields = vorrq_u8(vshlq_u8(low, right), vshlq_u8(high, vaddq_s8(right, vdupq_n_s8(8))));
  return vandq_u8(fields, mask);
}

// A whole step, or with kPartial its active lanes; the values of others do not matter.
template <bool kHasRaw, bool kAdvance, bool kPartial>
FMTC_INLINE void Step(const Columns& columns, size_t count, uint8_t* values, Lanes* lanes) {
  lanes->tokens.ClampPosition();
  lanes->raw.ClampPosition();
  for (size_t i = 0; i < kVectors; ++i) {
    const size_t first = kVectorBytes * i;
    if (kPartial && first >= count) break;
    const uint8x16_t active = FirstBytes(kPartial ? count - first : kVectorBytes);
    const uint8x16_t states = lanes->states[i];
    uint8x16_t value = columns.first_value[states];
    if (kHasRaw) {
      uint8x16_t mask = columns.raw_mask[states];
      if (kPartial) mask = vandq_u8(mask, active);
      value = vaddq_u8(value, TakeFields(mask, &lanes->raw));
    }
    vst1q_u8(values + first, value);
    if (!kAdvance) continue;
    uint8x16_t mask = columns.token_mask[states];
    if (kPartial) mask = vandq_u8(mask, active);
    const uint8x16_t next = vaddq_u8(columns.base[states], TakeFields(mask, &lanes->tokens));
    lanes->states[i] = kPartial ? vbslq_u8(active, next, states) : next;
  }
}

template <bool kHasRaw>
FMTC_INLINE void PartialStep(const Columns& columns, size_t count, Lanes* lanes) {
  uint8_t values[kLanes];
  Step<kHasRaw, true, true>(columns, count, values, lanes);
  memcpy(lanes->values, values, count);
  lanes->values += count;
}

template <bool kHasRaw, bool kAdvance>
FMTC_INLINE void WholeStep(const Columns& columns, Lanes* lanes) {
  Step<kHasRaw, kAdvance, false>(columns, kLanes, lanes->values, lanes);
  lanes->values += kLanes;
}

FMTC_INLINE Lanes LoadLanes(const LaneDecoder& segment) {
  Lanes lanes{{}, segment.tokens, segment.raw, segment.values};
  for (size_t i = 0; i < kVectors; ++i) lanes.states[i] = vld1q_u8(segment.states + kVectorBytes * i);
  return lanes;
}

FMTC_INLINE void StoreLanes(const Lanes& lanes, LaneDecoder* segment) {
  for (size_t i = 0; i < kVectors; ++i) vst1q_u8(segment->states + kVectorBytes * i, lanes.states[i]);
  segment->tokens.position = lanes.tokens.position;
  segment->raw.position = lanes.raw.position;
}

bool HasRawBits(const Columns& columns) {
  const uint8x16x4_t& mask = columns.raw_mask.table;
  const uint8x16_t any = vorrq_u8(vorrq_u8(mask.val[0], mask.val[1]), vorrq_u8(mask.val[2], mask.val[3]));
  return vmaxvq_u8(any) != 0;
}

template <bool kHasRaw>
void DecodeRun(const Columns& columns, RunShape run, LaneDecoder* segment) {
  Lanes lanes = LoadLanes(*segment);
  if (run.PartialStep() > 0) PartialStep<kHasRaw>(columns, run.PartialStep(), &lanes);
  for (size_t steps = run.WholeSteps(); steps > 0; --steps) WholeStep<kHasRaw, true>(columns, &lanes);
  if (run.FreeLanes() > 0) WholeStep<kHasRaw, false>(columns, &lanes);
  StoreLanes(lanes, segment);
}

}  // namespace

// One segment at a time: the tables and the four vectors of a step take all registers.
void DecodeRunNeon(const DecodeTable& table, RunShape run, LaneDecoder* const* segments, size_t count) {
  const Columns columns(table);
  const bool has_raw_bits = HasRawBits(columns);
  for (size_t i = 0; i < count; ++i) {
    if (has_raw_bits) {
      DecodeRun<true>(columns, run, segments[i]);
    } else {
      DecodeRun<false>(columns, run, segments[i]);
    }
  }
}

}  // namespace fmtc
#endif
