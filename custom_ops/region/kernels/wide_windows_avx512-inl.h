// 3x3 depthwise windows of 64 channels. Included behind vector_rows-inl.h.
//
// Three rows of 64 bytes become four vectors of 16 channels by unpacking within lanes; packing the sums to bytes undoes
// it, so that neither takes a shuffle across lanes.
#ifndef FMTC_REGION_KERNELS_WIDE_WINDOWS_AVX512_INL_H_
#define FMTC_REGION_KERNELS_WIDE_WINDOWS_AVX512_INL_H_

namespace fmtc::region {
namespace {

constexpr int kWideVectors = 4;

// Something of 64 channels: of lane l of vector i, four channels from 16 * l + 4 * i on.
struct WideVectors {
  __m512i v[kWideVectors];

  // Bytes of three rows beside each other.
  static FMTC_INLINE WideVectors Interleave(const uint8_t* a, const uint8_t* b, const uint8_t* c) {
    const __m512i zero = _mm512_setzero_si512();
    const __m512i first = _mm512_loadu_si512(a), second = _mm512_loadu_si512(b), third = _mm512_loadu_si512(c);
    const __m512i low = _mm512_unpacklo_epi8(first, second), high = _mm512_unpackhi_epi8(first, second);
    const __m512i low_rest = _mm512_unpacklo_epi8(third, zero), high_rest = _mm512_unpackhi_epi8(third, zero);
    return {{_mm512_unpacklo_epi16(low, low_rest), _mm512_unpackhi_epi16(low, low_rest),
             _mm512_unpacklo_epi16(high, high_rest), _mm512_unpackhi_epi16(high, high_rest)}};
  }
  // Words, 64 of them from `p` on.
  static FMTC_INLINE WideVectors Transpose(const void* p) {
    const __m512i* at = static_cast<const __m512i*>(p);
    const __m512i a = _mm512_loadu_si512(at), b = _mm512_loadu_si512(at + 1), c = _mm512_loadu_si512(at + 2),
                  d = _mm512_loadu_si512(at + 3);
    const __m512i ab = _mm512_shuffle_i32x4(a, b, 0x44), ab_rest = _mm512_shuffle_i32x4(a, b, 0xEE);
    const __m512i cd = _mm512_shuffle_i32x4(c, d, 0x44), cd_rest = _mm512_shuffle_i32x4(c, d, 0xEE);
    return {{_mm512_shuffle_i32x4(ab, cd, 0x88), _mm512_shuffle_i32x4(ab, cd, 0xDD),
             _mm512_shuffle_i32x4(ab_rest, cd_rest, 0x88), _mm512_shuffle_i32x4(ab_rest, cd_rest, 0xDD)}};
  }
};

// Weights may stay in memory: there are not registers for all.
FMTC_INLINE __m512i AddWideProducts(__m512i sums, __m512i x, const __m512i& w) {
  __asm__("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(x), "vm"(w));
  return sums;
}

FMTC_INLINE WideVectors WideShifts(const int8_t* shifts) {
  constexpr uint8_t kZeros[kWideChannels] = {};
  WideVectors wide = WideVectors::Interleave(reinterpret_cast<const uint8_t*>(shifts), kZeros, kZeros);
  for (__m512i& v : wide.v) v = _mm512_srai_epi32(_mm512_slli_epi32(v, 24), 24);
  return wide;
}

// The rules of 64 channels from `channel` on, by vectors.
template <class Rounding>
struct WideRules {
  WideVectors multipliers, shifts;

  FMTC_INLINE WideRules(const Requantization& r, int32_t channel)
      : multipliers(WideVectors::Transpose(r.multipliers + 4 * ptrdiff_t{channel})),
        shifts(WideShifts(r.shifts + channel)) {}
  FMTC_INLINE Rule<Rounding> Of(int i) const { return {Sums{multipliers.v[i]}, Sums{shifts.v[i]}}; }
};
template <>
struct WideRules<SmallFloat32> {
  WideVectors factors;

  FMTC_INLINE WideRules(const Requantization& r, int32_t channel)
      : factors(WideVectors::Transpose(r.multipliers + 4 * ptrdiff_t{channel})) {}
  FMTC_INLINE Rule<SmallFloat32> Of(int i) const {
    return Rule<SmallFloat32>(Floats{_mm512_castsi512_ps(factors.v[i])});
  }
};

template <class Rounding, int kStride>
void SlideWideWindow(const MacRow& row, int32_t channel) {
  const uint8_t* weights = reinterpret_cast<const uint8_t*>(row.weights) + channel;
  const ptrdiff_t weights_of_row = kSlidingSide * row.tap_weights;
  WideVectors taps[kSlidingSide];
  for (int j = 0; j < kSlidingSide; ++j, weights += row.tap_weights) {
    taps[j] = WideVectors::Interleave(weights, weights + weights_of_row, weights + 2 * weights_of_row);
  }
  const WideVectors biases = WideVectors::Transpose(row.requantization.biases + channel);
  const WideRules<Rounding> of_channels(row.requantization, channel);
  const Rule<Rounding> rules[kWideVectors] = {of_channels.Of(0), of_channels.Of(1), of_channels.Of(2),
                                              of_channels.Of(3)};
  const ByteRange range(row.requantization.range);
  const uint8_t* at[kSlidingSide];
  ptrdiff_t steps[kSlidingSide];
  for (int i = 0; i < kSlidingSide; ++i) {
    at[i] = row.rows[i].first + channel;
    steps[i] = row.rows[i].column_bytes == 0 ? 0 : row.pixel_bytes;
  }
  const auto next = [&] {
    const WideVectors column = WideVectors::Interleave(at[0], at[1], at[2]);
    FMTC_UNROLL for (int i = 0; i < kSlidingSide; ++i) at[i] += steps[i];
    return column;
  };
  WideVectors columns[kSlidingSide];
  FMTC_UNROLL for (int j = 0; j < kSlidingSide - kStride; ++j) columns[j] = next();
  uint8_t* out = row.out + channel;
  for (int32_t x = 0; x < row.columns; ++x, out += row.out_pixel_bytes) {
    FMTC_UNROLL for (int j = kSlidingSide - kStride; j < kSlidingSide; ++j) columns[j] = next();
    Sums sums[kPackSums];
    FMTC_UNROLL for (int i = 0; i < kWideVectors; ++i) {
      __m512i sum = biases.v[i];
      FMTC_UNROLL for (int j = 0; j < kSlidingSide; ++j) sum = AddWideProducts(sum, columns[j].v[i], taps[j].v[i]);
      sums[i] = rules[i](Sums{sum});
    }
    _mm512_storeu_si512(out, Packed::InLanes(sums, range));
    FMTC_UNROLL for (int j = 0; j < kSlidingSide - kStride; ++j) columns[j] = columns[j + kStride];
  }
}

}  // namespace
}  // namespace fmtc::region

#endif  // FMTC_REGION_KERNELS_WIDE_WINDOWS_AVX512_INL_H_
