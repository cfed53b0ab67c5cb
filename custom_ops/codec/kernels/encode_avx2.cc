// The encoder's runs with AVX2 and BMI2: a step of 64 lanes is two vectors.
#if defined(__x86_64__)
#include <immintrin.h>

#include "codec/kernels/pack_bits.h"
#include "codec/kernels/unit_size.h"
#include "codec/kernels/x86_kernels.h"
#include "codec/plain_kernels.h"
#include "cpu/target.h"
#include "simd/lookup_avx2.h"

FMTC_BEGIN_TARGET_AVX2

namespace fmtc {
namespace {

constexpr size_t kHalf = kLanes / 2;
constexpr size_t kGroups = kHalf / 8;
// Raw bits of half a step: 7 for each lane and 7 from before fill 28 bytes and 7 bits, and a flush stores 8 bytes.
constexpr size_t kRoomForHalf = 7 * kGroups + 8;

FMTC_INLINE void StoreGroups(uint64_t* groups, __m256i value) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(groups), value);
}

// Tables of 16 bytes, by number of bits.
FMTC_INLINE __m256i LowBits() {
  return _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 3, 7, 15, 31, 63, 127, 0, 0, 0, 0, 0, 0, 0, 0));
}

FMTC_INLINE __m256i PowersDown() {
  return _mm256_broadcastsi128_si256(_mm_setr_epi8(-128, 64, 32, 16, 8, 4, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0));
}

// Tokens by binary search for the last one that begins at or before a value, in the order that starts at the class's
// offset. Values less 128, since comparisons are signed.
class Tokenizer {
 public:
  explicit FMTC_INLINE Tokenizer(const ClassTables& tables) : offset_(tables.encode.first_value[0]) {
    uint8_t last_before[2 * kMaxTokens];  // the value before a token's first one
    for (size_t t = 0; t < 2 * kMaxTokens; ++t) {
      const int first = t < tables.num_tokens ? static_cast<uint8_t>(tables.encode.first_value[t] - offset_) : 256;
      last_before[t] = static_cast<uint8_t>(first - 129);
    }
    middle_ = _mm256_set1_epi8(static_cast<char>(last_before[8]));
    after4_ = LoadTwice(last_before + 4);
    after2_ = LoadTwice(last_before + 2);
    after1_ = LoadTwice(last_before + 1);
  }

  FMTC_INLINE __m256i operator()(__m256i values) const {
    const __m256i from_offset = _mm256_sub_epi8(values, _mm256_set1_epi8(static_cast<char>(offset_ + 128)));
    const __m256i tokens = _mm256_and_si256(_mm256_cmpgt_epi8(from_offset, middle_), _mm256_set1_epi8(8));
    return Refine<1>(after1_, from_offset, Refine<2>(after2_, from_offset, Refine<4>(after4_, from_offset, tokens)));
  }

 private:
  // Adds kTokens where a value is from that token on.
  template <int kTokens>
  static FMTC_INLINE __m256i Refine(__m256i last_before, __m256i from_offset, __m256i tokens) {
    const __m256i is_later = _mm256_cmpgt_epi8(from_offset, _mm256_shuffle_epi8(last_before, tokens));
    return _mm256_or_si256(tokens, _mm256_and_si256(is_later, _mm256_set1_epi8(kTokens)));
  }

  uint8_t offset_;
  __m256i middle_, after4_, after2_, after1_;  // by token so far: where the one so many later begins
};

// The raw bits of 32 values.
template <int kLanesTogether>
FMTC_INLINE void PutRawBits(__m256i values, __m256i masks, RawWriter* writer) {
  uint64_t value_groups[kGroups];
  uint64_t mask_groups[kGroups];
  StoreGroups(value_groups, values);
  StoreGroups(mask_groups, masks);
  PutFour<kLanesTogether>(value_groups, mask_groups, writer);
}

struct Columns {
  __m256i most_bits, threshold, state_offset;
  Lookup64 next_state;

  explicit FMTC_INLINE Columns(const EncodeTable& table)
      : most_bits(LoadTwice(table.most_bits)),
        threshold(LoadTwice(table.threshold)),
        state_offset(LoadTwice(table.state_offset)),
        next_state(table.next_state) {}
};

// Bytes of states shifted right: a product with 128 >> bits, and the upper bits of that.
FMTC_INLINE __m256i ShiftRight(__m256i states, __m256i bits) {
  const __m256i power = _mm256_shuffle_epi8(PowersDown(), bits);
  const __m256i low_byte = _mm256_set1_epi16(0xFF);
  const __m256i even = _mm256_mullo_epi16(_mm256_and_si256(states, low_byte), _mm256_and_si256(power, low_byte));
  const __m256i odd = _mm256_mullo_epi16(_mm256_srli_epi16(states, 8), _mm256_srli_epi16(power, 8));
  return _mm256_or_si256(_mm256_srli_epi16(even, 7), _mm256_slli_epi16(_mm256_srli_epi16(odd, 7), 8));
}

