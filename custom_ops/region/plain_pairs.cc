// Loops over a row of two operands that are multiplied or compared, in plain C++.
#include "region/plain_kernels.h"

namespace fmtc::region {
namespace {

// out = function(a, b) for every value of the row.
template <class Function>
void ForEachPair(const PairRow& row, const Function& function) {
  for (int32_t column = 0; column < row.columns; ++column) {
    const uint8_t* a = row.a + column * row.a_pixel_bytes;
    const uint8_t* b = row.b + column * row.b_pixel_bytes;
    uint8_t* out = row.out + column * row.out_pixel_bytes;
    for (int32_t c = 0; c < row.channels; ++c) out[c] = function(a[c], b[c * row.b_channel_bytes]);
  }
}

// The scale is an i32 or an f32.
template <typename T, int32_t (*kRescale)(int32_t product, T scale, int32_t shift)>
void Multiply(const PairRow& row, const MultiplyParameters& p) {
  const OutputRange range{p.zero, p.low, p.high};
  T scale;
  memcpy(&scale, &p.scale, sizeof(scale));
  ForEachPair(row, [&](uint8_t a, uint8_t b) {
    return AddZeroAndClamp(kRescale((a - p.zero_a) * (b - p.zero_b), scale, p.shift), range);
  });
}

int32_t RescaleFloat32(int32_t product, float scale, int32_t) { return MultiplyFloat32(product, scale); }

}  // namespace

void PlainMultiplyDoubleRounding(const PairRow& row, const MultiplyParameters& parameters) {
  Multiply<int32_t, MultiplyDoubleRounding>(row, parameters);
}
void PlainMultiplyFloat32(const PairRow& row, const MultiplyParameters& parameters) {
  Multiply<float, RescaleFloat32>(row, parameters);
}
void PlainMultiplyRndnu(const PairRow& row, const MultiplyParameters& parameters) {
  Multiply<int32_t, MultiplyRndnu>(row, parameters);
}

void PlainLarger(const PairRow& row) {
  ForEachPair(row, [](uint8_t a, uint8_t b) { return a > b ? a : b; });
}
void PlainSmaller(const PairRow& row) {
  ForEachPair(row, [](uint8_t a, uint8_t b) { return a < b ? a : b; });
}

void PlainPrelu(const PairRow& row, const PreluParameters& p) {
  const OutputRange range{p.zero, 0, 255};
  ForEachPair(row, [&](uint8_t a, uint8_t b) {
    const int32_t x = a - p.zero_a;
    const int32_t r = x >= 0 ? MultiplyDoubleRounding(x, p.multiplier_above, p.shift_above)
                             : MultiplyDoubleRounding(x * (b - p.zero_b), p.multiplier_below, p.shift_below);
    return AddZeroAndClamp(r, range);
  });
}

}  // namespace fmtc::region
