// Look-ups, copies, quantization, pools and sums over columns. Included behind sums_*-inl.h.
#ifndef FMTC_REGION_KERNELS_BYTE_ROWS_INL_H_
#define FMTC_REGION_KERNELS_BYTE_ROWS_INL_H_

#include "region/kernels/rules-inl.h"

namespace fmtc::region {
namespace {

void LookUpRun(const uint8_t* table, const uint8_t* in, ptrdiff_t count, uint8_t* out) {
  const Table256 values(table);
  ptrdiff_t i = 0;
  for (; i + Table256::kBytes <= count; i += Table256::kBytes) values.LookUp(in + i, out + i);
  PlainLookUp(table, in + i, count - i, out + i);
}

// XNNPACK's quantization: 16 bits saturate as 32 do, and what is no number is the greatest value.
void QuantizeFloat32Run(const QuantizeRun& run) {
  const QuantizeParameters& p = *run.parameters;
  const Floats inverse = Floats::Of(p.inverse);
  const ByteRange range(OutputRange{p.zero, p.low, p.high});
  constexpr ptrdiff_t kStep = kPackSums * kChannelBlock, kFloatBytes = 4;
  const auto rounded = [&](const uint8_t* in) { return (Floats::Load(in) * inverse).AtMost(kMostRounded).Rounded(); };
  ptrdiff_t i = 0;
  for (; i + kStep <= run.count; i += kStep) {
    Sums sums[kPackSums];
    FMTC_UNROLL for (int j = 0; j < kPackSums; ++j) {
      sums[j] = rounded(run.in + kFloatBytes * (i + j * kChannelBlock));
    }
    Packed(sums, range).Store(run.out + i);
  }
  for (; i < run.count; i += kChannelBlock) {
    const ptrdiff_t count = run.count - i < kChannelBlock ? run.count - i : kChannelBlock;
    uint8_t in[kChannelBlock * kFloatBytes] = {};
    std::memcpy(in, run.in + kFloatBytes * i, static_cast<size_t>(count * kFloatBytes));
    Sums sums[kPackSums];
    FMTC_UNROLL for (int j = 0; j < kPackSums; ++j) sums[j] = rounded(in);
    Bytes16 pieces[kPackSums];
    Packed(sums, range).Split(pieces);
    PartOfBlock(static_cast<int32_t>(count)).Store(run.out + i, pieces[0]);
  }
}

// A block or more, in place or elsewhere.
FMTC_INLINE void MoveRun(const uint8_t* in, ptrdiff_t count, uint8_t flip, uint8_t* out) {
  const Bytes16 bits = BytesOf(flip);
  const Bytes16 last = Flipped(WholeBlock().Load(in + count - kChannelBlock), bits);
  for (ptrdiff_t i = 0; i + kChannelBlock < count; i += kChannelBlock) {
    WholeBlock().Store(out + i, Flipped(WholeBlock().Load(in + i), bits));
  }
  WholeBlock().Store(out + count - kChannelBlock, last);
}

void MovePixelsRow(const PixelRow& row) {
  constexpr int32_t kWord = 4, kMostMoved = 32;
  PixelRow rest = row;
  if (row.out_pixel_bytes == kWord && row.in_pixel_bytes <= kWord) {
    const int32_t moved = WidenPixels(row);
    rest.in += moved * row.in_pixel_bytes;
    rest.out += moved * row.out_pixel_bytes;
    rest.columns -= moved;
  }
  const auto move_each = [&rest](auto move) {
    MoveEach(move, rest.in, rest.in_pixel_bytes, rest.columns, rest.out, rest.out_pixel_bytes);
  };
  if (row.channels <= kMostMoved) return WithPixelMove(static_cast<uint32_t>(row.channels), row.flip, move_each);
  move_each(
      [count = row.channels, flip = row.flip](uint8_t* out, const uint8_t* in) { MoveRun(in, count, flip, out); });
}

// --- Sums over columns.

template <class Block>
FMTC_INLINE Sums AddBytes(const Block& block, const uint8_t* p, ptrdiff_t pixel_bytes, ptrdiff_t columns, Sums sums) {
  for (ptrdiff_t x = 0; x < columns; ++x, p += pixel_bytes) sums = sums + Sums::FromUnsigned(block.Load(p));
  return sums;
}

void AddColumnsRow(const uint8_t* in, ptrdiff_t pixel_bytes, int32_t columns, int32_t channels, int32_t* acc) {
  int32_t c = 0;
  for (; c + kChannelBlock <= channels; c += kChannelBlock) {
    AddBytes(WholeBlock(), in + c, pixel_bytes, columns, Sums::Load(acc + c)).Store(acc + c);
  }
  PlainAddColumns(in + c, pixel_bytes, columns, channels - c, acc + c);
}

// --- Pools.

// What is under the window of an output column.
struct PoolWindow {
  ptrdiff_t offset;  // bytes from the rows' pointers to the first channel
  ptrdiff_t columns;
};

FMTC_INLINE PoolWindow WindowOf(const PoolRow& row, int32_t column) {
  const int32_t first = row.first_column + column * row.stride;
  const int32_t from = first < 0 ? 0 : first;
  const int32_t behind = first + row.kernel_columns;
  const int32_t end = behind > row.width ? row.width : behind;
  return {ptrdiff_t{from - row.rows_column} * row.pixel_bytes, end - from};
}

template <class Block>
FMTC_INLINE Sums SumUnder(const PoolRow& row, const PoolWindow& window, const Block& block, int32_t c) {
  Sums sums = Sums::Of(0);
  for (int32_t i = 0; i < row.num_rows; ++i) {
    sums = AddBytes(block, row.rows[i] + window.offset + c, row.pixel_bytes, window.columns, sums);
  }
  return sums;
}

template <class Block>
FMTC_INLINE Bytes16 GreatestUnder(const PoolRow& row, const PoolWindow& window, const Block& block, int32_t c,
                                  Bytes16 greatest) {
  for (int32_t i = 0; i < row.num_rows; ++i) {
    const uint8_t* p = row.rows[i] + window.offset + c;
    for (ptrdiff_t x = 0; x < window.columns; ++x, p += row.pixel_bytes) greatest = Greater(greatest, block.Load(p));
  }
  return greatest;
}

// Quotients of 24 bits by 14 are exact in float when they are cut off.
constexpr int32_t kMostAveraged = 1 << 14;

void AverageRow(const PoolRow& row) {
  if (row.num_rows * int64_t{row.kernel_columns} > kMostAveraged) return PlainAverage(row);
  const ByteRange range(row.range);
  for (int32_t column = 0; column < row.columns; ++column) {
    const PoolWindow window = WindowOf(row, column);
    const int32_t count = row.num_rows * static_cast<int32_t>(window.columns);
    const Sums zeros = Sums::Of(count * row.range.zero), half = Sums::Of(count / 2);
    const Floats divisor = Floats::Of(static_cast<float>(count));
    uint8_t* out = row.out + column * row.out_pixel_bytes;
    ForEachBlock(row.channels, [&](const auto& block, int32_t c) {
      const Sums acc = SumUnder(row, window, block, c) - zeros;
      const Sums is_below = Sums::Of(0).IsGreater(acc);
      const Sums away = acc + half - half * (is_below + is_below);
      Sums pack[kPackSums];
      pack[0] = (Floats::Of(away) / divisor).Truncated();
      for (int i = 1; i < kPackSums; ++i) pack[i] = pack[0];
      Bytes16 pieces[kPackSums];
      Packed(pack, range).Split(pieces);
      block.Store(out + c, pieces[0]);
    });
  }
}

// By value, as what is written might lie over whatever has an address.
FMTC_INLINE void GreatestOfWindows(const PoolRow row) {
  const Bytes16 low = BytesOf(row.range.low), high = BytesOf(row.range.high);
  ForEachBlock(row.channels, [&](const auto& block, int32_t c) {
    uint8_t* out = row.out + c;
    for (int32_t column = 0; column < row.columns; ++column, out += row.out_pixel_bytes) {
      block.Store(out, Less(GreatestUnder(row, WindowOf(row, column), block, c, low), high));
    }
  });
}

// Of a block of bytes or more, of two rows or more.
FMTC_INLINE void GreatestOfRows(const PoolRow& row, ptrdiff_t offset, ptrdiff_t count, uint8_t* greatest) {
  const int num_rows = row.num_rows;
  const uint8_t* const* const rows = row.rows;
  const uint8_t *const a = rows[0] + offset, *const b = rows[1] + offset,
                       *const c = rows[num_rows > 2 ? 2 : 1] + offset;
  for (ptrdiff_t i = 0;; i += kChannelBlock) {
    const ptrdiff_t place = i + kChannelBlock < count ? i : count - kChannelBlock;
    Bytes16 bytes = Greater(WholeBlock().Load(a + place), WholeBlock().Load(b + place));
    bytes = Greater(bytes, WholeBlock().Load(c + place));
    for (int j = 3; j < num_rows; ++j) bytes = Greater(bytes, WholeBlock().Load(rows[j] + offset + place));
    WholeBlock().Store(greatest + place, bytes);
    if (i + kChannelBlock >= count) return;
  }
}

// The greatest of the rows first and then those of columns: windows share many, and rows have no gaps.
void MaximumRow(const PoolRow& row) {
  constexpr ptrdiff_t kMostBytes = 2048;  // of a row at a time
  const ptrdiff_t columns = kMostBytes / row.pixel_bytes, rest = columns - row.kernel_columns;
  if (row.num_rows == 1 || rest < 0) return GreatestOfWindows(row);
  const int32_t most = static_cast<int32_t>(rest / row.stride) + 1;  // of the output
  uint8_t greatest[kMostBytes];
  const uint8_t* const rows[1] = {greatest};
  PoolRow part = row;
  part.rows = rows;
  part.num_rows = 1;
  for (int32_t done = 0; done < row.columns; done += most) {
    part.columns = row.columns - done < most ? row.columns - done : most;
    part.first_column = row.first_column + done * row.stride;
    const int32_t end = part.first_column + (part.columns - 1) * row.stride + row.kernel_columns;
    part.rows_column = part.first_column < 0 ? 0 : part.first_column;
    const ptrdiff_t inside = (end < row.width ? end : row.width) - part.rows_column;
    const ptrdiff_t count = (inside - 1) * row.pixel_bytes + row.channels;
    if (count < kChannelBlock) return GreatestOfWindows(row);
    GreatestOfRows(row, (part.rows_column - row.rows_column) * row.pixel_bytes, count, greatest);
    part.out = row.out + done * row.out_pixel_bytes;
    GreatestOfWindows(part);
  }
}

void AddWindowsRow(const PoolRow& row, int32_t* sums) {
  if (row.channels % kChannelBlock != 0) return PlainAddWindows(row, sums);
  for (int32_t column = 0; column < row.columns; ++column, sums += row.channels) {
    const PoolWindow window = WindowOf(row, column);
    for (int32_t c = 0; c < row.channels; c += kChannelBlock) {
      (SumUnder(row, window, WholeBlock(), c) + Sums::Load(sums + c)).Store(sums + c);
    }
  }
}

void RaiseMaximaRow(const PoolRow& row, uint8_t* maxima) {
  for (int32_t column = 0; column < row.columns; ++column, maxima += row.channels) {
    const PoolWindow window = WindowOf(row, column);
    ForEachBlock(row.channels, [&](const auto& block, int32_t c) {
      block.Store(maxima + c, GreatestUnder(row, window, block, c, block.Load(maxima + c)));
    });
  }
}

}  // namespace
}  // namespace fmtc::region

#endif  // FMTC_REGION_KERNELS_BYTE_ROWS_INL_H_
