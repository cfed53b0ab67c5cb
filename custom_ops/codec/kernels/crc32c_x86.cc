// CRC-32C by the processor's instruction, three parts at a time: an instruction takes three cycles, and every cycle can
// begin one.
#if defined(__x86_64__)
#include <nmmintrin.h>
#include <wmmintrin.h>

#include "base/bytes.h"
#include "codec/kernels/crc32c_powers.h"
#include "codec/kernels/x86_kernels.h"

#define FMTC_TARGET_CRC __attribute__((target("sse4.2,crc32,pclmul")))

namespace fmtc {
namespace {

constexpr size_t kPartBytes = 512;

// The register after kPartBytes zero bytes. The product of two reflected values is x times what it seems, and reducing
// it with the CRC instruction multiplies by x^32.
FMTC_TARGET_CRC inline uint64_t SkipPart(uint64_t state) {
  constexpr uint32_t kFactor = PowerOfX(8 * kPartBytes - 33);
  const __m128i product = _mm_clmulepi64_si128(_mm_cvtsi64_si128(static_cast<int64_t>(state)),
                                               _mm_cvtsi32_si128(static_cast<int32_t>(kFactor)), 0);
  return _mm_crc32_u64(0, static_cast<uint64_t>(_mm_cvtsi128_si64(product)));
}

FMTC_TARGET_CRC uint64_t ExtendByThreeParts(uint64_t state, const uint8_t* data) {
  uint64_t second = 0;
  uint64_t third = 0;
  for (size_t i = 0; i < kPartBytes; i += 8) {
    state = _mm_crc32_u64(state, Load<uint64_t>(data + i));
    second = _mm_crc32_u64(second, Load<uint64_t>(data + kPartBytes + i));
    third = _mm_crc32_u64(third, Load<uint64_t>(data + 2 * kPartBytes + i));
  }
  return SkipPart(SkipPart(state) ^ second) ^ third;
}

}  // namespace

FMTC_TARGET_CRC uint32_t ExtendCrc32cX86(uint32_t crc, const uint8_t* data, size_t bytes) {
  uint64_t state = ~crc;
  for (; bytes >= 3 * kPartBytes; bytes -= 3 * kPartBytes, data += 3 * kPartBytes) {
    state = ExtendByThreeParts(state, data);
  }
  for (; bytes >= 8; bytes -= 8, data += 8) state = _mm_crc32_u64(state, Load<uint64_t>(data));
  for (; bytes > 0; --bytes, ++data) state = _mm_crc32_u8(static_cast<uint32_t>(state), *data);
  return ~static_cast<uint32_t>(state);
}

}  // namespace fmtc
#endif
