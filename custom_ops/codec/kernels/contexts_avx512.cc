// Tables by context, and values by table, with AVX-512: 64 values at a time.
#if defined(__x86_64__)
#include <immintrin.h>

#include <cstring>

#include "codec/contexts.h"
#include "codec/kernels/x86_kernels.h"
#include "cpu/target.h"

FMTC_BEGIN_TARGET_AVX512

namespace fmtc {
namespace {

constexpr size_t kVector = 64;
// What stands behind a row's tables: no table.
constexpr int kNoTable = 0xFF;

FMTC_INLINE __m512i Bytes(uint32_t value) { return _mm512_set1_epi8(static_cast<char>(value)); }

FMTC_INLINE __m512i LoadBytes(const uint8_t* p) { return _mm512_loadu_si512(p); }

FMTC_INLINE uint32_t CountOnes(__mmask64 mask) { return static_cast<uint32_t>(_mm_popcnt_u64(mask)); }

// A table of 128 bytes; an index's highest bit does not count.
struct HalfTable {
  __m512i first, second;

  FMTC_INLINE explicit HalfTable(const uint8_t* bytes) : first(LoadBytes(bytes)), second(LoadBytes(bytes + kVector)) {}

  FMTC_INLINE __m512i operator[](__m512i indices) const { return _mm512_permutex2var_epi8(first, indices, second); }
};

void FillMagnitudes(const ContextRow& row, const uint8_t* above, uint8_t* magnitudes) {
  uint8_t* const first = magnitudes + row.components;
  for (size_t i = 0; i < row.values; i += kVector) {
    const __m512i residuals = LoadBytes(above + i);
    const __mmask64 is_two_sided = _mm512_testn_epi8_mask(LoadBytes(row.codes + i), Bytes(kOneSided));
    _mm512_storeu_si512(first + i, _mm512_mask_abs_epi8(residuals, is_two_sided, residuals));
  }
  RepeatEnds(row, magnitudes);
}

FMTC_INLINE __m512i SumsOfNeighbours(const uint8_t* magnitudes, size_t components) {
  const __m512i up = LoadBytes(magnitudes);
  const __m512i sides = _mm512_adds_epu8(LoadBytes(magnitudes - components), LoadBytes(magnitudes + components));
  return _mm512_adds_epu8(_mm512_adds_epu8(up, up), sides);
}

// By how many tables there may be, so that their positions and counts stay in registers.
template <uint32_t kTables>
void Count(const ContextRow& row, const uint8_t* tables, uint32_t* counts) {
  uint32_t count[kTables] = {};
  for (size_t i = 0; i < row.values; i += kVector) {
    const __m512i some = LoadBytes(tables + i);
    FMTC_UNROLL
    for (uint32_t t = 0; t < kTables; ++t) count[t] += CountOnes(_mm512_cmpeq_epi8_mask(some, Bytes(t)));
  }
  for (uint32_t t = 0; t < kTables; ++t) counts[t] = count[t];
}

template <uint32_t kTables>
void Unsort(const ContextRow& row, const uint8_t* tables, const uint32_t* counts, const uint8_t* sorted,
            uint8_t* values) {
  const uint8_t* next[kTables];
  for (uint32_t t = 0; t < kTables; sorted += counts[t++]) next[t] = sorted;
  for (size_t i = 0; i < row.values; i += kVector) {
    const __m512i some = LoadBytes(tables + i);
    __m512i bytes = _mm512_setzero_si512();
    FMTC_UNROLL
    for (uint32_t t = 0; t < kTables; ++t) {
      const __mmask64 mask = _mm512_cmpeq_epi8_mask(some, Bytes(t));
      bytes = _mm512_mask_expand_epi8(bytes, mask, LoadBytes(next[t]));
      next[t] += CountOnes(mask);
    }
    _mm512_storeu_si512(values + i, bytes);
  }
}

}  // namespace

void TablesOfRowAvx512(const ContextRow& row, const uint8_t* above, uint8_t* magnitudes, uint8_t* tables,
                       uint32_t* counts) {
  if (above != nullptr) FillMagnitudes(row, above, magnitudes);
  const HalfTable small_sums(kContextOfSum.context), large_sums(kContextOfSum.context + 2 * kVector);
  static_assert(kMaxClasses * kContextStride == 2 * kVector, "one look-up for class and context");
  const HalfTable map(row.map);
  const uint8_t* const first = magnitudes + row.components;
  for (size_t i = 0; i < row.values; i += kVector) {
    __m512i contexts = Bytes(kNoRowAbove);
    if (above != nullptr) {
      const __m512i sums = SumsOfNeighbours(first + i, row.components);
      contexts = _mm512_mask_mov_epi8(small_sums[sums], _mm512_movepi8_mask(sums), large_sums[sums]);
    }
    const __m512i classes = _mm512_and_si512(LoadBytes(row.codes + i), Bytes(kClassMask));
    static_assert(kContextStride == 16, "a class is the high half of an index");
    _mm512_storeu_si512(tables + i, map[_mm512_or_si512(_mm512_slli_epi16(classes, 4), contexts)]);
  }
  memset(tables + row.values, kNoTable, kVector);
  using CountSome = decltype(&Count<1>);
  static constexpr CountSome kByTables[kMaxClasses] = {Count<1>, Count<2>, Count<3>, Count<4>,
                                                       Count<5>, Count<6>, Count<7>, Count<8>};
  for (uint32_t t = row.num_tables; t < kMaxClasses; ++t) counts[t] = 0;
  kByTables[row.num_tables - 1](row, tables, counts);
}

void SortRowAvx512(const ContextRow& row, const uint8_t* tables, const uint32_t* counts, const uint8_t* values,
                   uint8_t* sorted) {
  for (uint32_t t = 0; t < row.num_tables; ++t) {
    if (counts[t] == 0) continue;
    for (size_t i = 0; i < row.values; i += kVector) {
      const __mmask64 mask = _mm512_cmpeq_epi8_mask(LoadBytes(tables + i), Bytes(t));
      // To a register first: compressing to memory takes many times as long on some processors.
      _mm512_storeu_si512(sorted, _mm512_maskz_compress_epi8(mask, LoadBytes(values + i)));
      sorted += CountOnes(mask);
    }
  }
}

void UnsortRowAvx512(const ContextRow& row, const uint8_t* tables, const uint32_t* counts, const uint8_t* sorted,
                     uint8_t* values) {
  using UnsortSome = decltype(&Unsort<1>);
  static constexpr UnsortSome kByTables[kMaxClasses] = {Unsort<1>, Unsort<2>, Unsort<3>, Unsort<4>,
                                                        Unsort<5>, Unsort<6>, Unsort<7>, Unsort<8>};
  kByTables[row.num_tables - 1](row, tables, counts, sorted, values);
}

}  // namespace fmtc

FMTC_END_TARGET
#endif
