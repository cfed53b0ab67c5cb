// Convolutions and fully connected ops: two output channels of two columns at a time, or four of one, so that what is
// made of a word of bytes serves as often as the registers allow; the last two of one are two.
#include "micro/kernels.h"
#include "micro/pairs.h"
#include "micro/requantize.h"
#include "region/taps.h"

namespace fmtc::region {
namespace {

constexpr ptrdiff_t kStepBytes = kChannelBlock * kStepValues;  // from a channel's weights of four k to the next four

// Loops are functions of their own, so that each has all registers.

// Sums of some columns and channels, [column][channel], whose weights are `weights` of their first k on.
struct Tile {
  int32_t sums[4];
  const int8_t* weights;
};

[[gnu::noinline]] void AddTwoByTwo(const uint8_t* in, ptrdiff_t column_bytes, int32_t steps, Tile* tile) {
  int32_t s0 = tile->sums[0], s1 = tile->sums[1], s2 = tile->sums[2], s3 = tile->sums[3];
  const uint8_t* beside = in + column_bytes;
  const int8_t* weights = tile->weights;
  for (const uint8_t* end = in + steps * kStepValues; in < end; in += kStepValues, beside += kStepValues) {
    const Pairs x = UnsignedPairsAt(in), y = UnsignedPairsAt(beside);
    const Words words = WordsAt(weights);
    const Pairs v = SignedPairs(words.first);
    s0 = AddProducts(x, v, s0);
    s2 = AddProducts(y, v, s2);
    const Pairs w = SignedPairs(words.second);
    s1 = AddProducts(x, w, s1);
    s3 = AddProducts(y, w, s3);
    weights += kStepBytes;
  }
  tile->weights = weights;
  tile->sums[0] = s0, tile->sums[1] = s1, tile->sums[2] = s2, tile->sums[3] = s3;
}

[[gnu::noinline]] void AddOneByFour(const uint8_t* in, ptrdiff_t, int32_t steps, Tile* tile) {
  int32_t s0 = tile->sums[0], s1 = tile->sums[1], s2 = tile->sums[2], s3 = tile->sums[3];
  const int8_t* weights = tile->weights;
  for (const uint8_t* end = in + steps * kStepValues; in < end; in += kStepValues) {
    const Pairs x = UnsignedPairsAt(in);
    const Words words = WordsAt(weights), next = WordsAt(weights + sizeof(Words));
    s0 = AddProducts(x, SignedPairs(words.first), s0);
    s1 = AddProducts(x, SignedPairs(words.second), s1);
    s2 = AddProducts(x, SignedPairs(next.first), s2);
    s3 = AddProducts(x, SignedPairs(next.second), s3);
    weights += kStepBytes;
  }
  tile->weights = weights;
  tile->sums[0] = s0, tile->sums[1] = s1, tile->sums[2] = s2, tile->sums[3] = s3;
}

// Of an even number of steps.
[[gnu::noinline]] void AddOneByTwo(const uint8_t* in, ptrdiff_t, int32_t steps, Tile* tile) {
  int32_t s0 = tile->sums[0], s1 = tile->sums[1];
  const int8_t* weights = tile->weights;
  const auto add_step = [&s0, &s1](const uint8_t* values, const int8_t* weights_of_values) {
    const Pairs x = UnsignedPairsAt(values);
    const Words words = WordsAt(weights_of_values);
    s0 = AddProducts(x, SignedPairs(words.first), s0);
    s1 = AddProducts(x, SignedPairs(words.second), s1);
  };
  for (const uint8_t* end = in + steps * kStepValues; in < end; in += 2 * kStepValues) {
    add_step(in, weights);
    add_step(in + kStepValues, weights + kStepBytes);
    weights += 2 * kStepBytes;
  }
  tile->weights = weights;
  tile->sums[0] = s0, tile->sums[1] = s1;
}

// AddTwoByTwo of pixels of one channel: the first of each four values counts.
[[gnu::noinline]] void AddFirstBytes(const uint8_t* in, ptrdiff_t column_bytes, int32_t steps, Tile* tile) {
  int32_t s0 = tile->sums[0], s1 = tile->sums[1], s2 = tile->sums[2], s3 = tile->sums[3];
  const uint8_t* beside = in + column_bytes;
  const int8_t* weights = tile->weights;
  for (const uint8_t* end = in + steps * kStepValues; in < end; in += kStepValues, beside += kStepValues) {
    const uint32_t x = *in, y = *beside;
    const auto v = static_cast<uint32_t>(weights[0]), w = static_cast<uint32_t>(weights[kStepValues]);
    s0 = AddLow(x, v, s0), s1 = AddLow(x, w, s1), s2 = AddLow(y, v, s2), s3 = AddLow(y, w, s3);
    weights += kStepBytes;
  }
  tile->weights = weights;
  tile->sums[0] = s0, tile->sums[1] = s1, tile->sums[2] = s2, tile->sums[3] = s3;
}

using AddSteps = void (*)(const uint8_t*, ptrdiff_t, int32_t, Tile*);

// The last bytes of a tap, fewer than four, one by one: what follows them may be another group's or none of ours.
void AddLastBytes(AddSteps add_steps, const uint8_t* in, ptrdiff_t column_bytes, int32_t bytes, Tile* tile) {
  uint8_t padded[2 * kStepValues] = {};
  for (int32_t i = 0; i < bytes; ++i) {
    padded[i] = in[i];
    padded[kStepValues + i] = in[column_bytes + i];
  }
  add_steps(padded, kStepValues, 1, tile);
}

// Taps as steps of four values, and bytes that are left behind them.
struct Walk : Taps {
  [[gnu::noinline]] explicit Walk(const MacRow& row) : Taps(JoinTaps(row)) {
    // What follows a pixel's channels meets weights of 0, but where it counts in a sum or is another group's.
    const bool takes_whole_words = row.weight_zero == 0 && row.groups == 1;
    const int32_t walked = takes_whole_words ? RoundUpTo(bytes, kStepValues) : bytes;
    last_bytes = walked & (kStepValues - 1);
    steps = (walked - last_bytes) / kStepValues;
    add_two_by_two = takes_whole_words && row.in_channels == 1 ? AddFirstBytes : AddTwoByTwo;
    is_even = steps % 2 == 0 && last_bytes == 0;
    is_one_tap = rows == 1 && columns == 1 && last_bytes == 0;
  }

