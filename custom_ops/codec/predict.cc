#include "codec/predict.h"

#include "codec/side_info.h"

namespace fmtc {

void Neighbours::PredictAll(size_t at, uint8_t* predictions) const {
  const bool first_pixel = at < components;
  predictions[0] = 0;
  if (above == nullptr || first_pixel) {
    const uint8_t only = above != nullptr ? above[at] : first_pixel ? 0 : row[at - components];
    for (uint32_t p = 1; p < kNumPredictors; ++p) predictions[p] = only;
    return;
  }
  const uint8_t left = row[at - components];
  const uint8_t up = above[at];
  predictions[1] = left;
  predictions[2] = up;
  predictions[3] = Average(left, up);
  predictions[4] = Gradient(left, up, above[at - components]);
}

uint8_t Neighbours::Predict(size_t at, uint32_t predictor) const {
  if (predictor >= kNumPredictors) return 0;  // the side information has changed since it was checked
  uint8_t predictions[kNumPredictors];
  PredictAll(at, predictions);
  return predictions[predictor];
}

}  // namespace fmtc
