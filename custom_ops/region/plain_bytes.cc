// QUANTIZE, look-ups and pixels that are moved, in plain C++.
#include <cmath>
#include <cstring>

#include "base/bytes.h"
#include "region/plain_kernels.h"

namespace fmtc::region {
namespace {

// Rounds what fits 32 bits; all else becomes p.outside.
template <typename T>
uint8_t RoundedOrOutside(T product, T (*round)(T), const QuantizeParameters& p) {
  const T rounded = round(product);
  if (!(rounded >= T{-2147483648.0} && rounded < T{2147483648.0})) return p.outside;
  return AddZeroAndClamp(static_cast<int32_t>(rounded), {p.zero, p.low, p.high});
}

uint8_t Divided(const QuantizeParameters& p, float x) { return RoundedOrOutside<float>(x / p.scale, RoundHalfAway, p); }

uint8_t Multiplied(const QuantizeParameters& p, float x) {
  return RoundedOrOutside<float>(x * p.inverse, RoundTiesToEven, p);
}

uint8_t DividedInFloat64(const QuantizeParameters& p, float x) {
  return RoundedOrOutside<double>(static_cast<double>(x) / static_cast<double>(p.scale), std::round, p);
}

// XNNPACK's: what lies beyond 32 bits is clamped, no number is the highest value.
uint8_t RoundedOrClamped(const QuantizeParameters& p, float x) {
  const float product = x * p.inverse;
  if (!(product < 2147483648.0f)) return p.high;
  if (product < -2147483648.0f) return p.low;
  return AddZeroAndClamp(static_cast<int32_t>(RoundTiesToEven(product)), {p.zero, p.low, p.high});
}

template <uint8_t (*kQuantize)(const QuantizeParameters&, float)>
void QuantizeEach(const QuantizeRun& run) {
  for (ptrdiff_t i = 0; i < run.count; ++i) {
    run.out[i] = kQuantize(*run.parameters, Load<float>(run.in + i * static_cast<ptrdiff_t>(sizeof(float))));
  }
}

}  // namespace

void PlainQuantizeDivided(const QuantizeRun& run) { QuantizeEach<Divided>(run); }
void PlainQuantizeFloat32(const QuantizeRun& run) { QuantizeEach<RoundedOrClamped>(run); }
void PlainQuantizeFloat64(const QuantizeRun& run) { QuantizeEach<DividedInFloat64>(run); }

void PlainQuantizeVectors(const QuantizeRun& run) {
  QuantizeRun part = run;
  if (run.first >= run.vectors_end) {
    part.count = 0;
  } else if (run.vectors_end - run.first < static_cast<uint64_t>(run.count)) {
    part.count = static_cast<ptrdiff_t>(run.vectors_end - run.first);
  }
  QuantizeEach<Multiplied>(part);
  part.in += part.count * static_cast<ptrdiff_t>(sizeof(float));
  part.out += part.count;
  part.count = run.count - part.count;
  QuantizeEach<DividedInFloat64>(part);
}

void PlainMovePixels(const PixelRow& row) {
  for (int32_t column = 0; column < row.columns; ++column) {
    const uint8_t* const in = row.in + column * row.in_pixel_bytes;
    uint8_t* const out = row.out + column * row.out_pixel_bytes;
    for (int32_t c = 0; c < row.channels; ++c) out[c] = in[c] ^ row.flip;
  }
}

void PlainLookUp(const uint8_t* table, const uint8_t* in, ptrdiff_t count, uint8_t* out) {
  for (ptrdiff_t i = 0; i < count; ++i) out[i] = table[in[i]];
}

}  // namespace fmtc::region
