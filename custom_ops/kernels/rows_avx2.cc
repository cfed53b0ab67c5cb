// Analysis and synthesis of rows with AVX2.
#if defined(__x86_64__)
#include <immintrin.h>

#include "core/analysis.h"
#include "core/bytes.h"
#include "core/quantizer.h"
#include "core/synthesis.h"
#include "kernels/target.h"
#include "kernels/x86_kernels.h"

FMTC_BEGIN_TARGET_AVX2

#include "core/analysis_rows.h"
#include "core/synthesis_rows.h"
#include "kernels/matrix_rows.h"
#include "kernels/quantize_rows.h"
#include "kernels/transform_rows.h"
#include "kernels/words_avx2.h"

namespace fmtc {
namespace {

// Two vectors of eight sums make a group.
struct Sums8 {
  struct Group {
    __m256i low, high;
  };
  using Pairs = Group;
  using Input = __m256i;
  static constexpr size_t kPixels = 4;
  static constexpr size_t kGroups = 1;

  static FMTC_INLINE __m256i Load(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
  static FMTC_INLINE Group LoadSums(const int32_t* p, int32_t more) {
    const __m256i added = _mm256_set1_epi32(more);
    return {_mm256_add_epi32(Load(p), added), _mm256_add_epi32(Load(p + 8), added)};
  }
  static FMTC_INLINE Pairs LoadPairs(const int16_t* p) { return {Load(p), Load(p + 16)}; }
  static FMTC_INLINE Input LoadInput(const int16_t* p) {
    int32_t pair;
    memcpy(&pair, p, sizeof(pair));
    return _mm256_set1_epi32(pair);
  }
  static FMTC_INLINE void AddProducts(const Pairs& pairs, Input input, Group* sums) {
    sums->low = _mm256_add_epi32(sums->low, _mm256_madd_epi16(pairs.low, input));
    sums->high = _mm256_add_epi32(sums->high, _mm256_madd_epi16(pairs.high, input));
  }
  static FMTC_INLINE __m128i Narrow(const Group& sums, uint32_t shift) {
    const __m128i count = _mm_cvtsi32_si128(static_cast<int>(shift));
    const __m256i words = _mm256_packs_epi32(_mm256_sra_epi32(sums.low, count), _mm256_sra_epi32(sums.high, count));
    const __m256i ordered = _mm256_permute4x64_epi64(words, 0xD8);
    return _mm_packs_epi16(_mm256_castsi256_si128(ordered), _mm256_extracti128_si256(ordered, 1));
  }
};

}  // namespace

void AnalyzeRowAvx2(const Analysis& analysis, uint32_t width, const uint8_t* row, uint8_t* indices) {
  AnalyzeRowWith<Bytes32, Bytes32, Sums8>(analysis, width, row, indices);
}

void SynthesizeRowAvx2(const Synthesis& synthesis, uint32_t width, const uint8_t* indices, uint8_t* row) {
  SynthesizeRowWith<Bytes32, Bytes32, Sums8>(synthesis, width, indices, row);
}

}  // namespace fmtc

FMTC_END_TARGET
#endif
