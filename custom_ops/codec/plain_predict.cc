#include <cstring>

#include "codec/plain_kernels.h"
#include "codec/predict.h"

namespace fmtc {
namespace {

// Predictor codes in place, that is in bits 4-7 of a component code.
constexpr uint8_t kPredictorMask = 0xF0;
constexpr uint8_t kLeft = 0x10;
constexpr uint8_t kUp = 0x20;
constexpr uint8_t kAverage = 0x30;
constexpr uint8_t kGradient = 0x40;

inline uint8_t Select(uint8_t code, uint8_t predictor, uint8_t value) { return code == predictor ? value : 0; }

// The prediction of a value with all three neighbours; free of branches, so that the loops over components vectorize.
inline uint8_t Predict(uint8_t component_code, uint8_t left, uint8_t up, uint8_t up_left) {
  const uint8_t code = component_code & kPredictorMask;
  return static_cast<uint8_t>(Select(code, kLeft, left) | Select(code, kUp, up) |
                              Select(code, kAverage, Average(left, up)) |
                              Select(code, kGradient, Gradient(left, up, up_left)));
}

// Where there is a single neighbour, every predictor but none takes it.
inline uint8_t PredictFromOne(uint8_t component_code, uint8_t neighbour) {
  return component_code < kLeft ? 0 : neighbour;
}

// One pixel of n components: residuals from indices, or with kDecode indices from residuals.
template <bool kDecode>
inline uint8_t Apply(uint8_t value, uint8_t prediction) {
  return static_cast<uint8_t>(kDecode ? value + prediction : value - prediction);
}

template <bool kDecode>
void PixelFromOne(uint32_t n, const uint8_t* __restrict codes, const uint8_t* neighbour, const uint8_t* __restrict in,
                  uint8_t* __restrict out) {
  for (uint32_t j = 0; j < n; ++j) out[j] = Apply<kDecode>(in[j], PredictFromOne(codes[j], neighbour[j]));
}

template <bool kDecode>
void PixelFromAll(uint32_t n, const uint8_t* __restrict codes, const uint8_t* left, const uint8_t* __restrict up,
                  const uint8_t* __restrict up_left, const uint8_t* __restrict in, uint8_t* __restrict out) {
  for (uint32_t j = 0; j < n; ++j) out[j] = Apply<kDecode>(in[j], Predict(codes[j], left[j], up[j], up_left[j]));
}

template <bool kDecode>
void ProcessRow(RowShape shape, const uint8_t* codes, const uint8_t* above, const uint8_t* in, uint8_t* out) {
  const uint32_t n = shape.components;
  const uint8_t* const indices = kDecode ? out : in;
  if (above == nullptr) {
    memcpy(out, in, n);
  } else {
    PixelFromOne<kDecode>(n, codes, above, in, out);
  }
  const size_t row_bytes = size_t{shape.width} * n;
  for (size_t at = n; at < row_bytes; at += n) {
    if (above == nullptr) {
      PixelFromOne<kDecode>(n, codes, indices + at - n, in + at, out + at);
    } else {
      PixelFromAll<kDecode>(n, codes, indices + at - n, above + at, above + at - n, in + at, out + at);
    }
  }
}

}  // namespace

void ResidualsOfRowPlain(RowShape shape, const uint8_t* codes, const uint8_t* above, const uint8_t* indices,
                         uint8_t* residuals) {
  ProcessRow<false>(shape, codes, above, indices, residuals);
}

void IndicesOfRowPlain(RowShape shape, const uint8_t* codes, const uint8_t* above, const uint8_t* residuals,
                       uint8_t* indices) {
  ProcessRow<true>(shape, codes, above, residuals, indices);
}

}  // namespace fmtc
