// The encoder's runs with NEON: a step of 64 lanes is four vectors.
#if defined(__aarch64__)
#include "codec/kernels/arm_kernels.h"
#include "simd/lookup_neon.h"

namespace fmtc {
namespace {

constexpr size_t kVectors = kLanes / kVectorBytes;

// Fields of 8 lanes packed into the low `bits` of `value`, 56 at most: what a writer takes between two flushes.
struct PackedGroup {
  uint64_t value;
  uint32_t bits;
};

struct PackedVector {
  PackedGroup group[2];
};

// Packs 16 fields; `fields` has nothing above their `bits`. Neighbours are joined three times.
FMTC_INLINE PackedVector Pack(uint8x16_t fields, uint8x16_t bits) {
  const uint16x8_t fields8 = vreinterpretq_u16_u8(fields);
  const uint16x8_t even8 = vandq_u16(fields8, vdupq_n_u16(0xFF));
  const uint16x8_t bits8 = vandq_u16(vreinterpretq_u16_u8(bits), vdupq_n_u16(0xFF));
  const uint16x8_t pairs = vorrq_u16(even8, vshlq_u16(vshrq_n_u16(fields8, 8), vreinterpretq_s16_u16(bits8)));
  const uint16x8_t pair_bits = vpaddlq_u8(bits);

  const uint32x4_t fields16 = vreinterpretq_u32_u16(pairs);
  const uint32x4_t even16 = vandq_u32(fields16, vdupq_n_u32(0xFFFF));
  const uint32x4_t bits16 = vandq_u32(vreinterpretq_u32_u16(pair_bits), vdupq_n_u32(0xFFFF));
  const uint32x4_t fours = vorrq_u32(even16, vshlq_u32(vshrq_n_u32(fields16, 16), vreinterpretq_s32_u32(bits16)));
  const uint32x4_t four_bits = vpaddlq_u16(pair_bits);

  const uint64x2_t fields32 = vreinterpretq_u64_u32(fours);
  const uint64x2_t low32 = vdupq_n_u64(0xFFFFFFFF);
  const uint64x2_t bits32 = vandq_u64(vreinterpretq_u64_u32(four_bits), low32);
  const uint64x2_t eights =
      vorrq_u64(vandq_u64(fields32, low32), vshlq_u64(vshrq_n_u64(fields32, 32), vreinterpretq_s64_u64(bits32)));
  const uint64x2_t eight_bits = vpaddlq_u32(four_bits);
  return {{{vgetq_lane_u64(eights, 0), static_cast<uint32_t>(vgetq_lane_u64(eight_bits, 0))},
           {vgetq_lane_u64(eights, 1), static_cast<uint32_t>(vgetq_lane_u64(eight_bits, 1))}}};
}

template <typename Writer>
FMTC_INLINE void Put(const PackedGroup& group, Writer* writer) {
  writer->Put(group.value, group.bits);
  writer->Flush();
}

// Tokens of values from a table of 256 bytes.
struct TokenTable {
  Lookup64 quarter[4];

  explicit FMTC_INLINE TokenTable(const uint8_t* token_of)
      : quarter{Lookup64(token_of), Lookup64(token_of + 64), Lookup64(token_of + 128), Lookup64(token_of + 192)} {}

  // A look-up outside its quarter keeps what the others have found.
  FMTC_INLINE uint8x16_t operator[](uint8x16_t values) const {
    uint8x16_t tokens = quarter[0][values];
    tokens = vqtbx4q_u8(tokens, quarter[1].table, vsubq_u8(values, vdupq_n_u8(64)));
    tokens = vqtbx4q_u8(tokens, quarter[2].table, vsubq_u8(values, vdupq_n_u8(128)));
    return vqtbx4q_u8(tokens, quarter[3].table, vsubq_u8(values, vdupq_n_u8(192)));
  }
};

struct Columns {
  uint8x16_t most_bits, threshold, state_offset;
  Lookup64 next_state;

