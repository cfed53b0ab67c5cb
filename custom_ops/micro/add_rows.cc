// ADD by rule 1.
#include "micro/kernels.h"
#include "micro/requantize.h"

namespace fmtc::region {
namespace {

constexpr int32_t kLeftShift = 20;

}  // namespace

void MicroAdd(const AddRow& row) {
  const AddParameters& p = *row.parameters;
  const Limits limits({p.zero, p.low, p.high});
  const FixedScale scale_a(p.multiplier_a, p.shift_a), scale_b(p.multiplier_b, p.shift_b);
  const FixedScale scale(p.multiplier_sum, p.shift_sum);
  const int32_t zero_a = p.zero_a, zero_b = p.zero_b, channels = row.channels;
  for (int32_t column = 0; column < row.columns; ++column) {
    const uint8_t* a = row.a + column * row.a_pixel_bytes;
    const uint8_t* b = row.b + column * row.b_pixel_bytes;
    uint8_t* out = row.out + column * row.out_pixel_bytes;
    for (int32_t c = 0; c < channels; ++c) {
      const int32_t term_a = scale_a.Down(ShiftLeft(a[c] - zero_a, kLeftShift));
      const int32_t term_b = scale_b.Down(ShiftLeft(b[c] - zero_b, kLeftShift));
      out[c] = limits.Clamp(scale.Apply(term_a + term_b));
    }
  }
}

}  // namespace fmtc::region
