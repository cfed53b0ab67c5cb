// Prediction of one value from its neighbours (FORMAT.md section 5). The loops over rows are in kernels.h.
#ifndef FMTC_CORE_PREDICT_H_
#define FMTC_CORE_PREDICT_H_

#include <cstdint>

namespace fmtc {

// P of one value for every predictor, from its neighbours L, U and UL; predictions[0 .. kNumPredictors).
void PredictAll(uint8_t left, uint8_t up, uint8_t up_left, uint8_t* predictions);

}  // namespace fmtc

#endif  // FMTC_CORE_PREDICT_H_
