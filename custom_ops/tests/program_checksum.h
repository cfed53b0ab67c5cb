// The checksums of programs of regions and of side information.
#ifndef FMTC_TESTS_PROGRAM_CHECKSUM_H_
#define FMTC_TESTS_PROGRAM_CHECKSUM_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "region/format.h"

namespace fmtc::test {

using ProgramBytes = std::vector<uint8_t>;

// Gives a program the checksum of what it holds now.
inline void RepairChecksum(ProgramBytes* program) {
  if (program->size() < sizeof(region::Header)) return;
  constexpr size_t kOffset = offsetof(region::Header, checksum);
  Store(program->data() + kOffset, uint32_t{0});
  Store(program->data() + kOffset, ExtendCrc32c(0, program->data(), program->size()));
}

// Likewise side information.
inline void RepairSideInfoChecksum(uint8_t* data, size_t bytes) {
  Store(data + 12, ExtendCrc32c(ExtendCrc32c(0, data, 12), data + 16, bytes - 16));
}

}  // namespace fmtc::test

#endif  // FMTC_TESTS_PROGRAM_CHECKSUM_H_
