// Prediction of indices from their neighbours (FORMAT.md section 5), a row of the map at a time. Rows are NHWC rows of
// component indices, `width` pixels of `components` bytes. `codes` are the component codes of the side information.
#ifndef FMTC_CORE_PREDICT_H_
#define FMTC_CORE_PREDICT_H_

#include <cstdint>

namespace fmtc {

struct RowShape {
  uint32_t width;
  uint32_t components;
};

// Replaces the row `above` by the residuals of `row`. In the first row of a group `above` is only written.
void ResidualsOfRow(RowShape shape, const uint8_t* codes, bool first_row, const uint8_t* row, uint8_t* above);

// Replaces the residuals in `row` by indices. In the first row of a group `above` is not used.
void IndicesOfRow(RowShape shape, const uint8_t* codes, bool first_row, const uint8_t* above, uint8_t* row);

// P of one value for every predictor, from its neighbours L, U and UL; predictions[0 .. kNumPredictors).
void PredictAll(uint8_t left, uint8_t up, uint8_t up_left, uint8_t* predictions);

}  // namespace fmtc

#endif  // FMTC_CORE_PREDICT_H_