  int32_t steps, last_bytes;
  AddSteps add_two_by_two;
  bool is_even;  // so many steps, and no bytes behind them
  bool is_one_tap;
};

// All taps for the tile's columns, from `column` on. `group`: where its input channels begin.
void AddTaps(AddSteps add_steps, const MacRow& row, const Walk& walk, int32_t column, ptrdiff_t group, Tile* tile) {
  const KernelRow* kernel_row = row.rows;
  if (walk.is_one_tap) {
    const uint8_t* in = kernel_row->first + column * kernel_row->column_bytes + group;
    return add_steps(in, kernel_row->column_bytes, walk.steps, tile);
  }
  for (int i = 0; i < walk.rows; ++i, ++kernel_row) {
    const uint8_t* in = kernel_row->first + column * kernel_row->column_bytes + group;
    for (int j = 0; j < walk.columns; ++j, in += row.tap_bytes) {
      add_steps(in, kernel_row->column_bytes, walk.steps, tile);
      if (walk.last_bytes == 0) continue;
      // Beside a column that is summed up alone there may be none.
      const ptrdiff_t column_bytes = add_steps == walk.add_two_by_two ? kernel_row->column_bytes : 0;
      AddLastBytes(add_steps, in + walk.steps * kStepValues, column_bytes, walk.last_bytes, tile);
    }
  }
}

// The sum of what lies under a column's taps, for weights whose zero point is not 0.
uint32_t SumTaps(const MacRow& row, const Taps& taps, int32_t column, ptrdiff_t group) {
  uint32_t sum = 0;
  for (int i = 0; i < taps.rows; ++i) {
    const uint8_t* in = row.rows[i].first + column * row.rows[i].column_bytes + group;
    for (int j = 0; j < taps.columns; ++j, in += row.tap_bytes) {
      for (int32_t k = 0; k < taps.bytes; ++k) sum += in[k];
    }
  }
  return sum;
}

uint32_t ZeroOf(const MacRow& row, const Taps& taps, int32_t column, ptrdiff_t group) {
  return row.weight_zero == 0 ? 0 : static_cast<uint32_t>(row.weight_zero) * SumTaps(row, taps, column, group);
}

inline int32_t Minus(int32_t sum, uint32_t zero) { return static_cast<int32_t>(static_cast<uint32_t>(sum) - zero); }

// The output channels of a group: where their entries of the arrays begin, and their weights.
struct Group {
  ptrdiff_t first_input;
  int32_t first;
  int32_t channels;
  const int8_t* weights;
  ptrdiff_t block_weights;

