// CRC-32C by the instruction that aarch64 processors have had since Armv8.1, and most before.
#if defined(__aarch64__)
#include "base/bytes.h"
#include "codec/kernels/arm_kernels.h"

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("crc"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("+crc")
#endif
#include <arm_acle.h>

namespace fmtc {

uint32_t ExtendCrc32cArm(uint32_t crc, const uint8_t* data, size_t bytes) {
  uint32_t state = ~crc;
  for (; bytes >= 8; bytes -= 8, data += 8) state = __crc32cd(state, Load<uint64_t>(data));
  for (; bytes > 0; --bytes, ++data) state = __crc32cb(state, *data);
  return ~state;
}

}  // namespace fmtc

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
