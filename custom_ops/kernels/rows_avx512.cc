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

namespace fmtc {
namespace {

struct Words32 {
  using Type = __m512i;
  static constexpr size_t kLanes = 32;

  using Bytes = __m256i;

  static FMTC_INLINE Bytes LoadBytes(const uint8_t* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  static FMTC_INLINE void StoreBytes(uint8_t* p, Bytes a) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), a); }
  static FMTC_INLINE Bytes SetBytes(int8_t value) { return _mm256_set1_epi8(value); }
  static FMTC_INLINE Bytes SubBytes(Bytes a, Bytes b) { return _mm256_sub_epi8(a, b); }
  static FMTC_INLINE Bytes XorBytes(Bytes a, Bytes b) { return _mm256_xor_si256(a, b); }
  static FMTC_INLINE Bytes MinBytes(Bytes a, Bytes b) { return _mm256_min_epi8(a, b); }
  static FMTC_INLINE Bytes MaxBytes(Bytes a, Bytes b) { return _mm256_max_epi8(a, b); }
  static FMTC_INLINE Type Widen(Bytes a) { return _mm512_cvtepu8_epi16(a); }
  static FMTC_INLINE Bytes Low(Type a) { return _mm512_cvtepi16_epi8(a); }
  static FMTC_INLINE Bytes Saturate(Type a) { return _mm512_cvtsepi16_epi8(a); }
  static FMTC_INLINE Type Load16(const void* p) { return _mm512_loadu_si512(p); }
  static FMTC_INLINE Type LoadSigned(const uint8_t* p) { return _mm512_cvtepi8_epi16(LoadBytes(p)); }
  static FMTC_INLINE Type Set(int16_t value) { return _mm512_set1_epi16(value); }
  static FMTC_INLINE Type Add(Type a, Type b) { return _mm512_add_epi16(a, b); }
  static FMTC_INLINE Type Sub(Type a, Type b) { return _mm512_sub_epi16(a, b); }
  static FMTC_INLINE Type Min(Type a, Type b) { return _mm512_min_epi16(a, b); }
  static FMTC_INLINE Type MulLow(Type a, Type b) { return _mm512_mullo_epi16(a, b); }
  static FMTC_INLINE Type MulHigh(Type a, Type b) { return _mm512_mulhi_epu16(a, b); }
  static FMTC_INLINE Type Abs(Type a) { return _mm512_abs_epi16(a); }
  static FMTC_INLINE Type Xor(Type a, Type b) { return _mm512_xor_si512(a, b); }
  static FMTC_INLINE Type ShiftLeft4(Type a) { return _mm512_slli_epi16(a, 4); }
  static FMTC_INLINE Type ShiftRight4(Type a) { return _mm512_srai_epi16(a, 4); }
  static FMTC_INLINE Type Signs(Type a) { return _mm512_srai_epi16(a, 15); }
  static FMTC_INLINE Type Negate(Type a, Type sign) {
    return _mm512_mask_sub_epi16(a, _mm512_movepi16_mask(sign), _mm512_setzero_si512(), a);
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
  if (!analysis.codec->side_info.has_analysis && analysis.codec->side_info.components < Words32::kLanes) {
    return AnalyzeRowAvx2(analysis, width, row, indices);
  }
  AnalyzeRowWith<Words32, Sums16>(analysis, width, row, indices);
}

void SynthesizeRowAvx512(const Synthesis& synthesis, uint32_t width, const uint8_t* indices, uint8_t* row) {
  if (!synthesis.codec->side_info.has_synthesis && synthesis.codec->side_info.components < Words32::kLanes) {
    return SynthesizeRowAvx2(synthesis, width, indices, row);
  }
  SynthesizeRowWith<Words32, Sums16>(synthesis, width, indices, row);
}

}  // namespace fmtc

FMTC_END_TARGET
#endif
