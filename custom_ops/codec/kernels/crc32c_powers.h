// Powers of x modulo the polynomial of CRC-32C.
#ifndef FMTC_CODEC_KERNELS_CRC32C_POWERS_H_
#define FMTC_CODEC_KERNELS_CRC32C_POWERS_H_

#include <cstdint>

namespace fmtc {

// x^n modulo the polynomial; both bit-reflected, so that x^0 is the highest bit.
constexpr uint32_t PowerOfX(uint32_t n) {
  uint32_t power = 0x80000000;
  for (; n > 0; --n) power = (power >> 1) ^ ((power & 1) != 0 ? 0x82F63B78 : 0);
  return power;
}

}  // namespace fmtc

#endif  // FMTC_CODEC_KERNELS_CRC32C_POWERS_H_
