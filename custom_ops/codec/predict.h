// Prediction of one value from its neighbours (FORMAT.md section 5). The loops over rows are among the kernels.
#ifndef FMTC_CODEC_PREDICT_H_
#define FMTC_CODEC_PREDICT_H_

#include <cstddef>
#include <cstdint>

namespace fmtc {

constexpr uint8_t kSign = 0x80;  // XOR with it turns the order of signed bytes into that of unsigned bytes

inline uint8_t Min(uint8_t a, uint8_t b) { return a < b ? a : b; }
inline uint8_t Max(uint8_t a, uint8_t b) { return a < b ? b : a; }

// (L + U) >> 1 of signed bytes without leaving bytes, so that 16 and more fit a vector.
inline uint8_t Average(uint8_t left, uint8_t up) {
  const uint8_t a = left ^ kSign;
  const uint8_t b = up ^ kSign;
  return static_cast<uint8_t>((a & b) + ((a ^ b) >> 1)) ^ kSign;
}

// clamp(L + U - UL, min(L, U), max(L, U)) = L + U - clamp(UL, min(L, U), max(L, U)); the right side stays in bytes.
inline uint8_t Gradient(uint8_t left, uint8_t up, uint8_t up_left) {
  const uint8_t a = left ^ kSign;
  const uint8_t b = up ^ kSign;
  const uint8_t c = Min(Max(up_left ^ kSign, Min(a, b)), Max(a, b));
  return static_cast<uint8_t>(left + up - (c ^ kSign));
}

// Where a value's neighbours are: in its row and in the row above, at distances of `components` values.
struct Neighbours {
  const uint8_t* row;
  const uint8_t* above;  // null in the first row of a group
  uint32_t components;

  // P of value `at` of the row for every predictor, at the borders too; predictions[0 .. kNumPredictors).
  void PredictAll(size_t at, uint8_t* predictions) const;
  // P of one predictor.
  uint8_t Predict(size_t at, uint32_t predictor) const;
};

}  // namespace fmtc

#endif  // FMTC_CODEC_PREDICT_H_
