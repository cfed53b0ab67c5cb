// Tables by context, and values by table, with AVX2 and BMI2: 32 values at a time, 8 of them where they are moved.
#if defined(__x86_64__)
#include <immintrin.h>

#include "base/bytes.h"
#include "codec/contexts.h"
#include "codec/kernels/x86_kernels.h"
#include "cpu/target.h"
#include "simd/lookup_avx2.h"

FMTC_BEGIN_TARGET_AVX2

namespace fmtc {
namespace {

constexpr size_t kVector = 32;
constexpr size_t kGroups = kVector / 8;
// What stands behind a row's tables: no table.
constexpr int kNoTable = 0xFF;

FMTC_INLINE __m256i SetBytes(uint32_t value) { return _mm256_set1_epi8(static_cast<char>(value)); }

FMTC_INLINE __m256i Equals(__m256i a, uint32_t value) { return _mm256_cmpeq_epi8(a, SetBytes(value)); }

FMTC_INLINE uint32_t CountOnes(__m256i mask) {
  return static_cast<uint32_t>(_mm_popcnt_u32(static_cast<uint32_t>(_mm256_movemask_epi8(mask))));
}

// kContextOfSum by its quarters of different fineness: every sum below 16, every fourth one below 64, every 16th one.
struct ContextLookup {
  __m256i by_one, by_four, by_sixteen;

  FMTC_INLINE ContextLookup() {
    uint8_t columns[3][16];
    for (size_t i = 0; i < 16; ++i) {
      columns[0][i] = kContextOfSum.context[i];
      columns[1][i] = kContextOfSum.context[4 * i];
      columns[2][i] = kContextOfSum.context[16 * i];
    }
    by_one = LoadTwice(columns[0]);
    by_four = LoadTwice(columns[1]);
    by_sixteen = LoadTwice(columns[2]);
  }

  FMTC_INLINE __m256i operator[](__m256i sums) const {
    const __m256i low = SetBytes(15);
    const __m256i fourths = _mm256_and_si256(_mm256_srli_epi16(sums, 2), low);
    const __m256i sixteenths = _mm256_and_si256(_mm256_srli_epi16(sums, 4), low);
    __m256i contexts = _mm256_shuffle_epi8(by_sixteen, sixteenths);
    const __m256i is_below_64 = Equals(_mm256_and_si256(sums, SetBytes(0xC0)), 0);
    contexts = _mm256_blendv_epi8(contexts, _mm256_shuffle_epi8(by_four, fourths), is_below_64);
    const __m256i is_below_16 = Equals(sixteenths, 0);
    return _mm256_blendv_epi8(contexts, _mm256_shuffle_epi8(by_one, _mm256_and_si256(sums, low)), is_below_16);
  }
};

void FillMagnitudes(const ContextRow& row, const uint8_t* above, uint8_t* magnitudes) {
  uint8_t* const first = magnitudes + row.components;
  for (size_t i = 0; i < row.values; i += kVector) {
    const __m256i residuals = LoadVector(above + i);
    const __m256i one_sided = Equals(_mm256_and_si256(LoadVector(row.codes + i), SetBytes(kOneSided)), kOneSided);
    StoreVector(first + i, _mm256_blendv_epi8(_mm256_abs_epi8(residuals), residuals, one_sided));
  }
  RepeatEnds(row, magnitudes);
}

FMTC_INLINE __m256i SumsOfNeighbours(const uint8_t* magnitudes, size_t components) {
  const __m256i up = LoadVector(magnitudes);
  const __m256i sides = _mm256_adds_epu8(LoadVector(magnitudes - components), LoadVector(magnitudes + components));
  return _mm256_adds_epu8(_mm256_adds_epu8(up, up), sides);
}

// Tables by class; `contexts` are those of the values.
FMTC_INLINE __m256i TablesOf(const ContextRow& row, const __m256i* maps, __m256i codes, __m256i contexts) {
  const __m256i classes = _mm256_and_si256(codes, SetBytes(kClassMask));
  __m256i tables = _mm256_setzero_si256();
  for (uint32_t j = 0; j < row.num_classes; ++j) {
    const __m256i of_class = _mm256_shuffle_epi8(maps[j], contexts);
    tables = _mm256_or_si256(tables, _mm256_and_si256(Equals(classes, j), of_class));
  }
  return tables;
}

// The bytes of 8 values that have a table, from its own residuals; `position` in bits.
FMTC_INLINE uint64_t TakeBytes(uint64_t mask, const uint8_t* sorted, uint64_t* position) {
  const uint64_t bytes = _pdep_u64(Load<uint64_t>(sorted + *position / 8), mask);
  *position += static_cast<uint64_t>(_mm_popcnt_u64(mask));
  return bytes;
}

// Those of 32 values.
FMTC_INLINE __m256i TakeVector(__m256i mask, const uint8_t* sorted, uint64_t* position) {
  uint64_t masks[kGroups];
  StoreVector(reinterpret_cast<uint8_t*>(masks), mask);
  uint64_t at = *position;
  const uint64_t a = TakeBytes(masks[0], sorted, &at);
  const uint64_t b = TakeBytes(masks[1], sorted, &at);
  const uint64_t c = TakeBytes(masks[2], sorted, &at);
  const uint64_t d = TakeBytes(masks[3], sorted, &at);
  *position = at;
  return _mm256_set_epi64x(static_cast<int64_t>(d), static_cast<int64_t>(c), static_cast<int64_t>(b),
                           static_cast<int64_t>(a));
}

// The tables that values of a row have, and where the residuals of each begin, in bits.
struct TablesInUse {
  uint32_t count = 0;
  uint8_t table[kMaxClasses];
  uint64_t position[kMaxClasses];

