// CRC-32C (Castagnoli): polynomial 0x1EDC6F41 reflected, initial value and final XOR 0xFFFFFFFF.
#ifndef FMTC_BASE_CRC32C_H_
#define FMTC_BASE_CRC32C_H_

#include <cstddef>
#include <cstdint>

namespace fmtc {

// CRC of what `crc` covers followed by data[0 .. bytes). Start with crc = 0. From tables; kernels.h has the versions
// for processors with an instruction for it.
uint32_t ExtendCrc32c(uint32_t crc, const uint8_t* data, size_t bytes);

}  // namespace fmtc

#endif  // FMTC_BASE_CRC32C_H_
