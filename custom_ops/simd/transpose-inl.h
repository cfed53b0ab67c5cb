// Planes to and from pixels as a transposition of bytes, in tiles that fit the registers: pieces of 16 bytes from as
// many rows as a vector has bytes become 16 rows of whole vectors. To be included between FMTC_BEGIN_TARGET_* and
// FMTC_END_TARGET.
//
// V has: Type; kBytes, a multiple of 16; Load(rows, at), whose piece number i are the 16 bytes from rows[16 * i] + at
// on; Store(p, value); UnpackLow and UnpackHigh, within pieces.
#ifndef FMTC_SIMD_TRANSPOSE_INL_H_
#define FMTC_SIMD_TRANSPOSE_INL_H_

namespace fmtc {
namespace {

constexpr size_t kPieceBytes = 16;

// Rows of a matrix of bytes: those that place[i] leads to, or one after the other.
struct PlacedRows {
  const uint32_t* place;
  size_t row_bytes;

  FMTC_INLINE size_t operator[](size_t i) const { return place[i] * row_bytes; }
};

struct PlainRows {
  size_t row_bytes;

  FMTC_INLINE size_t operator[](size_t i) const { return i * row_bytes; }
};

template <typename V>
struct Tile {
  typename V::Type rows[kPieceBytes];

  static FMTC_INLINE Tile Load(const uint8_t* const* from, size_t at) {
    Tile tile;
    for (size_t i = 0; i < kPieceBytes; ++i) tile.rows[i] = V::Load(from + i, at);
    return tile;
  }

  // One quarter of a transposition: interleaves the first eight rows with the last eight.
  FMTC_INLINE Tile Shuffle() const {
    Tile out;
    for (size_t i = 0; i < kPieceBytes / 2; ++i) {
      out.rows[2 * i] = V::UnpackLow(rows[i], rows[i + 8]);
      out.rows[2 * i + 1] = V::UnpackHigh(rows[i], rows[i + 8]);
    }
    return out;
  }

  FMTC_INLINE Tile Transpose() const { return Shuffle().Shuffle().Shuffle().Shuffle(); }
};

// Rows first ... first + kBytes - 1 of `from`; the last tile overlaps the one before. Of rows with less than 16 bytes
// it reads what follows, too.
template <typename V, typename FromRows, typename ToRows>
FMTC_INLINE void TransposeRows(const FromRows& from_rows, size_t first, size_t row_length, const uint8_t* from,
                               const ToRows& to_rows, uint8_t* to) {
  const uint8_t* rows[V::kBytes];
  for (size_t i = 0; i < V::kBytes; ++i) rows[i] = from + from_rows[first + i];
#if defined(__GNUC__)
  __asm__("" : : "r"(rows) : "memory");  // else GCC keeps them in vectors, and moves them out of those in each tile
#endif
  if (row_length < kPieceBytes) {
    const Tile<V> tile = Tile<V>::Load(rows, 0).Transpose();
    for (size_t i = 0; i < row_length; ++i) V::Store(to + to_rows[i] + first, tile.rows[i]);
    return;
  }
  const size_t last = row_length - kPieceBytes;
  for (size_t at = 0;; at = at + kPieceBytes < last ? at + kPieceBytes : last) {
    const Tile<V> tile = Tile<V>::Load(rows, at).Transpose();
    for (size_t i = 0; i < kPieceBytes; ++i) V::Store(to + to_rows[at + i] + first, tile.rows[i]);
    if (at == last) break;
  }
}

// num_rows rows of row_length bytes, 16 rows at least. Vs are vectors, wide ones first.
template <typename V, typename... Vs, typename FromRows, typename ToRows>
FMTC_INLINE void TransposeWith(const FromRows& from_rows, size_t first, size_t num_rows, size_t row_length,
                               const uint8_t* from, const ToRows& to_rows, uint8_t* to) {
  for (; first + V::kBytes <= num_rows; first += V::kBytes) {
    TransposeRows<V>(from_rows, first, row_length, from, to_rows, to);
  }
  if constexpr (sizeof...(Vs) > 0) {
    TransposeWith<Vs...>(from_rows, first, num_rows, row_length, from, to_rows, to);
  } else if (first < num_rows) {
    TransposeRows<V>(from_rows, num_rows - V::kBytes, row_length, from, to_rows, to);
  }
}

}  // namespace
}  // namespace fmtc

#endif  // FMTC_SIMD_TRANSPOSE_INL_H_
