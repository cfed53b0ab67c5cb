// The encoder's runs with AVX-512: a step of 64 lanes is one vector.
#if defined(__x86_64__)
#include <immintrin.h>

#include "codec/kernels/pack_avx512.h"
#include "codec/kernels/unit_size.h"
#include "codec/kernels/x86_kernels.h"
#include "codec/plain_kernels.h"
#include "cpu/target.h"

FMTC_BEGIN_TARGET_AVX512

namespace fmtc {
namespace {

// Raw bits of a step: 7 for each lane and 7 from before fill 56 bytes and 7 bits, and a flush stores 8 bytes.
constexpr size_t kRoomForStep = 7 * kLanes / 8 + 8;

FMTC_INLINE __mmask64 FirstLanes(size_t count) {
  return _bzhi_u64(~uint64_t{0}, static_cast<uint32_t>(count < kLanes ? count : kLanes));
}

// A table of 16 bytes for look-ups by token.
FMTC_INLINE __m512i LoadColumn(const uint8_t* column) {
  return _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(column)));
}

struct TokenTable {
  __m512i quarter[4];

  explicit FMTC_INLINE TokenTable(const uint8_t* token_of)
      : quarter{_mm512_loadu_si512(token_of), _mm512_loadu_si512(token_of + 64), _mm512_loadu_si512(token_of + 128),
                _mm512_loadu_si512(token_of + 192)} {}

  FMTC_INLINE __m512i operator[](__m512i values) const {
    const __m512i low = _mm512_permutex2var_epi8(quarter[0], values, quarter[1]);
    const __m512i high = _mm512_permutex2var_epi8(quarter[2], values, quarter[3]);
    return _mm512_mask_mov_epi8(low, _mm512_movepi8_mask(values), high);
  }
};

struct Splitter {
  TokenTable token_of;
  __m512i first_value, raw_bits;

  explicit FMTC_INLINE Splitter(const ClassTables& tables)
      : token_of(tables.token_of),
        first_value(LoadColumn(tables.encode.first_value)),
        raw_bits(_mm512_popcnt_epi8(LoadColumn(tables.encode.raw_mask))) {}

  FMTC_INLINE bool has_raw_bits() const { return _mm512_test_epi8_mask(raw_bits, raw_bits) != 0; }

  // A step of the active lanes.
  template <int kLanesTogether>
  FMTC_INLINE void Step(const PackConstants& constants, const uint8_t* values, __mmask64 active, uint8_t* tokens,
                        RawWriter* writer) const {
    const __m512i value = _mm512_loadu_si512(values);
    const __m512i token = token_of[value];
    _mm512_storeu_si512(tokens, token);
    const __m512i fields = _mm512_sub_epi8(value, _mm512_shuffle_epi8(first_value, token));
    PutFields<kLanesTogether>(constants, fields, _mm512_maskz_shuffle_epi8(active, raw_bits, token), writer);
  }
};

// As long as there is room for the raw bits of a step; returns how many values that were.
template <int kLanesTogether>
size_t SplitSteps(const Splitter& splitter, const uint8_t* values, size_t n, uint8_t* tokens, RawWriter* raw) {
  const PackConstants constants;
  // Field by field: a wider load would have to wait until the stores of the run before are done.
  RawWriter writer{raw->next, raw->end, raw->buffer, raw->count, raw->overflow};
  size_t i = 0;
  for (; n - i >= kLanes && writer.Room() >= kRoomForStep; i += kLanes) {
    splitter.Step<kLanesTogether>(constants, values + i, ~__mmask64{0}, tokens + i, &writer);
  }
  if (i < n && writer.Room() >= kRoomForStep) {
    splitter.Step<kLanesTogether>(constants, values + i, FirstLanes(n - i), tokens + i, &writer);
    i = n;
  }
  *raw = writer;
  return i;
}

size_t SplitSteps(const ClassTables& tables, const uint8_t* values, size_t n, uint8_t* tokens, RawWriter* raw) {
  const Splitter splitter(tables);
  if (!splitter.has_raw_bits()) {
    for (size_t i = 0; i < n; i += kLanes) {
      _mm512_storeu_si512(tokens + i, splitter.token_of[_mm512_loadu_si512(values + i)]);
    }
    return n;
  }
  switch (ChooseUnitSize(tables.decode.raw_bits)) {
    case UnitSize::k32Lanes:
      return SplitSteps<32>(splitter, values, n, tokens, raw);
    case UnitSize::k16Lanes:
      return SplitSteps<16>(splitter, values, n, tokens, raw);
    default:
      return SplitSteps<8>(splitter, values, n, tokens, raw);
  }
}