  const int8_t* WeightsOf(int32_t c) const {
    return weights + c / kChannelBlock * block_weights + c % kChannelBlock * kStepValues;
  }
};

void ConvTwoColumns(const MacRow& row, const Walk& taps, const Group& group, int32_t column, uint8_t* out) {
  const Requantization& r = row.requantization;
  const Limits limits(r.range);
  const uint32_t zero = ZeroOf(row, taps, column, group.first_input);
  const uint32_t zero_beside = ZeroOf(row, taps, column + 1, group.first_input);
  uint8_t* beside = out + row.out_pixel_bytes;
  const int32_t* biases = r.biases + group.first;
  for (int32_t c = 0; c < group.channels; c += 2) {
    Tile tile{{Minus(biases[c], zero), Minus(biases[c + 1], zero), Minus(biases[c], zero_beside),
               Minus(biases[c + 1], zero_beside)},
              group.WeightsOf(c)};
    AddTaps(taps.add_two_by_two, row, taps, column, group.first_input, &tile);
    const FixedScale scale = ScaleOf(r, group.first + c), next = ScaleOf(r, group.first + c + 1);
    uint32_t bytes = limits.Byte(scale.Apply(tile.sums[0])) | limits.Byte(next.Apply(tile.sums[1])) << 8;
    bytes |= limits.Byte(scale.Apply(tile.sums[2])) << 16 | limits.Byte(next.Apply(tile.sums[3])) << 24;
    bytes = limits.Clamp(bytes);
    if (c + 1 == group.channels) {
      out[c] = static_cast<uint8_t>(bytes);
      beside[c] = static_cast<uint8_t>(bytes >> 16);
      break;
    }
    Store(out + c, static_cast<uint16_t>(bytes));
    Store(beside + c, static_cast<uint16_t>(bytes >> 16));
  }
}

// Up to four sums of a column from channel c on, which begin with `start` less `zero`.
[[gnu::noinline]] Tile SumsOfColumn(const MacRow& row, const Walk& taps, const Group& group, int32_t column, int32_t c,
                                    const int32_t* start, uint32_t zero) {
  start += c;
  Tile tile{{Minus(start[0], zero), Minus(start[1], zero), Minus(start[2], zero), Minus(start[3], zero)},
            group.WeightsOf(c)};
  const bool are_two = group.channels - c <= 2 && taps.is_even;
  AddTaps(are_two ? AddOneByTwo : AddOneByFour, row, taps, column, group.first_input, &tile);
  return tile;
}

void ConvOneColumn(const MacRow& row, const Walk& taps, const Group& group, int32_t column, uint8_t* out) {
  const Requantization& r = row.requantization;
  const Limits limits(r.range);
  const uint32_t zero = ZeroOf(row, taps, column, group.first_input);
  for (int32_t c = 0; c < group.channels; c += 4) {
    const Tile tile = SumsOfColumn(row, taps, group, column, c, r.biases + group.first, zero);
    StoreFirst(Requantize(tile.sums, FourScales(r, group.first + c), limits), group.channels - c, out + c);
  }
}

}  // namespace

void MicroConv(const MacRow& row) {
  const Walk taps(row);
  Group group{0, 0, row.out_channels, row.weights, WeightsOfBlock(taps)};
  const int32_t entries = RoundUpTo(row.out_channels, kChannelBlock);
  uint8_t* first_out = row.out;
  for (int32_t g = 0; g < row.groups; ++g) {
    uint8_t* out = first_out;
    int32_t column = 0;
    for (; column + 2 <= row.columns; column += 2, out += 2 * row.out_pixel_bytes) {
      ConvTwoColumns(row, taps, group, column, out);
    }
    if (column < row.columns) ConvOneColumn(row, taps, group, column, out);
    first_out += row.out_channels;
    group.first_input += row.in_channels;
    group.first += entries;
    group.weights += entries / kChannelBlock * group.block_weights;
  }
}

void MicroAddProducts(const MacRow& row, int32_t* acc) {
  const Walk taps(row);
  const Group all{0, 0, row.out_channels, row.weights, WeightsOfBlock(taps)};
  const uint32_t zero = ZeroOf(row, taps, 0, 0);
  for (int32_t c = 0; c < row.out_channels; c += 4) {
    const Tile tile = SumsOfColumn(row, taps, all, 0, c, acc, zero);
    for (int i = 0; i < 4; ++i) acc[c + i] = tile.sums[i];
  }
}

}  // namespace fmtc::region
