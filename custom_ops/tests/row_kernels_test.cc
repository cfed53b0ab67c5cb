// The region executor's other row kernels of every level that this machine has, on rows of all shapes, beside the plain
// ones: the same bytes, and none beyond the row's memory, which is of exact size.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <vector>

#include "tests/exact_memory.h"
#include "tests/expect.h"
#include "tests/region_runner.h"

namespace fmtc {
namespace {

using namespace region;
using test::AsBytes;
using test::Block;
using test::Draw;
using test::Random;
using test::RandomBytes;
using Bytes = std::vector<uint8_t>;

// A row in memory of exact size.
struct OwnedPixels {
  OwnedPixels(Random* random, int32_t count, int32_t channel_count)
      : columns(count), channels(channel_count), pixel_bytes(channel_count + std::max(0, Draw(random, -3, 4))) {
    block = std::make_unique<Block>(RandomBytes(random, static_cast<size_t>((columns - 1) * pixel_bytes + channels)));
  }
  const uint8_t* data() const { return block->As<uint8_t>(); }

  int32_t columns, channels;
  ptrdiff_t pixel_bytes;
  std::unique_ptr<Block> block;
};

// The channels of each column.
Bytes Dense(const Bytes& row, int32_t columns, int32_t channels, ptrdiff_t pixel_bytes) {
  Bytes dense;
  for (int32_t x = 0; x < columns; ++x) {
    const auto first = row.begin() + x * pixel_bytes;
    dense.insert(dense.end(), first, first + channels);
  }
  return dense;
}

// Calls run(out, out_pixel_bytes) with memory of exact size and returns what has been written.
template <class Function>
Bytes WrittenBy(int32_t columns, int32_t channels, ptrdiff_t pixel_bytes, const Function& run) {
  Bytes out(static_cast<size_t>((columns - 1) * pixel_bytes + channels), 0xA5);
  run(out.data());
  return Dense(out, columns, channels, pixel_bytes);
}

AddParameters RandomAdd(Random* random, int rule) {
  AddParameters p{};
  p.zero_a = Draw(random, 0, 255);
  p.zero_b = Draw(random, 0, 255);
  p.zero = static_cast<uint8_t>(Draw(random, 0, 255));
  p.low = static_cast<uint8_t>(Draw(random, 0, 128));
  p.high = static_cast<uint8_t>(Draw(random, 128, 255));
  if (rule == 2) {
    p.multiplier_a = Draw(random, -(1 << 21), 1 << 21);
    p.multiplier_b = Draw(random, -(1 << 21), 1 << 21);
    p.shift = static_cast<uint8_t>(Draw(random, 1, 30));
    return p;
  }
  p.multiplier_a = Draw(random, 1 << 30, INT32_MAX);
  p.multiplier_b = Draw(random, 1 << 30, INT32_MAX);
  p.multiplier_sum = Draw(random, 1 << 30, INT32_MAX);
  p.shift_a = static_cast<int8_t>(-Draw(random, 0, Draw(random, 0, 9) == 0 ? 31 : 4));
  p.shift_b = static_cast<int8_t>(-Draw(random, 0, Draw(random, 0, 9) == 0 ? 31 : 4));
  p.shift_sum = static_cast<int8_t>(Draw(random, 0, 9) == 0 ? Draw(random, -31, 30) : Draw(random, -22, -15));
  return p;
}

void TestSums(const RowKernels& kernels) {
  Random random(2);
  for (int i = 0; i < 2000; ++i) {
    const int rule = Draw(&random, 1, 4);
    const AddParameters p = RandomAdd(&random, rule);
    const int32_t columns = Draw(&random, 1, 20), channels = Draw(&random, 1, 70);
    const OwnedPixels a(&random, columns, channels), b(&random, columns, channels);
    const bool constant = Draw(&random, 0, 3) == 0;
    const ptrdiff_t pixel = Draw(&random, 0, 1) != 0 ? a.pixel_bytes : channels + Draw(&random, 0, 3);
    AddRow row{a.data(), b.data(), a.pixel_bytes, constant ? 0 : b.pixel_bytes, nullptr, pixel, channels, columns, &p};
    const auto run = [&](const RowKernels& k) {
      return WrittenBy(columns, channels, pixel, [&](uint8_t* out) {
        row.out = out;
        k.add[rule](row);
      });
    };
    EXPECT(run(kernels) == run(PlainRowKernels()));
  }
}

MultiplyParameters RandomProduct(Random* random, int rule) {
  MultiplyParameters p{};
  p.zero_a = static_cast<uint8_t>(Draw(random, 0, 255));
  p.zero_b = static_cast<uint8_t>(Draw(random, 0, 255));
  p.zero = static_cast<uint8_t>(Draw(random, 0, 255));
  p.low = static_cast<uint8_t>(Draw(random, 0, 128));
  p.high = static_cast<uint8_t>(Draw(random, 128, 255));
  if (rule == kFloat32Rule) {
    const float scale = std::ldexp(static_cast<float>(Draw(random, 1, 1000)), Draw(random, -28, 20));
    std::memcpy(&p.scale, &scale, sizeof(scale));
    return p;
  }
  p.scale = static_cast<uint32_t>(Draw(random, 0, INT32_MAX));
  p.shift = static_cast<int8_t>(Draw(random, 0, 3) == 0 ? Draw(random, -31, 30) : Draw(random, -12, 0));
  return p;
}

PreluParameters RandomSlopes(Random* random) {
  PreluParameters p{};
  p.zero_a = static_cast<uint8_t>(Draw(random, 0, 255));
  p.zero_b = static_cast<uint8_t>(Draw(random, 0, 255));
  p.zero = static_cast<uint8_t>(Draw(random, 0, 255));
  p.shift_above = static_cast<int8_t>(Draw(random, 0, 3) == 0 ? Draw(random, -31, 30) : Draw(random, -3, 1));
  p.shift_below = static_cast<int8_t>(Draw(random, 0, 3) == 0 ? Draw(random, -31, 30) : Draw(random, -10, 0));
  p.multiplier_above = Draw(random, 0, INT32_MAX);
  p.multiplier_below = Draw(random, 0, INT32_MAX);
  return p;
}

void TestPairs(const RowKernels& kernels) {
  Random random(7);
  constexpr int kRules[] = {kDoubleRounding, kFloat32Rule, kRndnu};
  for (int i = 0; i < 2000; ++i) {
    const int32_t columns = Draw(&random, 1, 20), channels = Draw(&random, 1, 70);
    const OwnedPixels a(&random, columns, channels), b(&random, columns, channels);
    const ptrdiff_t pixel = Draw(&random, 0, 1) != 0 ? a.pixel_bytes : channels + Draw(&random, 0, 3);
    PairRow row{a.data(), b.data(), a.pixel_bytes, b.pixel_bytes, 1, nullptr, pixel, channels, columns};
    if (Draw(&random, 0, 2) == 0) row.b_pixel_bytes = 0;
    if (Draw(&random, 0, 2) == 0) row.b_channel_bytes = 0;
    const int rule = kRules[Draw(&random, 0, 2)];
    const MultiplyParameters product = RandomProduct(&random, rule);
    const PreluParameters slopes = RandomSlopes(&random);
    const auto is_same = [&](const auto& kernel) {
      const auto run = [&](const RowKernels& k) {
        return WrittenBy(columns, channels, pixel, [&](uint8_t* out) {
          row.out = out;
          kernel(k);
        });
      };
      return run(kernels) == run(PlainRowKernels());
    };
    EXPECT(is_same([&](const RowKernels& k) { k.multiply[rule](row, product); }));
    EXPECT(is_same([&](const RowKernels& k) { k.larger(row); }));
    EXPECT(is_same([&](const RowKernels& k) { k.smaller(row); }));
    EXPECT(is_same([&](const RowKernels& k) { k.prelu(row, slopes); }));
  }
}

void TestBytes(const RowKernels& kernels) {
  Random random(3);
  const RowKernels& plain = PlainRowKernels();
  for (int i = 0; i < 2000; ++i) {
    const int32_t columns = Draw(&random, 1, 70), channels = Draw(&random, 1, Draw(&random, 0, 1) != 0 ? 4 : 40);
    const OwnedPixels in(&random, columns, channels);
    const ptrdiff_t pixel = Draw(&random, 0, 1) != 0 ? channels : channels + Draw(&random, 0, 4);
    PixelRow row{
        in.data(), in.pixel_bytes, nullptr, pixel, channels, columns, static_cast<uint8_t>(128 * Draw(&random, 0, 1))};
    const auto move = [&](const RowKernels& k) {
      return WrittenBy(columns, channels, pixel, [&](uint8_t* out) {
        row.out = out;
        k.move_pixels(row);
      });
    };
    EXPECT(move(kernels) == move(plain));

    const Bytes table = RandomBytes(&random, 256);
    const Bytes values = RandomBytes(&random, static_cast<size_t>(Draw(&random, 1, 300)));
    Bytes found(values), expected(values.size());
    const ptrdiff_t count = static_cast<ptrdiff_t>(values.size());
    kernels.look_up(table.data(), found.data(), count, found.data());
    plain.look_up(table.data(), values.data(), count, expected.data());
    EXPECT(found == expected);

    std::vector<int32_t> sums(static_cast<size_t>(channels), 7), expected_sums(sums);
    kernels.add_columns(in.data(), in.pixel_bytes, columns, channels, sums.data());
    plain.add_columns(in.data(), in.pixel_bytes, columns, channels, expected_sums.data());
    EXPECT(sums == expected_sums);
  }
}

void TestQuantization(const RowKernels& kernels) {
  Random random(4);
  constexpr float kStrange[] = {INFINITY, -INFINITY, NAN, 3e38f, -3e38f, 2147483648.0f, -2147483648.0f, 0.5f, -0.5f};
  for (int i = 0; i < 2000; ++i) {
    const float scale = std::ldexp(1.0f, Draw(&random, -8, 0));
    const QuantizeParameters p{scale,
                               1 / scale,
                               static_cast<uint8_t>(Draw(&random, 0, 255)),
                               static_cast<uint8_t>(Draw(&random, 0, 100)),
                               static_cast<uint8_t>(Draw(&random, 100, 255)),
                               static_cast<uint8_t>(Draw(&random, 0, 255)),
                               0};
    std::vector<float> values(static_cast<size_t>(Draw(&random, 1, 200)));
    for (float& v : values) {
      v = static_cast<float>(Draw(&random, -600, 600)) * 0.5f * scale;
      if (Draw(&random, 0, 30) == 0) v = kStrange[Draw(&random, 0, 8)];
    }
    const Block block(AsBytes(values));
    const uint64_t first = static_cast<uint64_t>(Draw(&random, 0, 20));
    QuantizeRun run{block.As<uint8_t>(),
                    static_cast<ptrdiff_t>(values.size()),
                    nullptr,
                    &p,
                    first,
                    static_cast<uint64_t>(Draw(&random, 0, 220))};
    const int rule = Draw(&random, 1, 4);
    Bytes out(values.size()), expected(values.size());
    run.out = out.data();
    kernels.quantize[rule](run);
    run.out = expected.data();
    PlainRowKernels().quantize[rule](run);
    EXPECT(out == expected);
  }
}

void TestPools(const RowKernels& kernels) {
  Random random(5);
  const RowKernels& plain = PlainRowKernels();
  for (int i = 0; i < 1000; ++i) {
    PoolRow row{};
    row.width = Draw(&random, 1, 60);
    row.kernel_columns = Draw(&random, 1, Draw(&random, 0, 9) == 0 ? 40 : 6);
    row.stride = Draw(&random, 1, 3);
    row.first_column = -Draw(&random, 0, row.kernel_columns - 1);
    row.columns = (row.width - 1 - row.first_column) / row.stride + 1;
    row.rows_column = std::max(0, row.first_column);
    row.num_rows = Draw(&random, 1, 5);
    row.channels = Draw(&random, 1, 70);
    row.range = {Draw(&random, 0, 255), Draw(&random, 0, 128), Draw(&random, 128, 255)};
    std::vector<std::unique_ptr<OwnedPixels>> rows;
    const uint8_t* pointers[5];
    for (int r = 0; r < row.num_rows; ++r) {
      rows.push_back(std::make_unique<OwnedPixels>(&random, row.width - row.rows_column, row.channels));
      rows.back()->pixel_bytes = rows[0]->pixel_bytes;
      rows.back()->block = std::make_unique<Block>(
          RandomBytes(&random, static_cast<size_t>((rows.back()->columns - 1) * rows[0]->pixel_bytes + row.channels)));
      pointers[r] = rows.back()->data();
    }
    row.rows = pointers;
    row.pixel_bytes = rows[0]->pixel_bytes;
    row.out_pixel_bytes = row.channels + Draw(&random, 0, 3);
    const auto run = [&](void (*kernel)(const PoolRow&)) {
      return WrittenBy(row.columns, row.channels, row.out_pixel_bytes, [&](uint8_t* out) {
        row.out = out;
        kernel(row);
      });
    };
    EXPECT(run(kernels.average) == run(plain.average));
    row.range.zero = 0;
    EXPECT(run(kernels.maximum) == run(plain.maximum));
    const size_t values = static_cast<size_t>(row.columns) * static_cast<size_t>(row.channels);
    std::vector<int32_t> sums(values, 5), expected_sums(sums);
    kernels.add_windows(row, sums.data());
    plain.add_windows(row, expected_sums.data());
    EXPECT(sums == expected_sums);
    Bytes maxima = RandomBytes(&random, values), expected_maxima(maxima);
    kernels.raise_maxima(row, maxima.data());
    plain.raise_maxima(row, expected_maxima.data());
    EXPECT(maxima == expected_maxima);
  }
}

BilinearEntry RandomEntry(Random* random, int32_t first, int32_t second, int rule) {
  BilinearEntry entry{static_cast<uint32_t>(first), static_cast<uint32_t>(second), {}};
  const int32_t one = rule == 1 ? 1024 : 2048;
  const int32_t right = Draw(random, 0, 20) == 0 ? Draw(random, -one, one * 2) : Draw(random, 0, one);
  if (rule <= 2) {
    entry.weights[0] = static_cast<uint32_t>(one - right);
    entry.weights[1] = static_cast<uint32_t>(right);
  } else {
    const float weights[2] = {1.0f - static_cast<float>(right) / 2048, static_cast<float>(right) / 2048};
    std::memcpy(entry.weights, weights, sizeof(weights));
  }
  return entry;
}

void TestBilinear(const RowKernels& kernels) {
  Random random(6);
  for (int i = 0; i < 500; ++i) {
    const int rule = Draw(&random, 0, 1) != 0 ? 2 : Draw(&random, 1, 4);
    const int32_t width = Draw(&random, 1, 300), channels = Draw(&random, 1, 40);
    const OwnedPixels rows[2] = {{&random, width, channels}, {&random, width, channels}};
    BilinearRow row{};
    row.pixel_bytes = std::min(rows[0].pixel_bytes, rows[1].pixel_bytes);
    row.rows[0] = rows[0].data();
    row.rows[1] = rows[1].data();
    const BilinearEntry of_row = RandomEntry(&random, 0, 1, rule);
    row.row = &of_row;
    row.num_columns = Draw(&random, 1, 60);
    std::vector<BilinearEntry> columns;
    for (int32_t x = 0; x < row.num_columns; ++x) {
      const int32_t first = x * width / row.num_columns;
      columns.push_back(RandomEntry(&random, first, std::min(first + Draw(&random, 0, 2), width - 1), rule));
    }
    // What only two columns far from each other have.
    if (Draw(&random, 0, 9) == 0) columns.back().second = static_cast<uint32_t>(width - 1);
    row.columns = columns.data();
    row.out_pixel_bytes = channels + Draw(&random, 0, 3);
    row.channels = channels;
    row.offset = Draw(&random, 0, 255);
    const auto run = [&](const RowKernels& k) {
      return WrittenBy(row.num_columns, channels, row.out_pixel_bytes, [&](uint8_t* out) {
        row.out = out;
        k.bilinear[rule](row);
      });
    };
    EXPECT(run(kernels) == run(PlainRowKernels()));
  }
}

}  // namespace
}  // namespace fmtc

int main() {
  for (const fmtc::region::RowKernels* kernels : fmtc::test::AllRowKernels()) {
    fmtc::TestSums(*kernels);
    fmtc::TestPairs(*kernels);
    fmtc::TestBytes(*kernels);
    fmtc::TestQuantization(*kernels);
    fmtc::TestPools(*kernels);
    fmtc::TestBilinear(*kernels);
  }
  return 0;
}
