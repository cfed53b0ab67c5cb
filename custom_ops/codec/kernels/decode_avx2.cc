// The decoder's run with AVX2 and BMI2: a step of 64 lanes is two vectors; bits are dealt to 8 lanes at a time by pdep.
#if defined(__x86_64__)
#include <immintrin.h>

#include "base/bytes.h"
#include "codec/kernels/x86_kernels.h"
#include "cpu/target.h"
#include "simd/lookup_avx2.h"

FMTC_BEGIN_TARGET_AVX2

namespace fmtc {
namespace {

constexpr size_t kHalf = kLanes / 2;

struct Columns {
  Lookup64 token_mask, base, raw_mask, first_value;

  explicit FMTC_INLINE Columns(const DecodeTable& table)
      : token_mask(table.token_mask), base(table.base), raw_mask(table.raw_mask), first_value(table.first_value) {}
};

struct Lanes {
  __m256i states[2];
  BitReader tokens, raw;
  uint8_t* values;
};

// The fields of 8 lanes; `mask` has 2^bits - 1 in each byte.
FMTC_INLINE uint64_t TakeGroup(uint64_t mask, const uint8_t* data, uint64_t* position) {
  const uint64_t window = Load<uint64_t>(data + *position / 8) >> (*position % 8);
  *position += static_cast<uint64_t>(_mm_popcnt_u64(mask));
  return _pdep_u64(window, mask);
}

// Takes a field of 0 ... 7 bits for each of 32 lanes, in their order.
FMTC_INLINE __m256i TakeFields(__m256i mask, BitReader* reader) {
  // Through memory, which takes fewer operations than extraction.
  uint64_t masks[4];
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(masks), mask);
  uint64_t position = reader->position;
  const uint64_t a = TakeGroup(masks[0], reader->data, &position);
  const uint64_t b = TakeGroup(masks[1], reader->data, &position);
  const uint64_t c = TakeGroup(masks[2], reader->data, &position);
  const uint64_t d = TakeGroup(masks[3], reader->data, &position);
  reader->position = position;
  return _mm256_set_epi64x(static_cast<int64_t>(d), static_cast<int64_t>(c), static_cast<int64_t>(b),
                           static_cast<int64_t>(a));
}

// A whole step, or with kPartial its active lanes; the values of others do not matter.
template <bool kHasRaw, bool kAdvance, bool kPartial>
FMTC_INLINE void Step(const Columns& columns, const __m256i* active, uint8_t* values, Lanes* lanes) {
  lanes->tokens.ClampPosition();
  lanes->raw.ClampPosition();
  for (size_t half = 0; half < 2; ++half) {
    const __m256i states = lanes->states[half];
    const Index64 index(states);
    __m256i value = columns.first_value[index];
    if (kHasRaw) {
      __m256i mask = columns.raw_mask[index];
      if (kPartial) mask = _mm256_and_si256(mask, active[half]);
      value = _mm256_add_epi8(value, TakeFields(mask, &lanes->raw));
    }
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(values + kHalf * half), value);
    if (!kAdvance) continue;
    __m256i mask = columns.token_mask[index];
    if (kPartial) mask = _mm256_and_si256(mask, active[half]);
    const __m256i next = _mm256_add_epi8(columns.base[index], TakeFields(mask, &lanes->tokens));
    lanes->states[half] = kPartial ? _mm256_blendv_epi8(states, next, active[half]) : next;
  }
}

template <bool kHasRaw>
FMTC_INLINE void PartialStep(const Columns& columns, size_t count, Lanes* lanes) {
  const __m256i active[] = {FirstBytes(count), count > kHalf ? FirstBytes(count - kHalf) : _mm256_setzero_si256()};
  uint8_t values[kLanes];
  Step<kHasRaw, true, true>(columns, active, values, lanes);
  memcpy(lanes->values, values, count);
  lanes->values += count;
}

template <bool kHasRaw, bool kAdvance>
FMTC_INLINE void WholeStep(const Columns& columns, Lanes* lanes) {
  Step<kHasRaw, kAdvance, false>(columns, nullptr, lanes->values, lanes);
  lanes->values += kLanes;
}

FMTC_INLINE Lanes LoadLanes(const LaneDecoder& segment) {
  return {
      {LoadVector(segment.states), LoadVector(segment.states + kHalf)}, segment.tokens, segment.raw, segment.values};
}

FMTC_INLINE void StoreLanes(const Lanes& lanes, LaneDecoder* segment) {
  StoreVector(segment->states, lanes.states[0]);
  StoreVector(segment->states + kHalf, lanes.states[1]);
  segment->tokens.position = lanes.tokens.position;
  segment->raw.position = lanes.raw.position;
}

bool HasRawBits(const DecodeTable& table) {
  const __m256i bits = _mm256_or_si256(LoadVector(table.raw_bits), LoadVector(table.raw_bits + kHalf));
  return _mm256_testz_si256(bits, bits) == 0;
}

template <bool kHasRaw>
void DecodeRun(const DecodeTable& table, RunShape run, LaneDecoder* segment) {
  const Columns columns(table);
  Lanes lanes = LoadLanes(*segment);
  if (run.PartialStep() > 0) PartialStep<kHasRaw>(columns, run.PartialStep(), &lanes);
  for (size_t steps = run.WholeSteps(); steps > 0; --steps) WholeStep<kHasRaw, true>(columns, &lanes);
  if (run.FreeLanes() > 0) WholeStep<kHasRaw, false>(columns, &lanes);
  StoreLanes(lanes, segment);
}

}  // namespace

// One segment at a time: a step has so many operations that two would hardly overlap.
void DecodeRunAvx2(const DecodeTable& table, RunShape run, LaneDecoder* const* segments, size_t count) {
  const bool has_raw_bits = HasRawBits(table);
  for (size_t i = 0; i < count; ++i) {
    if (has_raw_bits) {
      DecodeRun<true>(table, run, segments[i]);
    } else {
      DecodeRun<false>(table, run, segments[i]);
    }
  }
}

}  // namespace fmtc

FMTC_END_TARGET
#endif
