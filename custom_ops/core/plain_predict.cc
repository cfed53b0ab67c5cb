#include "core/plain_kernels.h"
#include "core/predict.h"

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

void ResidualsFromOne(uint32_t n, const uint8_t* __restrict codes, const uint8_t* __restrict neighbour,
                      uint8_t* __restrict value) {
  for (uint32_t j = 0; j < n; ++j) {
    value[j] = static_cast<uint8_t>(value[j] - PredictFromOne(codes[j], neighbour[j]));
  }
}

void ResidualsOfPixel(uint32_t n, const uint8_t* __restrict codes, const uint8_t* __restrict left,
                      const uint8_t* __restrict up, const uint8_t* __restrict up_left, uint8_t* __restrict value) {
  for (uint32_t j = 0; j < n; ++j) {
    value[j] = static_cast<uint8_t>(value[j] - Predict(codes[j], left[j], up[j], up_left[j]));
  }
}

void IndicesFromOne(uint32_t n, const uint8_t* __restrict codes, const uint8_t* __restrict neighbour,
                    uint8_t* __restrict value) {
  for (uint32_t j = 0; j < n; ++j) {
    value[j] = static_cast<uint8_t>(value[j] + PredictFromOne(codes[j], neighbour[j]));
  }
}

void IndicesOfPixel(uint32_t n, const uint8_t* __restrict codes, const uint8_t* __restrict left,
                    const uint8_t* __restrict up, const uint8_t* __restrict up_left, uint8_t* __restrict value) {
  for (uint32_t j = 0; j < n; ++j) {
    value[j] = static_cast<uint8_t>(value[j] + Predict(codes[j], left[j], up[j], up_left[j]));
  }
}

}  // namespace

void ResidualsOfRowPlain(RowShape shape, const uint8_t* codes, const uint8_t* above, uint8_t* row) {
  const uint32_t n = shape.components;
  // From right to left, since a residual takes the place of its right neighbour's L.
  for (size_t at = size_t{shape.width - 1} * n; at > 0; at -= n) {
    if (above == nullptr) {
      ResidualsFromOne(n, codes, row + at - n, row + at);
    } else {
      ResidualsOfPixel(n, codes, row + at - n, above + at, above + at - n, row + at);
    }
  }
  if (above != nullptr) ResidualsFromOne(n, codes, above, row);
}

void IndicesOfRowPlain(RowShape shape, const uint8_t* codes, const uint8_t* above, uint8_t* row) {
  const uint32_t n = shape.components;
  const size_t row_bytes = size_t{shape.width} * n;
  if (above != nullptr) IndicesFromOne(n, codes, above, row);
  for (size_t at = n; at < row_bytes; at += n) {
    if (above == nullptr) {
      IndicesFromOne(n, codes, row + at - n, row + at);
    } else {
      IndicesOfPixel(n, codes, row + at - n, above + at, above + at - n, row + at);
    }
  }
}

}  // namespace fmtc