// Half a step of the active lanes. The bits that it writes are left in `values` where `masks` has ones.
FMTC_INLINE __m256i HalfStep(const Columns& columns, __m256i tokens, __m256i active, __m256i states, uint64_t* values,
                             uint64_t* masks) {
  const __m256i threshold = _mm256_shuffle_epi8(columns.threshold, tokens);
  // Both are below 128, so that signed comparison does.
  const __m256i below = _mm256_cmpgt_epi8(threshold, states);
  const __m256i bits = _mm256_add_epi8(_mm256_shuffle_epi8(columns.most_bits, tokens), below);
  StoreGroups(values, states);
  StoreGroups(masks, _mm256_and_si256(_mm256_shuffle_epi8(LowBits(), bits), active));
  const __m256i slot = _mm256_add_epi8(ShiftRight(states, bits), _mm256_shuffle_epi8(columns.state_offset, tokens));
  return _mm256_blendv_epi8(states, columns.next_state[Index64(slot)], active);
}

struct States {
  __m256i half[2];
};

template <int kLanesTogether>
FMTC_INLINE void Step(const Columns& columns, const uint8_t* tokens, size_t lanes, States* states,
                      TokenWriter* writer) {
  uint64_t values[2 * kGroups];
  uint64_t masks[2 * kGroups];
  const __m256i low = FirstBytes(lanes);
  const __m256i high = lanes > kHalf ? FirstBytes(lanes - kHalf) : _mm256_setzero_si256();
  states->half[0] = HalfStep(columns, LoadVector(tokens), low, states->half[0], values, masks);
  states->half[1] =
      HalfStep(columns, LoadVector(tokens + kHalf), high, states->half[1], values + kGroups, masks + kGroups);
  PutGroups<kLanesTogether>(values, masks, 2 * kGroups, writer);
}

// As long as there is room for the raw bits of half a step; returns how many values that were.
template <int kLanesTogether>
size_t SplitHalves(const ClassTables& tables, const uint8_t* values, size_t n, uint8_t* tokens, RawWriter* raw) {
  const Tokenizer tokenize(tables);
  const __m256i first_value = LoadTwice(tables.encode.first_value);
  const __m256i raw_mask = LoadTwice(tables.encode.raw_mask);
  // Field by field: a wider load would have to wait until the stores of the run before are done.
  RawWriter writer{raw->next, raw->end, raw->buffer, raw->count, raw->overflow};
  size_t i = 0;
  for (; i < n && writer.Room() >= kRoomForHalf; i += kHalf) {
    const __m256i value = LoadVector(values + i);
    const __m256i token = tokenize(value);
    StoreVector(tokens + i, token);
    const __m256i masks = _mm256_and_si256(_mm256_shuffle_epi8(raw_mask, token), FirstBytes(n - i));
    PutRawBits<kLanesTogether>(_mm256_sub_epi8(value, _mm256_shuffle_epi8(first_value, token)), masks, &writer);
  }
  *raw = writer;
  return i;
}

size_t SplitAll(const ClassTables& tables, const uint8_t* values, size_t n, uint8_t* tokens) {
  const Tokenizer tokenize(tables);
  for (size_t i = 0; i < n; i += kHalf) StoreVector(tokens + i, tokenize(LoadVector(values + i)));
  return n;
}

bool HasRawBits(const EncodeTable& table) {
  const __m256i masks = LoadTwice(table.raw_mask);
  return _mm256_testz_si256(masks, masks) == 0;
}

size_t Split(const ClassTables& tables, const uint8_t* values, size_t n, uint8_t* tokens, RawWriter* raw) {
  if (!HasRawBits(tables.encode)) return SplitAll(tables, values, n, tokens);
  switch (ChooseUnitSize(tables.decode.raw_bits)) {
    case UnitSize::k32Lanes:
      return SplitHalves<32>(tables, values, n, tokens, raw);
    case UnitSize::k16Lanes:
      return SplitHalves<16>(tables, values, n, tokens, raw);
    default:
      return SplitHalves<8>(tables, values, n, tokens, raw);
  }
}

template <int kLanesTogether>
void EncodeSteps(const ClassTables& tables, const uint8_t* tokens, size_t n, LaneEncoder* encoder) {
  const Columns columns(tables.encode);
  TokenWriter writer = encoder->writer;
  States states = {{LoadVector(encoder->states), LoadVector(encoder->states + kHalf)}};
  const size_t partial = n % kLanes;
  for (; n >= kLanes; n -= kLanes) {
    Step<kLanesTogether>(columns, tokens + n - kLanes, kLanes, &states, &writer);
  }
  if (partial > 0) Step<kLanesTogether>(columns, tokens, partial, &states, &writer);
  StoreVector(encoder->states, states.half[0]);
  StoreVector(encoder->states + kHalf, states.half[1]);
  encoder->writer = writer;
}

}  // namespace

void SplitRunAvx2(const ClassTables& tables, const uint8_t* values, size_t n, uint8_t* tokens, RawWriter* raw) {
  const size_t done = Split(tables, values, n, tokens, raw);
  if (done < n) SplitRunPlain(tables, values + done, n - done, tokens + done, raw);
}

void EncodeRunAvx2(const ClassTables& tables, const uint8_t* tokens, size_t n, LaneEncoder* encoder) {
  if (ChooseUnitSize(tables.decode.token_bits) == UnitSize::k8Lanes) {
    EncodeSteps<8>(tables, tokens, n, encoder);
  } else {
    EncodeSteps<16>(tables, tokens, n, encoder);
  }
}

}  // namespace fmtc

FMTC_END_TARGET
#endif
