// The decoder's run with AVX-512: a step of 64 lanes is one vector. A state tells how many bits its lane takes, so all
// positions in a stream follow from prefix sums over the step.
#if defined(__x86_64__)
#include <immintrin.h>

#include <utility>

#include "codec/kernels/x86_kernels.h"
#include "cpu/target.h"

FMTC_BEGIN_TARGET_AVX512

namespace fmtc {
namespace {

// The columns of a DecodeTable.
struct Columns {
  __m512i token_mask, base, raw_mask, first_value;

  explicit FMTC_INLINE Columns(const DecodeTable& table)
      : token_mask(_mm512_loadu_si512(table.token_mask)),
        base(_mm512_loadu_si512(table.base)),
        raw_mask(_mm512_loadu_si512(table.raw_mask)),
        first_value(_mm512_loadu_si512(table.first_value)) {}

  FMTC_INLINE bool has_raw_bits() const { return _mm512_test_epi8_mask(raw_mask, raw_mask) != 0; }
};

struct Stream {
  const uint8_t* data;
  uint64_t position;
  uint64_t limit;  // BitReader::ClampPosition
};

struct Lanes {
  __m512i states;
  Stream tokens, raw;
  uint8_t* values;
};

// Loaded into all groups by its address: that costs no vector operation.
constexpr uint64_t kBitOfByte[8] = {0, 1, 2, 3, 4, 5, 6, 7};

// Takes 8 bits for each lane, of which the lane's own field is the low 0 ... 7 bits, in the order of the lanes.
// `mask` is 2^bits - 1 of the field's length.
FMTC_INLINE __m512i TakeBytes(__m512i mask, Stream* stream) {
  const __m512i zero = _mm512_setzero_si512();
  const __m512i bits = _mm512_popcnt_epi8(mask);
  const uint64_t position = stream->position < stream->limit ? stream->position : stream->limit;
  const __m512i data = _mm512_loadu_si512(stream->data + position / 8);
  const __m512i bit = _mm512_set1_epi64(static_cast<int64_t>(kBitOfByte[position % 8]));
  // Sums of the 8 groups of 8 lanes. Group g gets those of the groups before it, and sums up where it begins; the first
  // group gets all of them, for the total.
  const __m512i first_bytes = _mm512_set1_epi64(0x3830282018100800);
  constexpr __mmask64 kBefore = 0x7F3F1F0F070301FF;
  const __m512i before = _mm512_maskz_permutexvar_epi8(kBefore, first_bytes, _mm512_sad_epu8(bits, zero));
  const __m512i sums = _mm512_sad_epu8(before, zero);
  stream->position = position + static_cast<uint64_t>(_mm_cvtsi128_si64(_mm512_castsi512_si128(sums)));
  const __m512i begin = _mm512_mask_add_epi64(bit, 0xFE, sums, bit);
  // The 8 bytes from byte begin / 8 on, shifted to begin with bit begin % 8: at least 57 bits for at most 56.
  const __m512i bytes =
      _mm512_add_epi8(_mm512_multishift_epi64_epi8(_mm512_set1_epi8(3), begin), _mm512_set1_epi64(0x0706050403020100));
  const __m512i window =
      _mm512_srlv_epi64(_mm512_permutexvar_epi8(bytes, data), _mm512_and_si512(begin, _mm512_set1_epi64(7)));
  // The multiplication sums up the bits of the lanes before each one in its group.
  const __m512i shifts = _mm512_mullo_epi64(bits, _mm512_set1_epi64(0x0101010101010100));
  return _mm512_multishift_epi64_epi8(shifts, window);
}

template <bool kHasRaw>
FMTC_INLINE __m512i TakeValues(const Columns& columns, __mmask64 active, Lanes* lanes) {
  const __m512i first = _mm512_permutexvar_epi8(lanes->states, columns.first_value);
  if (!kHasRaw) return first;
  const __m512i mask = _mm512_maskz_permutexvar_epi8(active, lanes->states, columns.raw_mask);
  return _mm512_add_epi8(first, _mm512_and_si512(mask, TakeBytes(mask, &lanes->raw)));
}

FMTC_INLINE void Advance(const Columns& columns, __mmask64 active, Lanes* lanes) {
  const __m512i mask = _mm512_maskz_permutexvar_epi8(active, lanes->states, columns.token_mask);
  const __m512i base = _mm512_permutexvar_epi8(lanes->states, columns.base);
  const __m512i bytes = TakeBytes(mask, &lanes->tokens);
  // base | mask & bytes: the base is a multiple of 2^bits.
  constexpr int kOrAnd = 0xF8;
  const __m512i next = _mm512_ternarylogic_epi64(base, mask, bytes, kOrAnd);
  lanes->states = _mm512_mask_mov_epi8(lanes->states, active, next);
}

template <bool kHasRaw>
FMTC_INLINE void WholeStep(const Columns& columns, Lanes* lanes) {
  const __m512i values = TakeValues<kHasRaw>(columns, ~__mmask64{0}, lanes);
  Advance(columns, ~__mmask64{0}, lanes);
  _mm512_storeu_si512(lanes->values, values);
  lanes->values += kLanes;
}

template <bool kHasRaw>
FMTC_INLINE void PartialStep(const Columns& columns, size_t count, Lanes* lanes) {
  const __mmask64 active = _bzhi_u64(~uint64_t{0}, static_cast<uint32_t>(count));
  const __m512i values = TakeValues<kHasRaw>(columns, active, lanes);
  Advance(columns, active, lanes);
  _mm512_mask_storeu_epi8(lanes->values, active, values);
  lanes->values += count;
}

FMTC_INLINE Lanes Load(const LaneDecoder& segment) {
  return {_mm512_loadu_si512(segment.states),
          {segment.tokens.data, segment.tokens.position, segment.tokens.end + 8},
          {segment.raw.data, segment.raw.position, segment.raw.end + 8},
          segment.values};
}

FMTC_INLINE void Store(const Lanes& lanes, LaneDecoder* segment) {
  _mm512_storeu_si512(segment->states, lanes.states);
  segment->tokens.position = lanes.tokens.position;
  segment->raw.position = lanes.raw.position;
}

// One segment after the other in each step: their operations are independent and overlap. Expanded in place by the
// index sequence, so that all lanes stay in registers.
template <bool kHasRaw, size_t... kIndex>
void DecodeTogether(const DecodeTable& table, RunShape run, LaneDecoder* const* segments,
                    std::index_sequence<kIndex...>) {
  const Columns columns(table);
  Lanes lanes[] = {Load(*segments[kIndex])...};
  if (run.PartialStep() > 0) (PartialStep<kHasRaw>(columns, run.PartialStep(), &lanes[kIndex]), ...);
  for (size_t steps = run.WholeSteps(); steps > 0; --steps) (WholeStep<kHasRaw>(columns, &lanes[kIndex]), ...);
  if (run.FreeLanes() > 0) {
    (_mm512_storeu_si512(lanes[kIndex].values, TakeValues<kHasRaw>(columns, ~__mmask64{0}, &lanes[kIndex])), ...);
  }
  (Store(lanes[kIndex], segments[kIndex]), ...);
}

template <size_t kCount>
void DecodeSome(const DecodeTable& table, RunShape run, LaneDecoder* const* segments) {
  if (Columns(table).has_raw_bits()) {
    DecodeTogether<true>(table, run, segments, std::make_index_sequence<kCount>());
  } else {
    DecodeTogether<false>(table, run, segments, std::make_index_sequence<kCount>());
  }
}

}  // namespace

void DecodeRunAvx512(const DecodeTable& table, RunShape run, LaneDecoder* const* segments, size_t count) {
  for (; count >= 4; count -= 4, segments += 4) DecodeSome<4>(table, run, segments);
  if (count == 3) DecodeSome<3>(table, run, segments);
  if (count == 2) DecodeSome<2>(table, run, segments);
  if (count == 1) DecodeSome<1>(table, run, segments);
}

}  // namespace fmtc

FMTC_END_TARGET
#endif
