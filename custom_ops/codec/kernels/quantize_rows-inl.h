// The step quantizer on rows, for any vector of bytes. To be included between FMTC_BEGIN_TARGET_* and FMTC_END_TARGET,
// behind codec/analysis.h, codec/quantizer.h and codec/synthesis.h.
//
// V has: Type, of kBytes bytes, unsigned unless something else is said; Load(p), Store(p, a), Set(byte), Add, Sub, Min,
// Max, Xor, Difference(a, b), which is |a - b|; SelectBelow(a, b, c, d), c where a < b and d elsewhere; NegateBelow(a,
// b, c), -c where a < b and c elsewhere; c is 0 where a = b. Words, kBytes of 16 bits in an order of its own:
// LoadWords(p); Unpack(low, high), words of these bytes, and Pack(words), their bytes, 0 or 255 where they are beyond
// those; of words AddWords, Average, rounded up, MulHigh, Shift<n>, to the left if n > 0.
#ifndef FMTC_CODEC_KERNELS_QUANTIZE_ROWS_INL_H_
#define FMTC_CODEC_KERNELS_QUANTIZE_ROWS_INL_H_

#include "codec/synthesis_rows-inl.h"

namespace fmtc {
namespace {

// As unsigned bytes are.
template <typename V>
FMTC_INLINE typename V::Type LoadCentres(const int16_t* centres) {
  return V::Xor(V::PackSigned(V::LoadWords(centres)), V::Set(0x80));
}

// Steps of kBytes components from j on. QuantizeDifference, with eight times its n.
template <typename V>
struct QuantizeColumn {
  size_t begin;  // its first component
  typename V::Type flip, centre;
  typename V::Words half, factor, scale;

  FMTC_INLINE QuantizeColumn(const Analysis& analysis, size_t j)
      : begin(j),
        flip(V::Set(analysis.flip ^ 0x80)),
        centre(LoadCentres<V>(analysis.steps.centres + j)),
        half(V::template Shift<4>(V::LoadWords(analysis.steps.halves + j))),
        factor(V::LoadWords(analysis.steps.factors + j)),
        scale(V::template Shift<-3>(V::LoadWords(analysis.steps.scales + j))) {}

  FMTC_INLINE void Apply(const uint8_t* values, uint8_t* indices) const {
    const typename V::Type value = V::Xor(V::Load(values + begin), flip);
    // (256 |d| + 16 half) / 2.
    const typename V::Words n = V::Average(V::Unpack(V::Set(0), V::Difference(value, centre)), half);
    const typename V::Type magnitude = V::Pack(V::MulHigh(V::MulHigh(n, factor), scale));
    V::Store(indices + begin, V::NegateBelow(value, centre, magnitude));
  }
};

// With all values allowed and nothing to flip, what the sums saturate to is the result.
template <typename V, bool kLimits>
struct DequantizeColumn {
  size_t begin;  // its first component
  typename V::Type zero, range, fraction_below, fraction_above, lo, hi, flip;
  typename V::Words slope, base;

  FMTC_INLINE DequantizeColumn(const Synthesis& synthesis, size_t j)
      : begin(j),
        zero(V::Load(synthesis.steps.zeros + j)),
        range(V::Load(synthesis.steps.ranges + j)),
        fraction_below(V::Load(synthesis.steps.fractions_below + j)),
        fraction_above(V::Load(synthesis.steps.fractions_above + j)),
        slope(V::template Shift<4>(V::LoadWords(synthesis.steps.steps + j))),
        base(V::LoadWords(synthesis.steps.bases + j)) {
    // Bases are those of unsigned bytes.
    if (!kLimits) base = V::AddWords(base, V::Unpack(V::Set(0x80), V::Set(0xFF)));
    const UnsignedLimits limits(synthesis);
    lo = V::Set(limits.lo);
    hi = V::Set(limits.hi);
    flip = V::Set(limits.flip);
  }

