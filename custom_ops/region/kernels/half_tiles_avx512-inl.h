// Tiles of half a block with AVX-512: 8 output channels or fewer, which small networks have. A vector has the sums of a
// column for two steps that follow one another, or, where columns are words that do, those of two columns for one step.
// Included behind conv_rows-inl.h.
#ifndef FMTC_REGION_KERNELS_HALF_TILES_AVX512_INL_H_
#define FMTC_REGION_KERNELS_HALF_TILES_AVX512_INL_H_

namespace fmtc::region {
namespace {

constexpr int kHalfChannels = kChannelBlock / 2;
constexpr int kStepWeightBytes = kChannelBlock * kStepValues;
constexpr __mmask16 kEven = 0x5555, kOdd = 0xAAAA;

FMTC_INLINE __m512i EachTwice(__m512i v) {
  return _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7), v);
}

// Weights of two steps, those of each channel beside each other.
FMTC_INLINE __m512i WeightsOfTwo(const int8_t* p) {
  const __m512i places = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  return _mm512_permutex2var_epi32(_mm512_loadu_si512(p), places, _mm512_loadu_si512(p + kStepWeightBytes));
}

FMTC_INLINE __m512i TwoWords(const uint8_t* p) {
  return _mm512_broadcastq_epi64(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
}

FMTC_INLINE __m512i OneWord(const uint8_t* p) { return StepValues::Of(LoadWord(p)).v; }

FMTC_INLINE __m512i AddHalfProducts(__m512i sums, __m512i x, __m512i w) { return AddDotProducts({sums}, x, w).v; }

// Sums of columns that lie anywhere, two steps at a time.
template <int kColumns>
struct SumsOfColumns {
  __m512i v[kColumns];

  explicit FMTC_INLINE SumsOfColumns(const int32_t* start) {
    const __m512i sums = _mm512_maskz_mov_epi32(kEven, EachTwice(_mm512_loadu_si512(start)));
    FMTC_UNROLL for (int t = 0; t < kColumns; ++t) v[t] = sums;
  }
  FMTC_INLINE const int8_t* AddTap(const uint8_t* tap, int32_t bytes, ptrdiff_t column_bytes, const int8_t* weights) {
    ColumnPointers<kColumns> columns(tap, column_bytes);
    for (; bytes > kStepValues; bytes -= 2 * kStepValues, weights += 2 * kStepWeightBytes) {
      const __m512i w = WeightsOfTwo(weights);
      FMTC_UNROLL for (int t = 0; t < kColumns; ++t) v[t] = AddHalfProducts(v[t], TwoWords(columns.At(t)), w);
      columns.Advance();
      columns.Advance();
    }
    if (bytes <= 0) return weights;
    const __m512i w = _mm512_maskz_mov_epi32(kEven, EachTwice(_mm512_loadu_si512(weights)));
    FMTC_UNROLL for (int t = 0; t < kColumns; ++t) v[t] = AddHalfProducts(v[t], OneWord(columns.At(t)), w);
    return weights + kStepWeightBytes;
  }
  // Those of columns 2 i and 2 i + 1, beside each other for each channel.
  FMTC_INLINE __m512i Pair(int i) const {
    const __m512i a = v[2 * i], b = v[2 * i + 1 < kColumns ? 2 * i + 1 : 2 * i];
    const __m512i others = _mm512_mask_shuffle_epi32(_mm512_shuffle_epi32(a, _MM_PERM_CDAB), kOdd, b, _MM_PERM_CDAB);
    return _mm512_add_epi32(_mm512_mask_blend_epi32(kOdd, a, b), others);
  }
};

// Sums of columns whose words follow one another, or are one.
template <int kColumns>
struct SumsOfWords {
  static constexpr int kPairs = (kColumns + 1) / 2;
  __m512i v[kPairs];

  explicit FMTC_INLINE SumsOfWords(const int32_t* start) {
    const __m512i sums = EachTwice(_mm512_loadu_si512(start));
    FMTC_UNROLL for (int i = 0; i < kPairs; ++i) v[i] = sums;
  }
  FMTC_INLINE const int8_t* AddTap(const uint8_t* tap, int32_t bytes, ptrdiff_t column_bytes, const int8_t* weights) {
    for (; bytes > 0; bytes -= kStepValues, tap += kStepValues, weights += kStepWeightBytes) {
      const __m512i w = EachTwice(_mm512_loadu_si512(weights));
      if (column_bytes == 0) {
        const __m512i x = OneWord(tap);
        FMTC_UNROLL for (int i = 0; i < kPairs; ++i) v[i] = AddHalfProducts(v[i], x, w);
        continue;
      }
      FMTC_UNROLL for (int i = 0; i < kPairs; ++i) {
        const uint8_t* p = tap + 2 * i * kStepValues;
        v[i] = AddHalfProducts(v[i], 2 * i + 1 < kColumns ? TwoWords(p) : OneWord(p), w);
      }
    }
    return weights;
  }
  FMTC_INLINE __m512i Pair(int i) const { return v[i]; }
};

// How pixels of a row are written, 8 at a time.
struct HalfPixels {
  static constexpr int kColumns = 8;
  ptrdiff_t pixel_bytes;
  __mmask64 pixel, channels;  // of each 8 bytes those of a pixel, and those to be written

  FMTC_INLINE HalfPixels(ptrdiff_t bytes, int32_t count) : pixel_bytes(bytes) {
    constexpr uint64_t kEach = 0x0101010101010101u;
    pixel = kEach * _bzhi_u32(0xFF, static_cast<uint32_t>(bytes < kHalfChannels ? bytes : kHalfChannels));
    channels = kEach * _bzhi_u32(0xFF, static_cast<uint32_t>(count));
  }
  // `bytes` as Packed::InLanes leaves four pairs.
  FMTC_INLINE void Store(__m512i bytes, int count, uint8_t* out) const {
    const __m512i first = _mm512_set1_epi64(0x3230222012100200);  // channels of a column
    const __m512i places = _mm512_add_epi8(
        first, _mm512_setr_epi64(0, 0x0101010101010101, 0x0404040404040404, 0x0505050505050505, 0x0808080808080808,
                                 0x0909090909090909, 0x0C0C0C0C0C0C0C0C, 0x0D0D0D0D0D0D0D0D));
    const __m512i columns = _mm512_permutexvar_epi8(places, bytes);
    const __mmask64 written = _bzhi_u64(channels, static_cast<uint32_t>(count * kHalfChannels));
    if (pixel_bytes == kHalfChannels) return _mm512_mask_storeu_epi8(out, written, columns);
    if (pixel_bytes < kHalfChannels) {
      return _mm512_mask_storeu_epi8(out, _pext_u64(written, pixel), _mm512_maskz_compress_epi8(pixel, columns));
    }
    for (int t = 0; t < count; ++t) {
      const __m512i column = _mm512_permutexvar_epi64(_mm512_set1_epi64(t), columns);
      _mm_mask_storeu_epi8(out + t * pixel_bytes, static_cast<__mmask16>(channels & 0xFF),
                           _mm512_castsi512_si128(column));
    }
  }
};

template <class HalfSums, int kColumns>
FMTC_INLINE void HalfTiles(const MacRow& row, const Taps& taps, const ConvBlocks& blocks, int32_t column,
                           int32_t tiles) {
  const float* factors = reinterpret_cast<const float*>(row.requantization.multipliers) + blocks.first;
  const Floats scale{_mm512_castsi512_ps(EachTwice(_mm512_loadu_si512(factors)))};
  const ByteRange range(row.requantization.range);
  const HalfPixels pixels(row.out_pixel_bytes, blocks.channels);
  for (; tiles > 0; --tiles, column += kColumns) {
    HalfSums sums(blocks.start);
    const int8_t* weights = blocks.weights;
    for (int i = 0; i < taps.rows; ++i) {
      const ptrdiff_t column_bytes = row.rows[i].column_bytes;
      const uint8_t* tap = row.rows[i].first + column * column_bytes + blocks.group;
      for (int j = 0; j < taps.columns; ++j, tap += row.tap_bytes) {
        weights = sums.AddTap(tap, taps.bytes, column_bytes, weights);
      }
    }
    uint8_t* out = blocks.out + column * row.out_pixel_bytes;
    FMTC_UNROLL for (int t = 0; t < kColumns; t += HalfPixels::kColumns) {
      Sums pack[kPackSums];
      FMTC_UNROLL for (int i = 0; i < kPackSums; ++i) {
        const int first = t + 2 * i < kColumns ? t + 2 * i : t;
        pack[i] = (Floats::Of(Sums{sums.Pair(first / 2)}) * scale).Rounded();
      }
      const int count = kColumns - t < HalfPixels::kColumns ? kColumns - t : HalfPixels::kColumns;
      pixels.Store(Packed::InLanes(pack, range), count, out + t * row.out_pixel_bytes);
    }
  }
}

template <int kColumns>
void Float32HalfTiles(const MacRow& row, const Taps& taps, const ConvBlocks& blocks, int32_t column, int32_t tiles) {
  bool are_words = true;
  for (int i = 0; i < taps.rows; ++i) are_words &= (row.rows[i].column_bytes & ~ptrdiff_t{kStepValues}) == 0;
  if (are_words) return HalfTiles<SumsOfWords<kColumns>, kColumns>(row, taps, blocks, column, tiles);
  HalfTiles<SumsOfColumns<kColumns>, kColumns>(row, taps, blocks, column, tiles);
}

}  // namespace
}  // namespace fmtc::region

#endif  // FMTC_REGION_KERNELS_HALF_TILES_AVX512_INL_H_
