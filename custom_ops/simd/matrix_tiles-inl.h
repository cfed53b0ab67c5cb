// Products of a packed matrix and pixels, in tiles of sums that fit the registers, for any vector. To be included
// between FMTC_BEGIN_TARGET_* and FMTC_END_TARGET, behind simd/packed_matrix.h.
//
// V has: Group, the 32-bit sums of kMatrixGroup outputs; kPixels and kGroups, how many fit the registers at a time;
// LoadSums(p, more), the sums at p plus `more` each; Pairs and LoadPairs(p), of 16-bit inputs for each output of a
// group; Input and LoadInput(p), one pair for all outputs; AddProducts(pairs, input, &sums); Bytes and
// Finish(sums, rounding), what becomes of them; Store(p, bytes); StoreSums(p, sums).
#ifndef FMTC_SIMD_MATRIX_TILES_INL_H_
#define FMTC_SIMD_MATRIX_TILES_INL_H_

namespace fmtc {
namespace {

// What becomes of the sums: clamp((sum + bias + 2^(shift - 1)) >> shift, lo, hi) ^ flip.
struct Rounding {
  uint32_t shift;
  int8_t lo, hi;
  uint8_t flip;
};

template <typename V>
FMTC_INLINE void StoreGroup(uint32_t outputs, typename V::Bytes bytes, uint8_t* out) {
  if (outputs >= kMatrixGroup) return V::Store(out, bytes);
  uint8_t all[kMatrixGroup];
  V::Store(all, bytes);
  memcpy(out, all, outputs);
}

// What becomes of sums, see MultiplyRow.
template <typename V>
struct RoundedSums {
  Rounding rounding;

  FMTC_INLINE int32_t Addend() const { return 1 << (rounding.shift - 1); }
  FMTC_INLINE void Store(const typename V::Group& sums, uint32_t first, uint32_t outputs, uint8_t* out) const {
    StoreGroup<V>(outputs - first, V::Finish(sums, rounding), out);
  }
};

// kPixels pixels and kGroups groups from `group` on.
template <typename V, size_t kPixels, size_t kGroups, typename Finish>
FMTC_INLINE void MultiplyTile(const PackedMatrix& matrix, const Finish& finish, uint32_t group, const int16_t* pixels,
                              uint8_t* out) {
  const size_t pairs = matrix.input_pairs();
  const int16_t* weights = matrix.pairs + group * pairs * 2 * kMatrixGroup;
  typename V::Group sums[kPixels][kGroups];
  for (size_t g = 0; g < kGroups; ++g) {
    const auto bias = V::LoadSums(matrix.bias + (group + g) * kMatrixGroup, finish.Addend());
    for (size_t x = 0; x < kPixels; ++x) sums[x][g] = bias;
  }
  for (size_t j = 0; j < pairs; ++j, weights += 2 * kMatrixGroup) {
    typename V::Pairs columns[kGroups];
    for (size_t g = 0; g < kGroups; ++g) columns[g] = V::LoadPairs(weights + g * pairs * 2 * kMatrixGroup);
    for (size_t x = 0; x < kPixels; ++x) {
      const auto input = V::LoadInput(pixels + 2 * (x * pairs + j));
      for (size_t g = 0; g < kGroups; ++g) V::AddProducts(columns[g], input, &sums[x][g]);
    }
  }
  const uint32_t first = group * kMatrixGroup;
  for (size_t x = 0; x < kPixels; ++x) {
    for (size_t g = 0; g < kGroups; ++g) {
      const uint32_t i = first + static_cast<uint32_t>(g) * kMatrixGroup;
      finish.Store(sums[x][g], i, matrix.outputs, out + x * matrix.outputs + i);
    }
  }
}

template <typename V, size_t kPixels, typename Finish>
FMTC_INLINE void MultiplyPixels(const PackedMatrix& matrix, const Finish& finish, const int16_t* pixels, uint8_t* out) {
  uint32_t group = 0;
  for (; group + V::kGroups <= matrix.groups(); group += V::kGroups) {
    MultiplyTile<V, kPixels, V::kGroups>(matrix, finish, group, pixels, out);
  }
  for (; group < matrix.groups(); ++group) MultiplyTile<V, kPixels, 1>(matrix, finish, group, pixels, out);
}

// A row, some pixels at a time; load(x, pixel) fills in the inputs of pixel x. finish.Addend() is added to all sums,
// and finish.Store(sums, first, outputs, out) stores what becomes of those of outputs `first` on.
template <typename V, typename LoadPixel, typename Finish>
FMTC_INLINE void MultiplyRow(const PackedMatrix& matrix, const Finish& finish, uint32_t width, const LoadPixel& load,
                             int16_t* pixels, uint8_t* out) {
  static_assert(kMatrixPixels % V::kPixels == 0, "tiles fill the memory for pixels");
  const size_t elements = 2 * size_t{matrix.input_pairs()};
  for (size_t x = 0; x < kMatrixPixels; ++x) pixels[x * elements + elements - 1] = 0;  // where a pair is not whole
  for (uint32_t x = 0; x < width;) {
    const uint32_t count = width - x < kMatrixPixels ? width - x : kMatrixPixels;
    for (uint32_t i = 0; i < count; ++i) load(x + i, pixels + i * elements);
    uint32_t i = 0;
    for (; i + V::kPixels <= count; i += V::kPixels) {
      MultiplyPixels<V, V::kPixels>(matrix, finish, pixels + i * elements, out + size_t{x + i} * matrix.outputs);
    }
    for (; i < count; ++i) {
      MultiplyPixels<V, 1>(matrix, finish, pixels + i * elements, out + size_t{x + i} * matrix.outputs);
    }
    x += count;
  }
}

}  // namespace
}  // namespace fmtc

#endif  // FMTC_SIMD_MATRIX_TILES_INL_H_