struct Columns {
  __m512i most_bits, threshold, state_offset, rest_mask, next_state;

  explicit FMTC_INLINE Columns(const EncodeTable& table)
      : most_bits(LoadColumn(table.most_bits)),
        threshold(LoadColumn(table.threshold)),
        state_offset(LoadColumn(table.state_offset)),
        rest_mask(_mm512_shuffle_epi8(RestMasks(), most_bits)),
        next_state(_mm512_loadu_si512(table.next_state)) {}

  // By number of bits: what may remain of a state of 7 bits, and the bit above it, which is 0.
  static FMTC_INLINE __m512i RestMasks() {
    return _mm512_broadcast_i32x4(_mm_setr_epi8(-1, 127, 63, 31, 15, 7, 3, 1, 0, 0, 0, 0, 0, 0, 0, 0));
  }
};

// The low `bits` of the states are what a step writes.
struct Fields {
  __m512i states, bits;
};

// A step of all lanes.
FMTC_INLINE Fields Step(const PackConstants& constants, const Columns& columns, __m512i tokens, __m512i* states) {
  __asm__("" : "+v"(tokens));  // one load, not one for each column
  const __m512i most_bits = _mm512_shuffle_epi8(columns.most_bits, tokens);
  const __m512i threshold = _mm512_shuffle_epi8(columns.threshold, tokens);
  const __m512i offset = _mm512_shuffle_epi8(columns.state_offset, tokens);
  const __m512i rest_mask = _mm512_shuffle_epi8(columns.rest_mask, tokens);
  // One bit less where the state is below the threshold.
  const __m512i below = _mm512_min_epu8(_mm512_subs_epu8(threshold, *states), constants.ones8);
  const __m512i bits = _mm512_sub_epi8(most_bits, below);
  // state >> bits: the 8 bits from there on, less those of the next lane.
  const __m512i moved = _mm512_multishift_epi64_epi8(_mm512_add_epi8(constants.byte_begins, bits), *states);
  const __m512i slot = _mm512_add_epi8(_mm512_and_si512(moved, rest_mask), offset);
  const Fields fields{*states, bits};
  *states = _mm512_permutexvar_epi8(slot, columns.next_state);
  return fields;
}

template <int kLanesTogether>
void EncodeSteps(const ClassTables& tables, const uint8_t* tokens, size_t n, LaneEncoder* encoder) {
  const PackConstants constants;
  const Columns columns(tables.encode);
  TokenWriter writer = encoder->writer;
  __m512i states = _mm512_loadu_si512(encoder->states);
  // What a step writes is packed while the next one computes its states.
  Fields fields{states, _mm512_setzero_si512()};
  const size_t partial = n % kLanes;
  for (; n >= kLanes; n -= kLanes) {
    const Fields now = Step(constants, columns, _mm512_loadu_si512(tokens + n - kLanes), &states);
    PutFields<kLanesTogether>(constants, fields.states, fields.bits, &writer);
    fields = now;
  }
  PutFields<kLanesTogether>(constants, fields.states, fields.bits, &writer);
  if (partial > 0) {
    const __mmask64 active = FirstLanes(partial);
    __m512i next = states;
    fields = Step(constants, columns, _mm512_loadu_si512(tokens), &next);
    PutFields<kLanesTogether>(constants, fields.states, _mm512_maskz_mov_epi8(active, fields.bits), &writer);
    states = _mm512_mask_mov_epi8(states, active, next);
  }
  _mm512_storeu_si512(encoder->states, states);
  encoder->writer = writer;
}

}  // namespace

void SplitRunAvx512(const ClassTables& tables, const uint8_t* values, size_t n, uint8_t* tokens, RawWriter* raw) {
  const size_t done = SplitSteps(tables, values, n, tokens, raw);
  if (done < n) SplitRunPlain(tables, values + done, n - done, tokens + done, raw);
}

void EncodeRunAvx512(const ClassTables& tables, const uint8_t* tokens, size_t n, LaneEncoder* encoder) {
  switch (ChooseUnitSize(tables.decode.token_bits)) {
    case UnitSize::k32Lanes:
      return EncodeSteps<32>(tables, tokens, n, encoder);
    case UnitSize::k16Lanes:
      return EncodeSteps<16>(tables, tokens, n, encoder);
    default:
      return EncodeSteps<8>(tables, tokens, n, encoder);
  }
}

}  // namespace fmtc

FMTC_END_TARGET
#endif
