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

// What a column carries from pixel to pixel.
template <typename V>
struct Cursor {
  typename V::Type left, up_left, value;
};

// One pixel. The next one is loaded before this one is stored, since the vectors of narrow pixels overlap.
template <typename V, bool kDecode, bool kHasAbove>
FMTC_INLINE void ProcessPixel(const Column<V>& column, size_t stride, bool is_first, bool is_last, const uint8_t* above,
                              uint8_t* row, Cursor<V>* cursor) {
  using Type = typename V::Type;
  Type prediction;
  if (kHasAbove) {
    const Type up = V::Load(above, column.active);
    prediction = is_first ? V::Keep(column.predicted, up) : column.Predict(cursor->left, up, cursor->up_left);
    cursor->up_left = up;
  } else {
    prediction = V::Keep(column.predicted, cursor->left);
  }
  const Type value = cursor->value;
  const Type result = kDecode ? V::Add(value, prediction) : V::Sub(value, prediction);
  if (!is_last) cursor->value = V::Load(row + stride, column.active);
  V::Store(row, column.active, result, value);
  cursor->left = kDecode ? result : value;
}

// Replaces residuals by indices (kDecode) or indices by residuals in kColumns neighbouring columns, from left to right.
// Each waits for the pixel to the left, so that several of them are done at a time.
template <typename V, bool kDecode, bool kHasAbove, size_t kColumns>
FMTC_INLINE void ProcessColumns(RowShape shape, const uint8_t* codes, size_t components, const uint8_t* above,
                                uint8_t* row) {
  static_assert(kColumns == 1 || kColumns == 2, "");
  const size_t n = shape.components;
  const Column<V> first(codes, components);
  const Column<V> second(codes + (kColumns - 1) * V::kBytes, components - (kColumns - 1) * V::kBytes);
  constexpr size_t kSecond = (kColumns - 1) * V::kBytes;
  Cursor<V> a = {V::Zero(), V::Zero(), V::Load(row, first.active)};
  Cursor<V> b = {V::Zero(), V::Zero(), V::Load(row + kSecond, second.active)};
  for (uint32_t x = 0; x < shape.width; ++x, row += n) {
    const bool is_last = x + 1 == shape.width;
    ProcessPixel<V, kDecode, kHasAbove>(first, n, x == 0, is_last, above, row, &a);
    if (kColumns == 2) {
      ProcessPixel<V, kDecode, kHasAbove>(second, n, x == 0, is_last, above + kSecond, row + kSecond, &b);
    }
    if (kHasAbove) above += n;
  }
}

template <typename V, bool kDecode, bool kHasAbove>
FMTC_INLINE void ProcessRow(RowShape shape, const uint8_t* codes, const uint8_t* above, uint8_t* row) {
  size_t j = 0;
  for (; j + V::kBytes < shape.components; j += 2 * V::kBytes) {
    ProcessColumns<V, kDecode, kHasAbove, 2>(shape, codes + j, shape.components - j, above + j, row + j);
  }
  if (j < shape.components) {
    ProcessColumns<V, kDecode, kHasAbove, 1>(shape, codes + j, shape.components - j, above + j, row + j);
  }
}

template <typename V, bool kDecode>
FMTC_INLINE void ProcessAnyRow(RowShape shape, const uint8_t* codes, const uint8_t* above, uint8_t* row) {
  if (above != nullptr) {
    ProcessRow<V, kDecode, true>(shape, codes, above, row);
  } else {
    ProcessRow<V, kDecode, false>(shape, codes, row, row);
  }
}

}  // namespace
}  // namespace fmtc

#endif  // FMTC_KERNELS_PREDICT_ROWS_H_
