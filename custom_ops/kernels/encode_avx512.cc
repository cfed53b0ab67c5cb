// The encoder's runs with AVX-512: a step of 64 lanes is one vector.
#if defined(__x86_64__)
#include <immintrin.h>

#include "kernels/pack_avx512.h"
#include "kernels/target.h"
#include "kernels/x86_kernels.h"

FMTC_BEGIN_TARGET_AVX512

namespace fmtc {
namespace {

FMTC_INLINE __mmask64 FirstLanes(size_t count) {
  return _bzhi_u64(~uint64_t{0}, static_cast<uint32_t>(count < kLanes ? count : kLanes));
}

// A table of 16 bytes for look-ups by token.
FMTC_INLINE __m512i LoadColumn(const uint8_t* column) {
  return _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(column)));
}

// Tables of 16 bytes, by number of bits.
FMTC_INLINE __m512i LowBits() {
  return _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 3, 7, 15, 31, 63, 127, 0, 0, 0, 0, 0, 0, 0, 0));
}

FMTC_INLINE __m512i BitsLeft() {
  return _mm512_broadcast_i32x4(_mm_setr_epi8(127, 63, 31, 15, 7, 3, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0));
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

struct Columns {
  __m512i most_bits, threshold, state_offset, next_state;
  __m512i low_bits = LowBits();
  __m512i bits_left = BitsLeft();
  __m512i first_bits = _mm512_set1_epi64(0x3830282018100800);

  explicit FMTC_INLINE Columns(const EncodeTable& table)
      : most_bits(LoadColumn(table.most_bits)),
        threshold(LoadColumn(table.threshold)),
        state_offset(LoadColumn(table.state_offset)),
        next_state(_mm512_loadu_si512(table.next_state)) {
    __asm__("" : "+v"(low_bits), "+v"(bits_left), "+v"(first_bits));
  }
};

// A step of the active lanes.
FMTC_INLINE __m512i Step(const PackConstants& constants, const Columns& columns, __m512i tokens, __mmask64 active,
                         __m512i states, TokenWriter* writer) {
  const __m512i most_bits = _mm512_shuffle_epi8(columns.most_bits, tokens);
  const __m512i threshold = _mm512_shuffle_epi8(columns.threshold, tokens);
  const __m512i offset = _mm512_shuffle_epi8(columns.state_offset, tokens);
  // One bit less where the state is below the threshold.
  const __m512i below = _mm512_min_epu8(_mm512_subs_epu8(threshold, states), constants.ones8);
  const __m512i bits = _mm512_sub_epi8(most_bits, below);
  const __m512i written = _mm512_maskz_mov_epi8(active, bits);
  // state >> bits: the 8 bits from there on, less those of the next lane.
  const __m512i moved = _mm512_multishift_epi64_epi8(_mm512_add_epi8(columns.first_bits, bits), states);
  const __m512i shifted = _mm512_and_si512(moved, _mm512_shuffle_epi8(columns.bits_left, bits));
  const __m512i next = _mm512_permutexvar_epi8(_mm512_add_epi8(shifted, offset), columns.next_state);
  PutFields(constants, _mm512_and_si512(states, _mm512_shuffle_epi8(columns.low_bits, written)), written, writer);
  return _mm512_mask_mov_epi8(states, active, next);
}

}  // namespace

void SplitRunAvx512(const ClassTables& tables, const uint8_t* values, size_t n, uint8_t* tokens, RawWriter* raw) {
  const PackConstants constants;
  const TokenTable token_of(tables.token_of);
  const __m512i first_value = LoadColumn(tables.encode.first_value);
  const __m512i raw_mask = LoadColumn(tables.encode.raw_mask);
  RawWriter writer = *raw;
  for (size_t i = 0; i < n && !writer.overflow; i += kLanes) {
    const __mmask64 active = FirstLanes(n - i);
    const __m512i value = _mm512_loadu_si512(values + i);
    const __m512i token = token_of[value];
    _mm512_storeu_si512(tokens + i, token);
    const __m512i masks = _mm512_maskz_shuffle_epi8(active, raw_mask, token);
    if (_mm512_test_epi8_mask(masks, masks) == 0) continue;
    const __m512i fields = _mm512_and_si512(_mm512_sub_epi8(value, _mm512_shuffle_epi8(first_value, token)), masks);
    PutFields(constants, fields, _mm512_popcnt_epi8(masks), &writer);
  }
  *raw = writer;
}

bool EncodeRunAvx512(const ClassTables& tables, const uint8_t* tokens, size_t n, LaneEncoder* encoder) {
  const PackConstants constants;
  const Columns columns(tables.encode);
  TokenWriter writer = encoder->writer;
  __m512i states = _mm512_loadu_si512(encoder->states);
  const size_t partial = n % kLanes;
  for (; n >= kLanes; n -= kLanes) {
    if (writer.next < encoder->lowest) return false;
    states = Step(constants, columns, _mm512_loadu_si512(tokens + n - kLanes), ~__mmask64{0}, states, &writer);
  }
  if (partial > 0) {
    if (writer.next < encoder->lowest) return false;
    const __mmask64 active = FirstLanes(partial);
    states = Step(constants, columns, _mm512_loadu_si512(tokens), active, states, &writer);
  }
  _mm512_storeu_si512(encoder->states, states);
  encoder->writer = writer;
  return true;
}

}  // namespace fmtc

FMTC_END_TARGET
#endif
