#include "bench/peak.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace fmtc::bench {
namespace {

constexpr int kChains = 12;  // more than a sum's latency times the products a cycle

#if defined(__x86_64__)

__attribute__((target("avx2"))) uint64_t MultiplyAvx2(int64_t turns) {
  __m256i x = _mm256_set1_epi16(3);
  __m256i sums[kChains] = {};
  for (int64_t i = 0; i < turns; ++i) {
    for (__m256i& sum : sums) {
      sum = _mm256_add_epi32(sum, _mm256_madd_epi16(x, x));
      __asm__ volatile("" : "+x"(sum));
    }
  }
  return static_cast<uint64_t>(turns) * kChains * 16;
}

#define FMTC_MULTIPLY_256(name, features, dot_products)                                             \
  __attribute__((target(features))) uint64_t name(int64_t turns) {                                  \
    __m256i x = _mm256_set1_epi8(3);                                                                \
    __m256i sums[kChains] = {};                                                                     \
    for (int64_t i = 0; i < turns; ++i) {                                                           \
      for (__m256i & sum : sums) __asm__ volatile(dot_products " %1, %1, %0" : "+x"(sum) : "x"(x)); \
    }                                                                                               \
    return static_cast<uint64_t>(turns) * kChains * 32;                                             \
  }
FMTC_MULTIPLY_256(MultiplyAvxVnni, "avx2", "%{vex%} vpdpbusd")
FMTC_MULTIPLY_256(MultiplyAvx512VlVnni, "avx2,avx512f,avx512vl,avx512vnni", "vpdpbusd")
#undef FMTC_MULTIPLY_256

__attribute__((target("avx512f,avx512vnni"))) uint64_t MultiplyAvx512(int64_t turns) {
  __m512i x = _mm512_set1_epi8(3);
  __m512i sums[kChains] = {};
  for (int64_t i = 0; i < turns; ++i) {
    for (__m512i& sum : sums) {
      sum = _mm512_dpbusd_epi32(sum, x, x);
      __asm__ volatile("" : "+v"(sum));
    }
  }
  return static_cast<uint64_t>(turns) * kChains * 64;
}

#endif

uint64_t MultiplyPlain(int64_t turns) {
  int32_t sums[kChains] = {};
  for (int64_t i = 0; i < turns; ++i) {
    for (int32_t& sum : sums) {
      sum += 3 * static_cast<int32_t>(i);
      __asm__ volatile("" : "+r"(sum));
    }
  }
  return static_cast<uint64_t>(turns) * kChains;
}

}  // namespace

uint64_t MultiplyInRegisters(CpuLevel level, int64_t turns) {
#if defined(__x86_64__)
  if (level == CpuLevel::kAvx2) return MultiplyAvx2(turns);
  if (level == CpuLevel::kAvxVnni) return HasAvxVnni() ? MultiplyAvxVnni(turns) : MultiplyAvx512VlVnni(turns);
  if (level == CpuLevel::kAvx512) return MultiplyAvx512(turns);
#endif
  (void)level;
  return MultiplyPlain(turns);
}

}  // namespace fmtc::bench
