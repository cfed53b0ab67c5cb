// CRC-32C by carry-less products of vectors: a piece of the data is congruent to its product with a power of x, which
// is where the next piece is, so that pieces add up (Gopal et al., "Fast CRC Computation for Generic Polynomials Using
// PCLMULQDQ Instruction", Intel 2009).
#if defined(__x86_64__)
#include <immintrin.h>

#include "codec/kernels/crc32c_powers.h"
#include "codec/kernels/x86_kernels.h"
#include "cpu/target.h"

FMTC_BEGIN_TARGET_AVX512

namespace fmtc {
namespace {

constexpr size_t kVectors = 4;
constexpr size_t kVectorBytes = 64;

// For each 128 bits of a vector what is kBytes on: its first 8 bytes are x^64 higher. The product of two bit-reflected
// values is x times what it seems.
template <size_t kBytes>
FMTC_INLINE __m512i Forward(__m512i v) {
  constexpr int64_t kFirst = static_cast<int64_t>(uint64_t{PowerOfX(8 * kBytes + 63)} << 32);
  constexpr int64_t kSecond = static_cast<int64_t>(uint64_t{PowerOfX(8 * kBytes - 1)} << 32);
  const __m512i factors = _mm512_set4_epi64(kSecond, kFirst, kSecond, kFirst);
  return _mm512_xor_si512(_mm512_clmulepi64_epi128(v, factors, 0x00), _mm512_clmulepi64_epi128(v, factors, 0x11));
}

}  // namespace

uint32_t ExtendCrc32cAvx512(uint32_t crc, const uint8_t* data, size_t bytes) {
  constexpr size_t kStep = kVectors * kVectorBytes;
  if (bytes < 2 * kStep) return ExtendCrc32cX86(crc, data, bytes);
  __m512i sums[kVectors];
  for (size_t i = 0; i < kVectors; ++i) sums[i] = _mm512_loadu_si512(data + i * kVectorBytes);
  sums[0] = _mm512_xor_si512(sums[0], _mm512_zextsi128_si512(_mm_cvtsi32_si128(static_cast<int>(~crc))));
  for (data += kStep, bytes -= kStep; bytes >= kStep; data += kStep, bytes -= kStep) {
    for (size_t i = 0; i < kVectors; ++i) {
      sums[i] = _mm512_xor_si512(Forward<kStep>(sums[i]), _mm512_loadu_si512(data + i * kVectorBytes));
    }
  }
  for (size_t i = 1; i < kVectors; ++i) sums[i] = _mm512_xor_si512(Forward<kVectorBytes>(sums[i - 1]), sums[i]);
  uint8_t last[kVectorBytes];
  _mm512_storeu_si512(last, sums[kVectors - 1]);
  // The register starts at 0, which is complemented on both sides.
  return ExtendCrc32cX86(ExtendCrc32cX86(~uint32_t{0}, last, kVectorBytes), data, bytes);
}

}  // namespace fmtc

FMTC_END_TARGET
#endif
