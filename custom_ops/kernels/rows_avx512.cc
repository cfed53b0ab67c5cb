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
#include "kernels/words_avx512.h"

namespace fmtc {
namespace {

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
