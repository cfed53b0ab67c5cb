// Prediction of rows, for any vector of bytes. To be included between FMTC_BEGIN_TARGET_* and FMTC_END_TARGET.
//
// Everything here works on x' = 127 - x instead of the index x: the order of signed bytes becomes that of unsigned
// bytes (reversed), (L + U) >> 1 the rounded average that processors have, and the gradient stays what it is.
//
// V has: Type and Mask; kBytes; Has(codes, predictor), a Mask of component codes with this predictor; Load(p); Store(p,
// value); Set(value), in all lanes; of bytes Add, Sub, Xor, Min and Max (unsigned); Keep(mask, a), zero elsewhere;
// Join(mask, a, b), a or b; and what replaces `base` in the lanes of a mask: SelectAverage(mask, base, a, b) and
// SelectDifference(mask, base, a, b).
#ifndef FMTC_CODEC_KERNELS_PREDICT_ROWS_INL_H_
#define FMTC_CODEC_KERNELS_PREDICT_ROWS_INL_H_

namespace fmtc {
namespace {

constexpr char kZero = 0x7F;  // the index 0

// A vector's worth of components, over all pixels of a row.
template <typename V>
struct Column {
  using Type = typename V::Type;
  size_t begin;  // its first component
  Type origin;   // what bytes and their x' add up to
  Type none;     // 127 where nothing is predicted
  Type left_only, up_only, predicted;
  typename V::Mask average, gradient;
  Type left, up_left;  // of the pixel that comes next

  // The last column ends where the pixel ends, and does some components again.
  FMTC_INLINE Column(RowShape shape, const uint8_t* codes, size_t first) : begin(first) {
    if (begin + V::kBytes > shape.components) begin = shape.components > V::kBytes ? shape.components - V::kBytes : 0;
    uint8_t few_codes[V::kBytes] = {};
    if (shape.components < V::kBytes) memcpy(few_codes, codes, shape.components);
    const uint8_t* const its_codes = shape.components < V::kBytes ? few_codes : codes + begin;
    origin = V::Set(static_cast<char>(kZero + shape.offset));
    const Type ones = V::Set(static_cast<char>(0xFF));
    const Type is_none = V::Keep(V::Has(its_codes, 0), ones);
    predicted = V::Xor(is_none, ones);
    none = V::Keep(V::Has(its_codes, 0), V::Set(kZero));
    left_only = V::Keep(V::Has(its_codes, 1), ones);
    up_only = V::Keep(V::Has(its_codes, 2), ones);
    average = V::Has(its_codes, 3);
    gradient = V::Has(its_codes, 4);
  }

  FMTC_INLINE Type PredictFromOne(Type neighbour) const { return V::Join(predicted, neighbour, none); }

  FMTC_INLINE Type Predict(Type up) const {
    // L + U - clamp(UL) is the clamped L + U - UL, and stays in bytes.
    const Type clamped = V::Min(V::Max(up_left, V::Min(left, up)), V::Max(left, up));
    Type p = V::Join(left_only, left, V::Join(up_only, up, none));
    p = V::SelectAverage(average, p, left, up);
    return V::SelectDifference(gradient, p, V::Add(left, up), clamped);
  }

  // From the value in `in` and the prediction P' to the result. index' = P' - residual; residual = P' - index'.
  template <bool kDecode>
  FMTC_INLINE void Finish(Type prediction, const uint8_t* in, uint8_t* out) {
    const Type value = V::Load(in + begin);
    if (kDecode) {
      left = V::Sub(prediction, value);
      V::Store(out + begin, V::Sub(origin, left));
    } else {
      left = V::Sub(origin, value);
      V::Store(out + begin, V::Sub(prediction, left));
    }
  }

  // What the first pixel has to its left: the pixel above it, or zero.
  template <bool kHasAbove>
  FMTC_INLINE void Start(const uint8_t* above) {
    left = up_left = kHasAbove ? V::Sub(origin, V::Load(above + begin)) : V::Set(kZero);
  }

  template <bool kDecode, bool kHasAbove>
  FMTC_INLINE void NextPixel(const uint8_t* above, const uint8_t* in, uint8_t* out) {
    if (!kHasAbove) return Finish<kDecode>(PredictFromOne(left), in, out);
    const Type up = V::Sub(origin, V::Load(above + begin));
    const Type prediction = Predict(up);
    up_left = up;
    Finish<kDecode>(prediction, in, out);
  }
};

// Some columns, from left to right. Each waits for the pixel to the left, so that several of them are done at a time.
// Where a pixel is narrower than a vector, the next pixel's store corrects what is behind it.
template <bool kDecode, bool kHasAbove, typename... Columns>
FMTC_INLINE void ProcessColumns(RowShape shape, const uint8_t* above, const uint8_t* in, uint8_t* out,
                                Columns... columns) {
  (columns.template Start<kHasAbove>(above), ...);
  for (uint32_t x = 0; x < shape.width; ++x) {
    (columns.template NextPixel<kDecode, kHasAbove>(above, in, out), ...);
    if (kHasAbove) above += shape.components;
    in += shape.components;
    out += shape.components;
  }
}

// Half is a vector of half the size for the last components, or the same.
template <typename V, typename Half, bool kDecode, bool kHasAbove>
FMTC_INLINE void ProcessRow(RowShape shape, const uint8_t* codes, const uint8_t* above, const uint8_t* in,
                            uint8_t* out) {
  constexpr size_t kStep = V::kBytes;
  const size_t n = shape.components;
  size_t begin = 0;
  const auto next = [&] {
    const Column<V> column(shape, codes, begin);
    begin += kStep;
    return column;
  };
  const auto process = [&](auto... columns) { ProcessColumns<kDecode, kHasAbove>(shape, above, in, out, columns...); };
  const auto finish = [&](auto... columns) {
    if (n - begin <= Half::kBytes) {
      process(columns..., Column<Half>(shape, codes, begin));
    } else {
      process(columns..., next());
    }
  };
  // Braces, since they say in which order their parts are made.
  while (n - begin > 4 * kStep) std::apply(process, std::tuple{next(), next(), next()});
  if (n - begin > 3 * kStep) std::apply(process, std::tuple{next(), next()});
  if (n - begin > 2 * kStep) {
    std::apply(finish, std::tuple{next(), next()});
  } else if (n - begin > kStep) {
    finish(next());
  } else {
    finish();
  }
}

template <typename V, typename Half, bool kDecode>
FMTC_INLINE void ProcessAnyRow(RowShape shape, const uint8_t* codes, const uint8_t* above, const uint8_t* in,
                               uint8_t* out) {
  if (above != nullptr) {
    ProcessRow<V, Half, kDecode, true>(shape, codes, above, in, out);
  } else {
    ProcessRow<V, Half, kDecode, false>(shape, codes, above, in, out);
  }
}

}  // namespace
}  // namespace fmtc

#endif  // FMTC_CODEC_KERNELS_PREDICT_ROWS_INL_H_
