// The step quantizer on rows, for any vector of 16-bit lanes. To be included between FMTC_BEGIN_TARGET_* and
// FMTC_END_TARGET.
//
// V has: Type; kLanes; Load16(p), of 16-bit lanes; LoadSigned(p), of bytes; Set(value); Add, Sub, Min (signed), MulLow,
// MulHigh (unsigned), Abs, Xor, ShiftLeft4, ShiftRight4 and Signs, -1 where negative; Negate(a, sign), -a where `sign`
// is negative. Bytes, as many of them; LoadBytes(p), StoreBytes(p, a) and SetBytes(value); SubBytes, XorBytes, MinBytes
// and MaxBytes (signed); Widen, unsigned; Low, the low byte of each lane, and Saturate, the nearest signed byte.
#ifndef FMTC_KERNELS_QUANTIZE_ROWS_H_
#define FMTC_KERNELS_QUANTIZE_ROWS_H_

namespace fmtc {
namespace {

// Columns of components, over all pixels of a row. The last column ends where the pixel ends, and does some components
// again; there are at least as many components as lanes.
template <typename V, typename Column, typename Stage>
FMTC_INLINE void ForEachColumn(const Stage& stage, uint32_t width, const uint8_t* in, uint8_t* out) {
  const size_t components = stage.codec->side_info.components;
  const size_t last = components - V::kLanes;
  for (size_t j = 0;; j = j + V::kLanes < last ? j + V::kLanes : last) {
    const Column column(stage, j);
    size_t at = j;
    for (uint32_t x = 0; x < width; ++x, at += components) column.Apply(in + at, out + at);
    if (j == last) break;
  }
}

template <typename V>
struct QuantizeColumn {
  typename V::Type flip, centre, half, factor, scale;

  FMTC_INLINE QuantizeColumn(const Analysis& analysis, size_t j)
      : flip(V::Set(static_cast<int8_t>(analysis.flip))),
        centre(V::Load16(analysis.steps.centres + j)),
        half(V::Load16(analysis.steps.halves + j)),
        factor(V::Load16(analysis.steps.factors + j)),
        scale(V::Load16(analysis.steps.scales + j)) {}

  FMTC_INLINE void Apply(const uint8_t* values, uint8_t* indices) const {
    // The flip, sign-extended, changes the bits above the byte too, but only as the sign's extension does.
    const typename V::Type d = V::Sub(V::Xor(V::LoadSigned(values), flip), centre);
    const typename V::Type n = V::Add(V::ShiftLeft4(V::Abs(d)), half);
    V::StoreBytes(indices, V::Low(V::Negate(V::MulHigh(V::MulHigh(n, factor), scale), d)));
  }
};

template <typename V>
struct DequantizeColumn {
  typename V::Type offset, step, smallest, largest;
  typename V::Bytes smallest_byte, lo, hi, flip;

  FMTC_INLINE DequantizeColumn(const Synthesis& synthesis, size_t j)
      : step(V::Load16(synthesis.steps.steps + j)),
        smallest(V::Load16(synthesis.steps.smallest + j)),
        largest(V::Load16(synthesis.steps.largest + j)),
        lo(V::SetBytes(synthesis.codec->side_info.lo)),
        hi(V::SetBytes(synthesis.codec->side_info.hi)),
        flip(V::SetBytes(static_cast<int8_t>(synthesis.flip))) {
    // The centre, and half a unit to round, in units of 1/16.
    offset = V::Add(V::ShiftLeft4(V::Load16(synthesis.steps.centres + j)), V::Set(8));
    smallest_byte = V::Low(smallest);
  }

  FMTC_INLINE void Apply(const uint8_t* indices, uint8_t* values) const {
    const typename V::Type above_smallest = V::Widen(V::SubBytes(V::LoadBytes(indices), smallest_byte));
    const typename V::Type index = V::Min(V::Add(smallest, above_smallest), largest);
    const typename V::Type product = V::MulLow(index, step);
    const typename V::Type sum = V::Add(V::Add(product, V::Signs(product)), offset);
    const typename V::Bytes value = V::Saturate(V::ShiftRight4(sum));
    V::StoreBytes(values, V::XorBytes(V::MaxBytes(V::MinBytes(value, hi), lo), flip));
  }
};

template <typename V>
FMTC_INLINE void QuantizeRow(const Analysis& analysis, uint32_t width, const uint8_t* values, uint8_t* indices) {
  ForEachColumn<V, QuantizeColumn<V>>(analysis, width, values, indices);
}

template <typename V>
FMTC_INLINE void DequantizeRow(const Synthesis& synthesis, uint32_t width, const uint8_t* indices, uint8_t* values) {
  ForEachColumn<V, DequantizeColumn<V>>(synthesis, width, indices, values);
}

}  // namespace
}  // namespace fmtc

#endif  // FMTC_KERNELS_QUANTIZE_ROWS_H_
