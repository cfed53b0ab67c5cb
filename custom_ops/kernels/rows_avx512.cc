// Analysis and synthesis of rows with AVX-512.
#if defined(__x86_64__)
#include <immintrin.h>

#include "core/analysis.h"
#include "core/bytes.h"
#include "core/quantizer.h"
#include "core/synthesis.h"
#include "kernels/target.h"
#include "kernels/x86_kernels.h"

FMTC_BEGIN_TARGET_AVX512

#include "core/analysis_rows.h"
#include "core/synthesis_rows.h"
#include "kernels/matrix_rows.h"
#include "kernels/quantize_rows.h"
#include "kernels/transform_rows.h"
#include "kernels/words_avx2.h"

namespace fmtc {
namespace {

struct Bytes64 {
  using Type = __m512i;
  static constexpr size_t kBytes = 64;

  static FMTC_INLINE Type Load(const uint8_t* p) { return _mm512_loadu_si512(p); }
  static FMTC_INLINE void Store(uint8_t* p, Type a) { _mm512_storeu_si512(p, a); }
  static FMTC_INLINE Type Set(uint8_t byte) { return _mm512_set1_epi8(static_cast<char>(byte)); }
  static FMTC_INLINE Type Add(Type a, Type b) { return _mm512_add_epi8(a, b); }
  static FMTC_INLINE Type Min(Type a, Type b) { return _mm512_min_epu8(a, b); }
  static FMTC_INLINE Type Max(Type a, Type b) { return _mm512_max_epu8(a, b); }
  static FMTC_INLINE Type Xor(Type a, Type b) { return _mm512_xor_si512(a, b); }
  static FMTC_INLINE Type Difference(Type a, Type b) {
    return _mm512_or_si512(_mm512_subs_epu8(a, b), _mm512_subs_epu8(b, a));
  }
  static FMTC_INLINE Type SelectBelow(Type a, Type b, Type c, Type d) {
    return _mm512_mask_mov_epi8(d, _mm512_cmplt_epu8_mask(a, b), c);
  }
  static FMTC_INLINE Type NegateBelow(Type a, Type b, Type c) {
    return _mm512_mask_sub_epi8(c, _mm512_cmplt_epu8_mask(a, b), _mm512_setzero_si512(), c);
  }

  // As unpacking leaves them: of each 16 bytes the first eight in the one, the last eight in the other.
  struct Words {
    __m512i low, high;
  };
  static FMTC_INLINE Words LoadWords(const void* p) {
    const __m512i first = _mm512_loadu_si512(p);
    const __m512i second = _mm512_loadu_si512(static_cast<const uint8_t*>(p) + 64);
    return {_mm512_permutex2var_epi64(first, _mm512_setr_epi64(0, 1, 4, 5, 8, 9, 12, 13), second),
            _mm512_permutex2var_epi64(first, _mm512_setr_epi64(2, 3, 6, 7, 10, 11, 14, 15), second)};
  }
  static FMTC_INLINE Words Unpack(Type low, Type high) {
    return {_mm512_unpacklo_epi8(low, high), _mm512_unpackhi_epi8(low, high)};
  }
  static FMTC_INLINE Type Pack(Words a) { return _mm512_packus_epi16(a.low, a.high); }
  static FMTC_INLINE Type PackSigned(Words a) { return _mm512_packs_epi16(a.low, a.high); }
  static FMTC_INLINE Words AddWords(Words a, Words b) {
    return {_mm512_add_epi16(a.low, b.low), _mm512_add_epi16(a.high, b.high)};
  }
  static FMTC_INLINE Words Average(Words a, Words b) {
    return {_mm512_avg_epu16(a.low, b.low), _mm512_avg_epu16(a.high, b.high)};
  }
  static FMTC_INLINE Words MulHigh(Words a, Words b) {
    return {_mm512_mulhi_epu16(a.low, b.low), _mm512_mulhi_epu16(a.high, b.high)};
  }
  template <int kBits>
  static FMTC_INLINE Words Shift(Words a) {
    if constexpr (kBits > 0) return {_mm512_slli_epi16(a.low, kBits), _mm512_slli_epi16(a.high, kBits)};
    return {_mm512_srli_epi16(a.low, -kBits), _mm512_srli_epi16(a.high, -kBits)};
  }
};

// A vector of 16 sums is a group.
struct Sums16 {
  using Group = __m512i;
  using Pairs = __m512i;
  using Input = __m512i;
  static constexpr size_t kPixels = 8;
  static constexpr size_t kGroups = 2;

  static FMTC_INLINE Group LoadSums(const int32_t* p, int32_t more) {
    return _mm512_add_epi32(_mm512_loadu_si512(p), _mm512_set1_epi32(more));
  }
  static FMTC_INLINE Pairs LoadPairs(const int16_t* p) { return _mm512_loadu_si512(p); }
  static FMTC_INLINE Input LoadInput(const int16_t* p) {
    int32_t pair;
    memcpy(&pair, p, sizeof(pair));
    return _mm512_set1_epi32(pair);
  }
  static FMTC_INLINE void AddProducts(Pairs pairs, Input input, Group* sums) {
    *sums = _mm512_dpwssd_epi32(*sums, pairs, input);
  }
  static FMTC_INLINE __m128i Narrow(Group sums, uint32_t shift) {
    return _mm512_cvtsepi32_epi8(_mm512_sra_epi32(sums, _mm_cvtsi32_si128(static_cast<int>(shift))));
  }
};

}  // namespace

void AnalyzeRowAvx512(const Analysis& analysis, uint32_t width, const uint8_t* row, uint8_t* indices) {
  AnalyzeRowWith<Bytes64, Bytes32, Sums16>(analysis, width, row, indices);
}

void SynthesizeRowAvx512(const Synthesis& synthesis, uint32_t width, const uint8_t* indices, uint8_t* row) {
  SynthesizeRowWith<Bytes64, Bytes32, Sums16>(synthesis, width, indices, row);
}

}  // namespace fmtc

FMTC_END_TARGET
#endif
