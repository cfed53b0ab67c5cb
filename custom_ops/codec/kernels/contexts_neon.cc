// Tables by context with NEON, 16 values at a time. Values are sorted by table and back one at a time, as in plain C++:
// NEON has nothing that compresses a vector.
#if defined(__aarch64__)
#include "codec/contexts.h"
#include "codec/kernels/arm_kernels.h"
#include "simd/lookup_neon.h"

namespace fmtc {
namespace {

// A table of kQuarters * 64 bytes; indices beyond give 0.
template <size_t kQuarters>
struct LongTable {
  Lookup64 quarters[kQuarters];

  FMTC_INLINE uint8x16_t operator[](uint8x16_t indices) const {
    uint8x16_t found = quarters[0][indices];
    for (size_t i = 1; i < kQuarters; ++i) {
      // Smaller indices are above 63 now, too, as they begin again at 255.
      found = vorrq_u8(found, quarters[i][vsubq_u8(indices, vdupq_n_u8(static_cast<uint8_t>(64 * i)))]);
    }
    return found;
  }
};

void FillMagnitudes(const ContextRow& row, const uint8_t* above, uint8_t* magnitudes) {
  uint8_t* const first = magnitudes + row.components;
  for (size_t i = 0; i < row.values; i += kVectorBytes) {
    const uint8x16_t residuals = vld1q_u8(above + i);
    const uint8x16_t absolute = vreinterpretq_u8_s8(vabsq_s8(vreinterpretq_s8_u8(residuals)));
    const uint8x16_t one_sided = vtstq_u8(vld1q_u8(row.codes + i), vdupq_n_u8(kOneSided));
    vst1q_u8(first + i, vbslq_u8(one_sided, residuals, absolute));
  }
  RepeatEnds(row, magnitudes);
}

FMTC_INLINE uint8x16_t SumsOfNeighbours(const uint8_t* magnitudes, size_t components) {
  const uint8x16_t up = vld1q_u8(magnitudes);
  const uint8x16_t sides = vqaddq_u8(vld1q_u8(magnitudes - components), vld1q_u8(magnitudes + components));
  return vqaddq_u8(vqaddq_u8(up, up), sides);
}

void Count(const ContextRow& row, const uint8_t* tables, uint32_t* counts) {
  uint32x4_t sums[kMaxClasses];
  for (uint32x4_t& sum : sums) sum = vdupq_n_u32(0);
  for (size_t i = 0; i < row.values; i += kVectorBytes) {
    // What stands behind the row counts for no table.
    const uint8x16_t ones = vandq_u8(FirstBytes(row.values - i), vdupq_n_u8(1));
    const uint8x16_t some = vld1q_u8(tables + i);
    FMTC_UNROLL
    for (uint32_t t = 0; t < kMaxClasses; ++t) {
      const uint8x16_t is_table = vceqq_u8(some, vdupq_n_u8(static_cast<uint8_t>(t)));
      sums[t] = vpadalq_u16(sums[t], vpaddlq_u8(vandq_u8(is_table, ones)));
    }
  }
  for (uint32_t t = 0; t < kMaxClasses; ++t) counts[t] = vaddvq_u32(sums[t]);
}

}  // namespace

void TablesOfRowNeon(const ContextRow& row, const uint8_t* above, uint8_t* magnitudes, uint8_t* tables,
                     uint32_t* counts) {
  if (above != nullptr) FillMagnitudes(row, above, magnitudes);
  const uint8_t* const of_sums = kContextOfSum.context;
  const LongTable<4> context_of{
      {Lookup64(of_sums), Lookup64(of_sums + 64), Lookup64(of_sums + 128), Lookup64(of_sums + 192)}};
  static_assert(kMaxClasses * kContextStride == 128, "one look-up for class and context");
  const LongTable<2> map{{Lookup64(row.map), Lookup64(row.map + 64)}};
  const uint8_t* const first = magnitudes + row.components;
  for (size_t i = 0; i < row.values; i += kVectorBytes) {
    const uint8x16_t contexts =
        above == nullptr ? vdupq_n_u8(kNoRowAbove) : context_of[SumsOfNeighbours(first + i, row.components)];
    const uint8x16_t classes = vandq_u8(vld1q_u8(row.codes + i), vdupq_n_u8(kClassMask));
    static_assert(kContextStride == 16, "a class is the high half of an index");
    vst1q_u8(tables + i, map[vorrq_u8(vshlq_n_u8(classes, 4), contexts)]);
  }
  Count(row, tables, counts);
}

}  // namespace fmtc
#endif