  FMTC_INLINE void Apply(const uint8_t* indices, uint8_t* values) const {
    const typename V::Type lifted = V::Min(V::Add(V::Load(indices + begin), zero), range);
    const typename V::Type fraction = V::SelectBelow(lifted, zero, fraction_below, fraction_above);
    const typename V::Words value = V::AddWords(V::MulHigh(V::Unpack(fraction, lifted), slope), base);
    if (kLimits) {
      V::Store(values + begin, V::Xor(V::Min(V::Max(V::Pack(value), lo), hi), flip));
    } else {
      V::Store(values + begin, V::PackSigned(value));
    }
  }
};

template <typename V>
using LimitingColumn = DequantizeColumn<V, true>;
template <typename V>
using SaturatingColumn = DequantizeColumn<V, false>;

// A row, as pixels that have at least as many components as a vector has lanes, several real ones where those are
// narrow. The last pixel ends where the row ends, and the last column where the pixel ends; both do some again.
struct WidePixels {
  size_t components, count, last;  // where the last pixel begins

  // count is 0 if the row is too short.
  FMTC_INLINE WidePixels(uint32_t width, uint32_t narrow_components) : components(StepColumns(narrow_components)) {
    const size_t row = size_t{width} * narrow_components;
    count = (row + components - 1) / components;
    if (row < components) count = 0;
    last = row - components;
  }
};

// Columns over all pixels; each has its first component and what it does.
template <typename... Columns>
FMTC_INLINE void ApplyColumns(const WidePixels& pixels, const uint8_t* in, uint8_t* out, const Columns&... columns) {
  size_t at = 0;
  for (size_t x = 1; x < pixels.count; ++x, at += pixels.components) (columns.Apply(in + at, out + at), ...);
  (columns.Apply(in + pixels.last, out + pixels.last), ...);
}

// Half is a vector of half the size, or the same. Two columns at a time, so that memory is written in order.
template <typename V, typename Half, template <typename> class Column, typename Stage>
FMTC_INLINE void ForEachColumn(const Stage& stage, const WidePixels& pixels, const uint8_t* in, uint8_t* out) {
  const size_t n = pixels.components;
  size_t j = 0;
  for (; j + 2 * V::kBytes <= n; j += 2 * V::kBytes) {
    ApplyColumns(pixels, in, out, Column<V>(stage, j), Column<V>(stage, j + V::kBytes));
  }
  const size_t left = n - j;
  if (left == 0) return;
  if (left <= Half::kBytes) {
    ApplyColumns(pixels, in, out, Column<Half>(stage, n - Half::kBytes));
  } else if (left <= V::kBytes) {
    ApplyColumns(pixels, in, out, Column<V>(stage, n - V::kBytes));
  } else if (left <= V::kBytes + Half::kBytes) {
    ApplyColumns(pixels, in, out, Column<V>(stage, j), Column<Half>(stage, n - Half::kBytes));
  } else {
    ApplyColumns(pixels, in, out, Column<V>(stage, j), Column<V>(stage, n - V::kBytes));
  }
}

// False if the row is too short for vectors.
template <typename V, typename Half = V>
FMTC_INLINE bool QuantizeRow(const Analysis& analysis, uint32_t width, const uint8_t* values, uint8_t* indices) {
  const WidePixels pixels(width, analysis.codec->side_info.components);
  if (pixels.count == 0) return false;
  ForEachColumn<V, Half, QuantizeColumn>(analysis, pixels, values, indices);
  return true;
}

// False if the row is too short for vectors, or there are no fractions.
template <typename V, typename Half = V>
FMTC_INLINE bool DequantizeRow(const Synthesis& synthesis, uint32_t width, const uint8_t* indices, uint8_t* values) {
  const WidePixels pixels(width, synthesis.codec->side_info.components);
  if (pixels.count == 0 || !synthesis.steps.has_fractions) return false;
  const SideInfo& info = synthesis.codec->side_info;
  if (info.lo == -128 && info.hi == 127 && synthesis.flip == 0) {
    ForEachColumn<V, Half, SaturatingColumn>(synthesis, pixels, indices, values);
  } else {
    ForEachColumn<V, Half, LimitingColumn>(synthesis, pixels, indices, values);
  }
  return true;
}

}  // namespace
}  // namespace fmtc

#endif  // FMTC_CODEC_KERNELS_QUANTIZE_ROWS_INL_H_
