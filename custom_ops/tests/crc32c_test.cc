// CRC-32C: the check value, every length, and continuation at any place.
#include "base/crc32c.h"

#include <cstdint>
#include <vector>

#include "tests/expect.h"
#include "tests/random_inputs.h"

namespace {

// A bit at a time.
uint32_t SlowCrc32c(uint32_t crc, const uint8_t* data, size_t bytes) {
  crc = ~crc;
  for (size_t i = 0; i < bytes; ++i) {
    crc ^= data[i];
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82F63B78 : 0);
  }
  return ~crc;
}

}  // namespace

int main() {
  const uint8_t* check = reinterpret_cast<const uint8_t*>("123456789");
  EXPECT(fmtc::ExtendCrc32c(0, check, 9) == 0xE3069283);
  EXPECT(fmtc::ExtendCrc32c(0, check, 0) == 0);

  fmtc::test::Random random(1);
  std::vector<uint8_t> data(300);
  for (uint8_t& byte : data) byte = static_cast<uint8_t>(random());
  for (size_t begin = 0; begin < 9; ++begin) {
    for (size_t end = begin; end <= data.size(); ++end) {
      const uint32_t whole = SlowCrc32c(7, data.data() + begin, end - begin);
      EXPECT(fmtc::ExtendCrc32c(7, data.data() + begin, end - begin) == whole);
      const size_t middle = begin + (end - begin) / 3;
      const uint32_t first = fmtc::ExtendCrc32c(7, data.data() + begin, middle - begin);
      EXPECT(fmtc::ExtendCrc32c(first, data.data() + middle, end - middle) == whole);
    }
  }
  return 0;
}
