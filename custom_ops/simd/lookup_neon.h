// Vectors of 16 bytes: masks, sums, and look-ups in tables of 64 bytes.
#ifndef FMTC_SIMD_LOOKUP_NEON_H_
#define FMTC_SIMD_LOOKUP_NEON_H_

#include <arm_neon.h>

#include <cstddef>
#include <cstdint>

#include "cpu/target.h"

namespace fmtc {
namespace {

constexpr size_t kVectorBytes = 16;

// All ones in the first `count` bytes, 16 at most.
FMTC_INLINE uint8x16_t FirstBytes(size_t count) {
  static constexpr uint8_t kIota[kVectorBytes] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  return vcgtq_u8(vdupq_n_u8(static_cast<uint8_t>(count < kVectorBytes ? count : kVectorBytes)), vld1q_u8(kIota));
}

// A table of 64 bytes: four registers, which one look-up takes together. Indices from 64 on give 0.
struct Lookup64 {
  uint8x16x4_t table;

  explicit FMTC_INLINE Lookup64(const uint8_t* column)
      : table{{vld1q_u8(column), vld1q_u8(column + 16), vld1q_u8(column + 32), vld1q_u8(column + 48)}} {}

  FMTC_INLINE uint8x16_t operator[](uint8x16_t index) const { return vqtbl4q_u8(table, index); }
};

}  // namespace
}  // namespace fmtc

#endif  // FMTC_SIMD_LOOKUP_NEON_H_