  explicit TablesInUse(const uint32_t* counts) {
    uint64_t begin = 0;
    for (uint8_t t = 0; t < kMaxClasses; begin += counts[t++]) {
      if (counts[t] == 0) continue;
      table[count] = t;
      position[count++] = 8 * begin;
    }
  }
};

// By how many tables are in use, so that their positions stay in registers.
template <uint32_t kCount>
void Unsort(const ContextRow& row, const uint8_t* tables, const TablesInUse& used, const uint8_t* sorted,
            uint8_t* values) {
  uint64_t position[kCount];
  __m256i table[kCount];
  for (uint32_t u = 0; u < kCount; ++u) {
    position[u] = used.position[u];
    table[u] = SetBytes(used.table[u]);
  }
  for (size_t i = 0; i < row.values; i += kVector) {
    const __m256i some = LoadVector(tables + i);
    __m256i bytes = _mm256_setzero_si256();
    for (uint32_t u = 0; u < kCount; ++u) {
      bytes = _mm256_or_si256(bytes, TakeVector(_mm256_cmpeq_epi8(some, table[u]), sorted, &position[u]));
    }
    StoreVector(values + i, bytes);
  }
}

}  // namespace

void TablesOfRowAvx2(const ContextRow& row, const uint8_t* above, uint8_t* magnitudes, uint8_t* tables,
                     uint32_t* counts) {
  if (above != nullptr) FillMagnitudes(row, above, magnitudes);
  const ContextLookup context_of;
  __m256i maps[kMaxClasses];
  for (uint32_t j = 0; j < row.num_classes; ++j) maps[j] = LoadTwice(row.map + j * kContextStride);
  const uint8_t* const first = magnitudes + row.components;
  for (size_t i = 0; i < row.values; i += kVector) {
    const __m256i contexts =
        above == nullptr ? SetBytes(kNoRowAbove) : context_of[SumsOfNeighbours(first + i, row.components)];
    StoreVector(tables + i, TablesOf(row, maps, LoadVector(row.codes + i), contexts));
  }
  memset(tables + row.values, kNoTable, kVector);
  for (uint32_t t = 0; t < kMaxClasses; ++t) counts[t] = 0;
  for (size_t i = 0; i < row.values; i += kVector) {
    const __m256i some = LoadVector(tables + i);
    for (uint32_t t = 0; t < row.num_tables; ++t) counts[t] += CountOnes(Equals(some, t));
  }
}

void SortRowAvx2(const ContextRow& row, const uint8_t* tables, const uint32_t* counts, const uint8_t* values,
                 uint8_t* sorted) {
  for (uint32_t t = 0; t < row.num_tables; ++t) {
    if (counts[t] == 0) continue;
    for (size_t i = 0; i < row.values; i += kVector) {
      uint64_t masks[kGroups];
      StoreVector(reinterpret_cast<uint8_t*>(masks), Equals(LoadVector(tables + i), t));
      for (size_t g = 0; g < kGroups; ++g) {
        Store(sorted, _pext_u64(Load<uint64_t>(values + i + 8 * g), masks[g]));
        sorted += _mm_popcnt_u64(masks[g]) / 8;
      }
    }
  }
}

void UnsortRowAvx2(const ContextRow& row, const uint8_t* tables, const uint32_t* counts, const uint8_t* sorted,
                   uint8_t* values) {
  using UnsortSome = decltype(&Unsort<1>);
  static constexpr UnsortSome kByCount[kMaxClasses] = {Unsort<1>, Unsort<2>, Unsort<3>, Unsort<4>,
                                                       Unsort<5>, Unsort<6>, Unsort<7>, Unsort<8>};
  const TablesInUse used(counts);
  kByCount[used.count - 1](row, tables, used, sorted, values);
}

}  // namespace fmtc

FMTC_END_TARGET
#endif
