// Prediction of rows, for any vector of bytes. To be included between FMTC_BEGIN_TARGET_* and FMTC_END_TARGET.
//
// V has: Type and Mask; kBytes; Active(count), a Mask of the first `count` lanes; Equal(bytes, value), a Mask;
// Not(mask); Load(p, active), whatever in the other lanes; Store(p, active, value, before), which leaves the memory of
// the other lanes alone, or writes `before`, what Load has got from there; Zero; Keep(mask, a), zero elsewhere;
// Select(mask, a, b); of signed bytes Add, Sub, Min, Max, and Average, which is (a + b) >> 1.
#ifndef FMTC_KERNELS_PREDICT_ROWS_H_
#define FMTC_KERNELS_PREDICT_ROWS_H_

namespace fmtc {
namespace {

// A vector's worth of components, over all pixels of a row.
template <typename V>
struct Column {
  using Type = typename V::Type;
  typename V::Mask active, predicted, left, up, average, gradient;

  FMTC_INLINE Column(const uint8_t* codes, size_t count) : active(V::Active(count)) {
    uint8_t predictors[V::kBytes] = {};
    for (size_t j = 0; j < count && j < V::kBytes; ++j) predictors[j] = codes[j] >> 4;
    predicted = V::Not(V::Equal(predictors, 0));
    left = V::Equal(predictors, 1);
    up = V::Equal(predictors, 2);
    average = V::Equal(predictors, 3);
    gradient = V::Equal(predictors, 4);
  }

  FMTC_INLINE Type Predict(Type l, Type u, Type up_left) const {
    // L + U - clamp(UL) is the clamped L + U - UL, and stays in bytes.
    const Type clamped = V::Min(V::Max(up_left, V::Min(l, u)), V::Max(l, u));
    Type p = V::Keep(gradient, V::Sub(V::Add(l, u), clamped));
    p = V::Select(average, V::Average(l, u), p);
    p = V::Select(up, u, p);
    return V::Select(left, l, p);
  }
};

// Replaces residuals by indices (kDecode) or indices by residuals, from left to right. The next pixel is loaded before
// this one is stored, since the vectors of narrow pixels overlap.
template <typename V, bool kDecode>
FMTC_INLINE void ProcessColumn(const Column<V>& column, RowShape shape, const uint8_t* above, uint8_t* row) {
  using Type = typename V::Type;
  const size_t n = shape.components;
  Type left = V::Zero();
  Type up_left = V::Zero();
  Type value = V::Load(row, column.active);
  for (uint32_t x = 0; x < shape.width; ++x, row += n) {
    Type prediction;
    if (above == nullptr) {
      prediction = V::Keep(column.predicted, left);
    } else {
      const Type up = V::Load(above, column.active);
      prediction = x == 0 ? V::Keep(column.predicted, up) : column.Predict(left, up, up_left);
      up_left = up;
      above += n;
    }
    const Type next = x + 1 < shape.width ? V::Load(row + n, column.active) : V::Zero();
    const Type result = kDecode ? V::Add(value, prediction) : V::Sub(value, prediction);
    V::Store(row, column.active, result, value);
    left = kDecode ? result : value;
    value = next;
  }
}

template <typename V, bool kDecode>
FMTC_INLINE void ProcessRow(RowShape shape, const uint8_t* codes, const uint8_t* above, uint8_t* row) {
  for (size_t j = 0; j < shape.components; j += V::kBytes) {
    const Column<V> column(codes + j, shape.components - j);
    ProcessColumn<V, kDecode>(column, shape, above == nullptr ? nullptr : above + j, row + j);
  }
}

}  // namespace
}  // namespace fmtc

#endif  // FMTC_KERNELS_PREDICT_ROWS_H_
