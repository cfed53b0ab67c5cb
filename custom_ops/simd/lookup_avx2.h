// Vectors of 32 bytes: loads, stores, and look-ups in tables of 64 bytes.
#ifndef FMTC_SIMD_LOOKUP_AVX2_H_
#define FMTC_SIMD_LOOKUP_AVX2_H_

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "cpu/target.h"

FMTC_BEGIN_TARGET_AVX2

namespace fmtc {
namespace {

FMTC_INLINE __m256i LoadVector(const uint8_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }

FMTC_INLINE void StoreVector(uint8_t* p, __m256i value) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), value); }

// 16 bytes, twice.
FMTC_INLINE __m256i LoadTwice(const uint8_t* p) {
  return _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}

// All ones in the first `count` bytes, 32 at most.
FMTC_INLINE __m256i FirstBytes(size_t count) {
  const __m256i iota = _mm256_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
                                        22, 23, 24, 25, 26, 27, 28, 29, 30, 31);
  return _mm256_cmpgt_epi8(_mm256_set1_epi8(static_cast<char>(count < 32 ? count : 32)), iota);
}

// Indices 0 ... 63, less 16 times 0 ... 3. A byte shuffle uses the low four bits, and gives 0 for what is negative.
struct Index64 {
  __m256i part[4];

  explicit FMTC_INLINE Index64(__m256i index)
      : part{index, _mm256_sub_epi8(index, _mm256_set1_epi8(16)), _mm256_sub_epi8(index, _mm256_set1_epi8(32)),
             _mm256_sub_epi8(index, _mm256_set1_epi8(48))} {}
};

// A table of 64 bytes as differences (XOR) of its quarters, so that the look-ups that apply add up.
struct Lookup64 {
  __m256i part[4];

  explicit FMTC_INLINE Lookup64(const uint8_t* table)
      : part{LoadTwice(table), _mm256_xor_si256(LoadTwice(table), LoadTwice(table + 16)),
             _mm256_xor_si256(LoadTwice(table + 16), LoadTwice(table + 32)),
             _mm256_xor_si256(LoadTwice(table + 32), LoadTwice(table + 48))} {}

  FMTC_INLINE __m256i operator[](const Index64& index) const {
    const __m256i low =
        _mm256_xor_si256(_mm256_shuffle_epi8(part[0], index.part[0]), _mm256_shuffle_epi8(part[1], index.part[1]));
    const __m256i high =
        _mm256_xor_si256(_mm256_shuffle_epi8(part[2], index.part[2]), _mm256_shuffle_epi8(part[3], index.part[3]));
    return _mm256_xor_si256(low, high);
  }
};

}  // namespace
}  // namespace fmtc

FMTC_END_TARGET

#endif  // FMTC_SIMD_LOOKUP_AVX2_H_
