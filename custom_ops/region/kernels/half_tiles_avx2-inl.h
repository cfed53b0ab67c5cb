// Tiles of half a block: 8 output channels or fewer, which small networks and the last channels of others have. A
// vector has the sums of one column, and Sums those of two. Included where FMTC_BEGIN_TARGET_AVX2 holds, behind
// conv_rows-inl.h.
#ifndef FMTC_REGION_KERNELS_HALF_TILES_AVX2_INL_H_
#define FMTC_REGION_KERNELS_HALF_TILES_AVX2_INL_H_

namespace fmtc::region {
namespace {

// Weights of a step, of the first half of the block's channels.
struct HalfWeights {
  __m256i even, odd;

  static FMTC_INLINE HalfWeights Load(const int8_t* p) {
    const __m256i bytes = Load32(p);
    return {_mm256_srai_epi16(_mm256_slli_epi16(bytes, 8), 8), _mm256_srai_epi16(bytes, 8)};
  }
};

FMTC_INLINE __m256i AddProducts(__m256i sums, const StepValues& x, const HalfWeights& w) {
  sums = _mm256_add_epi32(sums, _mm256_madd_epi16(x.even, w.even));
  return _mm256_add_epi32(sums, _mm256_madd_epi16(x.odd, w.odd));
}

template <int kColumns>
FMTC_INLINE const int8_t* AddHalfTap(const uint8_t* tap, int32_t bytes, ptrdiff_t column_bytes, const int8_t* weights,
                                     __m256i (&sums)[kColumns]) {
  const uint8_t* const end = tap + bytes;
  ColumnPointers<kColumns> columns(tap, column_bytes);
  for (; columns.first[0] < end; columns.Advance(), weights += kChannelBlock * kStepValues) {
    const HalfWeights w = HalfWeights::Load(weights);
    FMTC_UNROLL for (int t = 0; t < kColumns; ++t) {
      sums[t] = AddProducts(sums[t], StepValues::Of(LoadWord(columns.At(t))), w);
    }
  }
  return weights;
}

// The bytes of two columns, half of them each; of each only its channels.
FMTC_INLINE void StoreHalves(Bytes16 bytes, int32_t channels, int columns, ptrdiff_t pixel, uint8_t* out) {
  const auto store = [&](uint8_t* p, Bytes16 half) {
    if (channels == kChannelBlock / 2) return HalfBlock().Store(p, half);
    StoreFew(p, channels, static_cast<uint64_t>(_mm_cvtsi128_si64(half)));
  };
  store(out, bytes);
  if (columns > 1) store(out + pixel, _mm_unpackhi_epi64(bytes, bytes));
}

template <int kColumns>
void Float32HalfTiles(const MacRow& row, const Taps& taps, const ConvBlocks& blocks, int32_t column, int32_t tiles) {
  constexpr int kTogether = 2 * kPackSums;  // columns that become bytes at a time
  const __m256i start = Load32(blocks.start);
  const __m256 factors = _mm256_loadu_ps(reinterpret_cast<const float*>(
      row.requantization.multipliers + sizeof(float) * static_cast<size_t>(blocks.first)));
  const ByteRange range(row.requantization.range);
  for (; tiles > 0; --tiles, column += kColumns) {
    __m256i sums[kColumns];
    FMTC_UNROLL for (int t = 0; t < kColumns; ++t) sums[t] = start;
    const int8_t* weights = blocks.weights;
    for (int i = 0; i < taps.rows; ++i) {
      const ptrdiff_t column_bytes = row.rows[i].column_bytes;
      const uint8_t* tap = row.rows[i].first + column * column_bytes + blocks.group;
      for (int j = 0; j < taps.columns; ++j, tap += row.tap_bytes) {
        weights = AddHalfTap<kColumns>(tap, taps.bytes, column_bytes, weights, sums);
      }
    }
    FMTC_UNROLL for (int t = 0; t < kColumns; ++t) {
      sums[t] = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_cvtepi32_ps(sums[t]), factors));
    }
    uint8_t* out = blocks.out + column * row.out_pixel_bytes;
    FMTC_UNROLL for (int t = 0; t < kColumns; t += kTogether) {
      Sums pack[kPackSums];
      FMTC_UNROLL for (int i = 0; i < kPackSums; ++i) {
        const int a = t + 2 * i < kColumns ? t + 2 * i : kColumns - 1, b = a + 1 < kColumns ? a + 1 : a;
        pack[i] = {sums[a], sums[b]};
      }
      Bytes16 pieces[kPackSums];
      Packed(pack, range).Split(pieces);
      FMTC_UNROLL for (int i = 0; i < kPackSums; ++i) {
        const int first = t + 2 * i;
        if (first >= kColumns) continue;
        StoreHalves(pieces[i], blocks.channels, kColumns - first, row.out_pixel_bytes,
                    out + first * row.out_pixel_bytes);
      }
    }
  }
}

}  // namespace
}  // namespace fmtc::region

#endif  // FMTC_REGION_KERNELS_HALF_TILES_AVX2_INL_H_
