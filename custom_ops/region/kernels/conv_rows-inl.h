// Convolutions and fully connected ops on vectors of sums. Included behind sums_*-inl.h.
//
// A tile of a few columns times a few blocks of 16 channels keeps its sums in registers while k runs. Where the rule is
// float32 with factors below 1 and the weights' zero point 0, as under XNNPACK, they become bytes there; otherwise they
// take the way over memory.
#ifndef FMTC_REGION_KERNELS_CONV_ROWS_INL_H_
#define FMTC_REGION_KERNELS_CONV_ROWS_INL_H_

#include "region/kernels/packed_taps-inl.h"
#include "region/kernels/rules-inl.h"

namespace fmtc::region {
namespace {

// Up to kTileBlocks blocks of output channels of a group.
struct ConvBlocks {
  int32_t first;  // channel in the arrays
  int32_t channels;
  const int32_t* start;  // of the sums
  const int8_t* weights;
  ptrdiff_t weights_of_block;
  ptrdiff_t group;  // where its input channels begin
  uint8_t* out;     // its channels of the row's first column
};

FMTC_INLINE int32_t NumBlocks(const ConvBlocks& blocks) {
  return (blocks.channels + kChannelBlock - 1) / kChannelBlock;
}

// Adds the taps of columns from `column` on. Reads whole words: the input's pixels have them, and what lies behind a
// tap's channels meets weights of 0.
template <int kColumns, int kBlocks>
FMTC_INLINE void AddTaps(const MacRow& row, const Taps& taps, const ConvBlocks& blocks, int32_t column,
                         Sums (&sums)[kColumns * kBlocks]) {
  const int8_t* weights = blocks.weights;
  for (int i = 0; i < taps.rows; ++i) {
    const ptrdiff_t column_bytes = row.rows[i].column_bytes;
    const uint8_t* tap = row.rows[i].first + column * column_bytes + blocks.group;
    for (int j = 0; j < taps.columns; ++j, tap += row.tap_bytes) {
      weights = AddTap<kColumns, kBlocks>(tap, taps.bytes, column_bytes, weights, blocks.weights_of_block, sums);
    }
  }
}

template <int kColumns, int kBlocks>
FMTC_INLINE void StartSums(const int32_t* start, Sums (&sums)[kColumns * kBlocks]) {
  FMTC_UNROLL for (int b = 0; b < kBlocks; ++b) {
    const Sums s = Sums::Load(start + b * kChannelBlock);
    FMTC_UNROLL for (int t = 0; t < kColumns; ++t) sums[t * kBlocks + b] = s;
  }
}

// --- From registers to bytes.

// Bytes of a tile, zero point added and clamped; of the last block only its channels.
template <int kColumns, int kBlocks>
FMTC_INLINE void StoreTile(const Sums (&rounded)[kColumns * kBlocks], const OutputRange& range, int32_t channels,
                           uint8_t* out, ptrdiff_t pixel) {
  constexpr int kPixels = kPackSums / kBlocks;  // at a time
  const ByteRange bytes(range);
  const bool is_whole = channels == kBlocks * kChannelBlock;
  const PartOfBlock last(channels - (kBlocks - 1) * kChannelBlock);
  FMTC_UNROLL for (int t = 0; t < kColumns; t += kPixels, out += kPixels * pixel) {
    constexpr int kLast = kColumns * kBlocks - 1;
    Sums pack[kPackSums];
    FMTC_UNROLL for (int i = 0; i < kPackSums; ++i) {
      const int place = t * kBlocks + i;
      pack[i] = rounded[place < kLast ? place : kLast];
    }
    const Packed packed(pack, bytes);
    const int pixels = kColumns - t < kPixels ? kColumns - t : kPixels;
    if (is_whole) {
      packed.StorePixels<kBlocks>(out, pixel, pixels);
      continue;
    }
    Bytes16 pieces[kPackSums];
    packed.Split(pieces);
    FMTC_UNROLL for (int i = 0; i < kPixels * kBlocks; ++i) {
      if (i >= pixels * kBlocks) continue;
      uint8_t* p = out + i / kBlocks * pixel + i % kBlocks * kChannelBlock;
      if (i % kBlocks == kBlocks - 1) {
        last.Store(p, pieces[i]);
      } else {
        WholeBlock().Store(p, pieces[i]);
      }
    }
  }
}

// The rule, and bytes of a tile; its channels stand from `first` on in the arrays.
template <int kColumns, int kBlocks>
FMTC_INLINE void FinishTile(const MacRow& row, int32_t first, int32_t channels, uint8_t* out,
                            Sums (&sums)[kColumns * kBlocks]) {
  FMTC_UNROLL for (int b = 0; b < kBlocks; ++b) {
    const Rule<SmallFloat32> rule(row.requantization, first + b * kChannelBlock);
    FMTC_UNROLL for (int t = 0; t < kColumns; ++t) sums[t * kBlocks + b] = rule(sums[t * kBlocks + b]);
  }
  StoreTile<kColumns, kBlocks>(sums, row.requantization.range, channels, out, row.out_pixel_bytes);
}

// So many tiles beside each other, from `column` on.
template <int kColumns, int kBlocks>
void Float32Tiles(const MacRow& row, const Taps& taps, const ConvBlocks& blocks, int32_t column, int32_t tiles) {
  for (; tiles > 0; --tiles, column += kColumns) {
    Sums sums[kColumns * kBlocks];
    StartSums<kColumns, kBlocks>(blocks.start, sums);
    AddTaps<kColumns, kBlocks>(row, taps, blocks, column, sums);
    FinishTile<kColumns, kBlocks>(row, blocks.first, blocks.channels, blocks.out + column * row.out_pixel_bytes, sums);
  }
}

constexpr int32_t kTileChannels = kTileBlocks * kChannelBlock;

// A row of one tap that is no wider than a tile, of whole tiles' channels. Maps of a few columns have many of these,
// each of which takes little longer than to find its way here.
FMTC_INLINE bool IsShort(const MacRow& row) {
  return row.columns <= TileColumns(kTileBlocks) && row.kernel_rows * row.kernel_columns == 1 && row.groups == 1 &&
         row.out_channels % kTileChannels == 0;
}

template <int kColumns>
void ShortRow(const MacRow& row) {
  const uint8_t* const tap = row.rows[0].first;
  const ptrdiff_t column_bytes = row.rows[0].column_bytes;
  const ptrdiff_t weights_of_block = ptrdiff_t{RoundUpTo(row.in_channels, kStepValues)} * kChannelBlock;
  const int8_t* weights = row.weights;
  for (int32_t c = 0; c < row.out_channels; c += kTileChannels, weights += kTileBlocks * weights_of_block) {
    int32_t memory[kTileChannels];
    Sums sums[kColumns * kTileBlocks];
    StartSums<kColumns, kTileBlocks>(
        StartOfBlocks(row.requantization.biases + c, weights, weights_of_block, kTileBlocks, memory), sums);
    AddTap<kColumns, kTileBlocks>(tap, row.in_channels, column_bytes, weights, weights_of_block, sums);
    FinishTile<kColumns, kTileBlocks>(row, c, kTileChannels, row.out + c, sums);
  }
}

// The same of the first half of a block, up to kHalfTileColumns, where an instruction set has them.
template <int kColumns>
void Float32HalfTiles(const MacRow& row, const Taps& taps, const ConvBlocks& blocks, int32_t column, int32_t tiles);

// The same of kernels that slide, of up to kSlidingBlocks blocks, where an instruction set has them.
template <int kColumns, int kBlocks>
void SlidingTiles(const MacRow& row, const Taps& taps, const ConvBlocks& blocks, int32_t column, int32_t tiles);

constexpr int kSlidingTaps = 3;

// Whether the next column's taps are this one's, but for the first.
FMTC_INLINE bool ConvSlides(const MacRow& row) {
  return kSlidingBlocks > 0 && row.kernel_columns == kSlidingTaps && row.stride == row.dilation;
}

constexpr int kMostCombRows = 8;
constexpr int32_t kLeastCombColumns = 8;

// Whether that is so of every `dilation`-th column, of which there are enough.
FMTC_INLINE bool IsComb(const MacRow& row) {
  return kSlidingBlocks > 0 && row.kernel_columns == kSlidingTaps && row.stride == 1 && row.dilation > 1 &&
         row.kernel_rows <= kMostCombRows && row.columns / row.dilation >= kLeastCombColumns &&
         row.out_channels <= kSlidingBlocks * kChannelBlock;
}

FMTC_INLINE bool IsHalf(const ConvBlocks& blocks) {
  return kHalfTileColumns > 0 && blocks.channels <= kChannelBlock / 2;
}

// --- Over memory.

struct TileSums {
  int32_t values[TileColumns(1)][kTileBlocks * kChannelBlock];
};

template <int kColumns, int kBlocks>
void SumTile(const MacRow& row, const Taps& taps, const ConvBlocks& blocks, int32_t column, TileSums* tile) {
  Sums sums[kColumns * kBlocks];
  StartSums<kColumns, kBlocks>(blocks.start, sums);
  AddTaps<kColumns, kBlocks>(row, taps, blocks, column, sums);
  FMTC_UNROLL for (int t = 0; t < kColumns; ++t) {
    FMTC_UNROLL for (int b = 0; b < kBlocks; ++b) sums[t * kBlocks + b].Store(tile->values[t] + b * kChannelBlock);
  }
}

// What the weights' zero point takes from each sum of a column.
int32_t ZeroPointTerm(const MacRow& row, int32_t column, ptrdiff_t group) {
  ByteSums sums;
  for (int i = 0; i < row.kernel_rows; ++i) {
    const uint8_t* tap = row.rows[i].first + column * row.rows[i].column_bytes + group;
    for (int j = 0; j < row.kernel_columns; ++j, tap += row.tap_bytes) sums.Add(tap, row.in_channels);
  }
  return static_cast<int32_t>(static_cast<uint32_t>(row.weight_zero) * sums.Total());
}

// The rule's bytes of a block's columns, less terms[column]; `sums` are the first column's.
template <class Rounding, class Block>
FMTC_INLINE void FinishColumns(const MacRow& row, const Rule<Rounding>& rule, const Block& block, const int32_t* sums,
                               const int32_t* terms, int32_t columns, uint8_t* out) {
  constexpr int kStride = kTileBlocks * kChannelBlock;
  const ByteRange range(row.requantization.range);
  const auto finish = [&](int32_t count) {
    Sums pack[kPackSums];
    FMTC_UNROLL for (int i = 0; i < kPackSums; ++i) {
      const int32_t column = i < count ? i : count - 1;
      pack[i] = rule(Sums::Load(sums + column * kStride) - Sums::Of(terms[column]));
    }
    Bytes16 pieces[kPackSums];
    Packed(pack, range).Split(pieces);
    FMTC_UNROLL for (int i = 0; i < kPackSums; ++i) {
      if (i < count) block.Store(out + i * row.out_pixel_bytes, pieces[i]);
    }
  };
  for (; columns >= kPackSums; columns -= kPackSums) {
    finish(kPackSums);
    sums += kPackSums * kStride, terms += kPackSums, out += kPackSums * row.out_pixel_bytes;
  }
  if (columns > 0) finish(columns);
}

// Of 16 channels or fewer, first the one that the sums' first column begins with.
template <class Rounding>
void RequantizeBlock(const MacRow& row, const int32_t* sums, const int32_t* terms, int32_t first, int32_t channels,
                     int32_t columns, uint8_t* out) {
  if constexpr (kHasRule<Rounding>) {
    const Rule<Rounding> rule(row.requantization, first);
    if (channels == kChannelBlock) return FinishColumns(row, rule, WholeBlock(), sums, terms, columns, out);
    FinishColumns(row, rule, PartOfBlock(channels), sums, terms, columns, out);
  } else {
    for (int32_t t = 0; t < columns; ++t) {
      for (int32_t c = 0; c < channels; ++c) {
        const uint32_t sum =
            static_cast<uint32_t>(sums[t * kTileBlocks * kChannelBlock + c]) - static_cast<uint32_t>(terms[t]);
        out[t * row.out_pixel_bytes + c] = Rounding::Apply(static_cast<int32_t>(sum), row.requantization, first + c);
      }
    }
  }
}

template <class Rounding>
void RequantizeTile(const MacRow& row, const ConvBlocks& blocks, const TileSums& sums, const int32_t* terms,
                    int32_t column, int32_t columns) {
  for (int32_t c = 0; c < blocks.channels; c += kChannelBlock) {
    const int32_t channels = blocks.channels - c < kChannelBlock ? blocks.channels - c : kChannelBlock;
    RequantizeBlock<Rounding>(row, sums.values[0] + c, terms, blocks.first + c, channels, columns,
                              blocks.out + column * row.out_pixel_bytes + c);
  }
}

// --- Rows.

using Float32TilesFunction = void (*)(const MacRow&, const Taps&, const ConvBlocks&, int32_t, int32_t);
using SumTileFunction = void (*)(const MacRow&, const Taps&, const ConvBlocks&, int32_t, TileSums*);

// By the number of blocks - 1 and of columns - 1; null where a tile has fewer columns.
template <class Function>
using TileTable = std::array<std::array<Function, TileColumns(1)>, kTileBlocks>;

template <int kBlocks, size_t... kColumns>
constexpr std::array<Float32TilesFunction, TileColumns(1)> Float32TilesOf(std::index_sequence<kColumns...>) {
  return {{Float32Tiles<kColumns + 1, kBlocks>...}};
}
template <int kBlocks, size_t... kColumns>
constexpr std::array<Float32TilesFunction, TileColumns(1)> SlidingTilesOf(std::index_sequence<kColumns...>) {
  return {{SlidingTiles<kColumns + 1, kBlocks>...}};
}
template <size_t... kColumns>
constexpr std::array<Float32TilesFunction, sizeof...(kColumns)> HalfTilesOf(std::index_sequence<kColumns...>) {
  return {{Float32HalfTiles<kColumns + 1>...}};
}
template <size_t... kColumns>
constexpr std::array<void (*)(const MacRow&), sizeof...(kColumns)> ShortRowsOf(std::index_sequence<kColumns...>) {
  return {{ShortRow<kColumns + 1>...}};
}
template <int kBlocks, size_t... kColumns>
constexpr std::array<SumTileFunction, TileColumns(1)> SumTilesOf(std::index_sequence<kColumns...>) {
  return {{SumTile<kColumns + 1, kBlocks>...}};
}
template <size_t... kBlocks>
constexpr TileTable<Float32TilesFunction> MakeFloat32Tiles(std::index_sequence<kBlocks...>) {
  return {{Float32TilesOf<kBlocks + 1>(std::make_index_sequence<TileColumns(kBlocks + 1)>())...}};
}
template <size_t... kBlocks>
constexpr TileTable<Float32TilesFunction> MakeSlidingTiles(std::index_sequence<kBlocks...>) {
  return {{SlidingTilesOf<kBlocks + 1>(std::make_index_sequence<TileColumns(kBlocks + 1)>())...}};
}
template <size_t... kBlocks>
constexpr TileTable<SumTileFunction> MakeSumTiles(std::index_sequence<kBlocks...>) {
  return {{SumTilesOf<kBlocks + 1>(std::make_index_sequence<TileColumns(kBlocks + 1)>())...}};
}
constexpr TileTable<Float32TilesFunction> kFloat32TileTable = MakeFloat32Tiles(std::make_index_sequence<kTileBlocks>());
constexpr TileTable<Float32TilesFunction> kSlidingTileTable =
    MakeSlidingTiles(std::make_index_sequence<kSlidingBlocks>());
constexpr auto kHalfTileTable = HalfTilesOf(std::make_index_sequence<kHalfTileColumns>());
constexpr auto kShortRowTable = ShortRowsOf(std::make_index_sequence<TileColumns(kTileBlocks)>());
constexpr TileTable<SumTileFunction> kSumTileTable = MakeSumTiles(std::make_index_sequence<kTileBlocks>());

// Sizes of tiles are mostly powers of 2, and dividing by others takes longer than all else before the first tile.
FMTC_INLINE int32_t DivideBySize(int32_t columns, int32_t size) {
  return size == 16 ? columns / 16 : size == 8 ? columns / 8 : columns / size;
}

// Calls tiles(blocks, column, columns of a tile, number of tiles) for all output channels of a group and the columns
// [first, end). The tiles of a row are as equal as can be, for the smaller ones are the slower ones. kHalves: half
// blocks have tiles of their own.
template <bool kHalves, class Function>
FMTC_INLINE void ForEachTiles(const MacRow& row, const Taps& taps, int32_t group, int32_t first, int32_t end,
                              const Function& function) {
  const ptrdiff_t weights_of_block = WeightsOfBlock(taps);
  const int32_t padded = RoundUpTo(row.out_channels, kChannelBlock);
  ConvBlocks blocks{group * padded,
                    0,
                    nullptr,
                    row.weights + group * padded / kChannelBlock * weights_of_block,
                    weights_of_block,
                    ptrdiff_t{group} * row.in_channels,
                    row.out + group * row.out_channels};
  const int32_t step = TileBlocks(end - first) * kChannelBlock;
  for (int32_t c = 0; c < row.out_channels; c += step) {
    blocks.channels = row.out_channels - c < step ? row.out_channels - c : step;
    const int32_t most = kHalves && IsHalf(blocks) ? kHalfTileColumns : TileColumns(NumBlocks(blocks));
    const int32_t columns = end - first;
    const int32_t tiles = columns <= most ? 1 : DivideBySize(columns + most - 1, most);
    const int32_t least = tiles == 1 ? columns : tiles * most == columns ? most : columns / tiles;
    const int32_t larger = columns - tiles * least;
    int32_t start[kTileBlocks * kChannelBlock];
    blocks.start = StartOfBlocks(row.requantization.biases + blocks.first, blocks.weights, weights_of_block,
                                 NumBlocks(blocks), start);
    if (larger > 0) function(blocks, first, least + 1, larger);
    function(blocks, first + larger * (least + 1), least, tiles - larger);
    blocks.first += step;
    blocks.weights += step / kChannelBlock * weights_of_block;
    blocks.out += step;
  }
}

// Whether all steps of all groups may read whole words.
FMTC_INLINE bool ReadsWords(const MacRow& row) { return row.groups == 1 || row.in_channels % kStepValues == 0; }

FMTC_INLINE Float32TilesFunction Float32TilesFor(const ConvBlocks& blocks, int32_t columns, bool slides) {
  const size_t i = static_cast<size_t>(columns - 1), more = static_cast<size_t>(NumBlocks(blocks) - 1);
  if (IsHalf(blocks)) return kHalfTileTable[i];
  return slides && more < kSlidingBlocks ? kSlidingTileTable[more][i] : kFloat32TileTable[more][i];
}

// Calls function(row) of every `dilation`-th column from the first one on, from the second one on and so forth, whose
// taps go from column to column.
template <class Function>
FMTC_INLINE void ForEachComb(const MacRow& row, const Function& function) {
  KernelRow rows[kMostCombRows];
  MacRow part = row;
  part.rows = rows;
  part.stride = row.dilation;
  part.out_pixel_bytes = row.dilation * row.out_pixel_bytes;
  for (int32_t first = 0; first < row.dilation; ++first) {
    for (int i = 0; i < row.kernel_rows; ++i) {
      const KernelRow& whole = row.rows[i];
      rows[i] = {whole.first + first * whole.column_bytes, row.dilation * whole.column_bytes};
    }
    part.out = row.out + first * row.out_pixel_bytes;
    part.columns = (row.columns - first - 1) / row.dilation + 1;
    function(part);
  }
}

void Float32Row(const MacRow& row, const Taps& taps) {
  if (IsComb(row)) return ForEachComb(row, [&taps](const MacRow& part) { Float32Row(part, taps); });
  const bool slides = ConvSlides(row);
  for (int32_t group = 0; group < row.groups; ++group) {
    ForEachTiles<true>(row, taps, group, 0, row.columns,
                       [&](const ConvBlocks& blocks, int32_t column, int32_t columns, int32_t tiles) {
                         Float32TilesFor(blocks, columns, slides)(row, taps, blocks, column, tiles);
                       });
  }
}

template <class Rounding>
void RowOverMemory(const MacRow& row, const Taps& taps) {
  constexpr int32_t kTogether = 64;  // columns whose zero point terms serve all channels
  int32_t terms[kTogether] = {};
  TileSums sums;
  for (int32_t group = 0; group < row.groups; ++group) {
    for (int32_t first = 0; first < row.columns; first += kTogether) {
      const int32_t end = row.columns - first < kTogether ? row.columns : first + kTogether;
      for (int32_t column = first; row.weight_zero != 0 && column < end; ++column) {
        terms[column - first] = ZeroPointTerm(row, column, ptrdiff_t{group} * row.in_channels);
      }
      ForEachTiles<false>(row, taps, group, first, end,
                          [&](const ConvBlocks& blocks, int32_t column, int32_t columns, int32_t tiles) {
                            for (int32_t i = 0; i < tiles; ++i, column += columns) {
                              kSumTileTable[NumBlocks(blocks) - 1][columns - 1](row, taps, blocks, column, &sums);
                              RequantizeTile<Rounding>(row, blocks, sums, terms + column - first, column, columns);
                            }
                          });
    }
  }
}

template <class Rounding>
void ConvRow(const MacRow& row) {
  if (row.packed_weights != nullptr) return ForPackedColumns(row, ConvRow<Rounding>);
  if (!ReadsWords(row)) return PlainConv<Rounding>(row);
  const bool stays_in_registers =
      std::is_same<Rounding, Float32>::value && row.weight_zero == 0 && row.has_small_factors;
  if (stays_in_registers && IsShort(row)) return kShortRowTable[static_cast<size_t>(row.columns - 1)](row);
  const Taps taps = JoinTaps(row);
  if (stays_in_registers) return Float32Row(row, taps);
  if constexpr (kHasSmallRule<Rounding>) {
    if (row.has_small_factors) return RowOverMemory<Small<Rounding>>(row, taps);
  }
  RowOverMemory<Rounding>(row, taps);
}

// One column: blocks of channels rather than columns side by side, so that sums need not wait for themselves.
void AddProductsRow(const MacRow& row, int32_t* acc) {
  const Taps taps = JoinTaps(row);
  const Sums term = Sums::Of(row.weight_zero == 0 ? 0 : ZeroPointTerm(row, 0, 0));
  constexpr int kBlocks = kBlocksOfColumn;
  ConvBlocks blocks{0, 0, nullptr, row.weights, WeightsOfBlock(taps), 0, nullptr};
  const auto add = [&](auto count) {
    constexpr int kCount = decltype(count)::value;
    int32_t memory[kCount * kChannelBlock];
    const int32_t* start = StartOfBlocks(acc, blocks.weights, blocks.weights_of_block, kCount, memory);
    Sums sums[kCount];
    for (int b = 0; b < kCount; ++b) sums[b] = Sums::Load(start + b * kChannelBlock) - term;
    AddTaps<1, kCount>(row, taps, blocks, 0, sums);
    for (int b = 0; b < kCount; ++b) sums[b].Store(acc + b * kChannelBlock);
    acc += kCount * kChannelBlock;
    blocks.weights += kCount * blocks.weights_of_block;
  };
  int32_t left = (row.out_channels + kChannelBlock - 1) / kChannelBlock;
  for (; left >= kBlocks; left -= kBlocks) add(std::integral_constant<int, kBlocks>());
  for (; left > 0; --left) add(std::integral_constant<int, 1>());
}

}  // namespace
}  // namespace fmtc::region

#endif  // FMTC_REGION_KERNELS_CONV_ROWS_INL_H_