  explicit FMTC_INLINE Columns(const EncodeTable& table)
      : most_bits(vld1q_u8(table.most_bits)),
        threshold(vld1q_u8(table.threshold)),
        state_offset(vld1q_u8(table.state_offset)),
        next_state(table.next_state) {}
};

// A quarter of a step: the active ones of 16 lanes.
FMTC_INLINE uint8x16_t QuarterStep(const Columns& columns, const uint8_t* tokens, uint8x16_t active, uint8x16_t states,
                                   TokenWriter* writer) {
  const uint8x16_t token = vld1q_u8(tokens);
  // A comparison gives -1.
  const uint8x16_t below = vcltq_u8(states, vqtbl1q_u8(columns.threshold, token));
  const uint8x16_t bits = vaddq_u8(vqtbl1q_u8(columns.most_bits, token), below);
  const int8x16_t left = vreinterpretq_s8_u8(bits);
  const uint8x16_t low_bits = vsubq_u8(vshlq_u8(vdupq_n_u8(1), left), vdupq_n_u8(1));
  const uint8x16_t slot = vaddq_u8(vshlq_u8(states, vnegq_s8(left)), vqtbl1q_u8(columns.state_offset, token));
  const PackedVector packed = Pack(vandq_u8(vandq_u8(states, low_bits), active), vandq_u8(bits, active));
  Put(packed.group[1], writer);
  Put(packed.group[0], writer);
  return vbslq_u8(active, columns.next_state[slot], states);
}

struct States {
  uint8x16_t quarter[kVectors];
};

FMTC_INLINE void Step(const Columns& columns, const uint8_t* tokens, size_t lanes, States* states,
                      TokenWriter* writer) {
  for (size_t i = kVectors; i-- > 0;) {
    const size_t first = kVectorBytes * i;
    if (first >= lanes) continue;
    states->quarter[i] = QuarterStep(columns, tokens + first, FirstBytes(lanes - first), states->quarter[i], writer);
  }
}

}  // namespace

void SplitRunNeon(const ClassTables& tables, const uint8_t* values, size_t n, uint8_t* tokens, RawWriter* raw) {
  const TokenTable token_of(tables.token_of);
  const uint8x16_t first_value = vld1q_u8(tables.encode.first_value);
  const uint8x16_t raw_mask = vld1q_u8(tables.encode.raw_mask);
  const bool has_raw_bits = vmaxvq_u8(raw_mask) != 0;
  RawWriter writer = *raw;
  for (size_t i = 0; i < n && !writer.overflow; i += kVectorBytes) {
    const uint8x16_t value = vld1q_u8(values + i);
    const uint8x16_t token = token_of[value];
    vst1q_u8(tokens + i, token);
    if (!has_raw_bits) continue;
    const uint8x16_t mask = vandq_u8(vqtbl1q_u8(raw_mask, token), FirstBytes(n - i));
    const uint8x16_t raw_value = vsubq_u8(value, vqtbl1q_u8(first_value, token));
    const PackedVector packed = Pack(vandq_u8(raw_value, mask), vcntq_u8(mask));
    Put(packed.group[0], &writer);
    Put(packed.group[1], &writer);
  }
  *raw = writer;
}

void EncodeRunNeon(const ClassTables& tables, const uint8_t* tokens, size_t n, LaneEncoder* encoder) {
  const Columns columns(tables.encode);
  TokenWriter writer = encoder->writer;
  States states;
  for (size_t i = 0; i < kVectors; ++i) states.quarter[i] = vld1q_u8(encoder->states + kVectorBytes * i);
  const size_t partial = n % kLanes;
  for (; n >= kLanes; n -= kLanes) {
    Step(columns, tokens + n - kLanes, kLanes, &states, &writer);
  }
  if (partial > 0) {
    Step(columns, tokens, partial, &states, &writer);
  }
  for (size_t i = 0; i < kVectors; ++i) vst1q_u8(encoder->states + kVectorBytes * i, states.quarter[i]);
  encoder->writer = writer;
}

}  // namespace fmtc
#endif
