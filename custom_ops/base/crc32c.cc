#include "base/crc32c.h"

#include "base/bytes.h"
#include "base/features.h"

namespace fmtc {
namespace {

constexpr uint32_t kReflectedPolynomial = 0x82F63B78;

// entry[i][b]: CRC register after byte b and i zero bytes.
struct SlicingTables {
  uint32_t entry[4][256];
};

constexpr SlicingTables MakeSlicingTables() {
  SlicingTables tables{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kReflectedPolynomial : 0);
    tables.entry[0][byte] = crc;
  }
  for (int slice = 1; slice < 4; ++slice) {
    for (uint32_t byte = 0; byte < 256; ++byte) {
      const uint32_t previous = tables.entry[slice - 1][byte];
      tables.entry[slice][byte] = (previous >> 8) ^ tables.entry[0][previous & 255];
    }
  }
  return tables;
}

// A bit at a time.
uint32_t ExtendByBits(uint32_t crc, const uint8_t* data, size_t bytes) {
  uint32_t state = ~crc;
  for (; bytes > 0; --bytes, ++data) {
    state ^= *data;
    for (int bit = 0; bit < 8; ++bit) state = (state >> 1) ^ ((state & 1) != 0 ? kReflectedPolynomial : 0);
  }
  return ~state;
}

constexpr SlicingTables kTables = MakeSlicingTables();

}  // namespace

uint32_t ExtendCrc32c(uint32_t crc, const uint8_t* data, size_t bytes) {
  if (!kHasCrcTables) return ExtendByBits(crc, data, bytes);
  const auto& table = kTables.entry;
  uint32_t state = ~crc;
  for (; bytes >= 4; bytes -= 4, data += 4) {
    state ^= Load<uint32_t>(data);
    state =
        table[3][state & 255] ^ table[2][(state >> 8) & 255] ^ table[1][(state >> 16) & 255] ^ table[0][state >> 24];
  }
  for (; bytes > 0; --bytes, ++data) state = (state >> 8) ^ table[0][(state ^ *data) & 255];
  return ~state;
}

}  // namespace fmtc
