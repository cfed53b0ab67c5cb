// Convolutions and fully connected ops of every level that this machine has, on rows of all shapes that their tiles
// tell apart, beside the plain ones: the same bytes, none of another column, and no byte beyond the row's memory, which
// is of exact size.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "region/packed_weights.h"
#include "region/taps.h"
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

// A row of a convolution with its memory.
class OwnedMac {
 public:
  OwnedMac(Random* random, bool depthwise, uint8_t rule) : random_(*random) {
    row_ = {};
    row_.kernel_rows = Any(1, 9, 3);
    row_.kernel_columns = Any(1, 8, 3);
    row_.stride = Any(1, 3, 1);
    row_.dilation = Any(1, 4, 1);
    row_.columns = Draw(&random_, 0, 4) == 0 ? Draw(&random_, 1, 90) : Draw(&random_, 1, 20);
    row_.groups = 1;
    row_.multiplier = 1;
    if (depthwise) {
      row_.multiplier = Draw(&random_, 0, 5) == 0 ? Draw(&random_, 2, 4) : 1;
      row_.in_channels = Draw(&random_, 1, Any(70, 200, 70));
      row_.out_channels = row_.in_channels * row_.multiplier;
    } else {
      row_.groups = rule != kBlocksRule && Draw(&random_, 0, 4) == 0 ? Draw(&random_, 2, 4) : 1;
      row_.in_channels = Any(1, row_.groups > 1 ? 12 : 40, 1);
      row_.out_channels = Draw(&random_, 1, row_.groups > 1 ? 40 : 100);
    }
    row_.weight_zero = Draw(&random_, 0, 2) != 0 ? 0 : Draw(&random_, -128, 127);
    if (!depthwise && row_.groups == 1 && Draw(&random_, 0, 3) == 0) {  // a short row of whole tiles
      row_.kernel_rows = row_.kernel_columns = 1;
      row_.columns = Draw(&random_, 1, 7);
      row_.out_channels = 16 * Draw(&random_, 1, 12);
    }
    if (!depthwise && Draw(&random_, 0, 3) == 0) row_.out_channels = 16 * Draw(&random_, 1, 2);
    row_.pixel_bytes = static_cast<ptrdiff_t>(RoundUp(static_cast<size_t>(row_.in_channels * row_.groups), 4)) +
                       4 * Draw(&random_, 0, 1);
    row_.tap_bytes = row_.dilation * row_.pixel_bytes;
    AddRows();
    AddWeights(depthwise);
    if (!depthwise && row_.groups == 1 && Draw(&random_, 0, 3) != 0) PackWeights();
    AddRequantization(rule);
    row_.out_pixel_bytes = row_.groups * row_.out_channels + Draw(&random_, 0, 1) * Draw(&random_, 0, 5);
  }

  Bytes Run(void (*kernel)(const MacRow&)) {
    const ptrdiff_t channels = row_.groups * row_.out_channels;
    Bytes out(static_cast<size_t>((row_.columns - 1) * row_.out_pixel_bytes + channels), 0x5A);
    row_.out = out.data();
    kernel(row_);
    return out;
  }

  // As the input row of a fully connected op.
  std::vector<int32_t> AddProducts(const RowKernels& kernels) {
    std::vector<int32_t> acc(entries_);
    std::memcpy(acc.data(), row_.requantization.biases, entries_ * sizeof(int32_t));
    kernels.add_products(row_, acc.data());
    return acc;
  }
  bool IsFullyConnected() const { return row_.groups == 1; }

 private:
  int32_t Any(int32_t low, int32_t high, int32_t common) {
    return Draw(&random_, 0, 1) != 0 ? common : Draw(&random_, low, high);
  }

  const uint8_t* Keep(const Bytes& bytes) {
    memory_.push_back(std::make_unique<Block>(bytes));
    return memory_.back()->As<uint8_t>();
  }

  // Some of them rows of padding.
  void AddRows() {
    const ptrdiff_t span = ((row_.kernel_columns - 1) * row_.dilation + 1) * row_.pixel_bytes;
    const ptrdiff_t column_bytes = row_.stride * row_.pixel_bytes;
    for (int i = 0; i < row_.kernel_rows; ++i) {
      if (Draw(&random_, 0, 7) == 0) {
        rows_.push_back({Keep(Bytes(static_cast<size_t>(span), static_cast<uint8_t>(random_()))), 0});
      } else {
        rows_.push_back(
            {Keep(RandomBytes(&random_, static_cast<size_t>(span + (row_.columns - 1) * column_bytes))), column_bytes});
      }
    }
    row_.rows = rows_.data();
  }

  void AddWeights(bool depthwise) {
    const size_t padded = RoundUp(static_cast<size_t>(row_.out_channels), 16);
    row_.tap_weights = static_cast<ptrdiff_t>(padded);
    const size_t taps = static_cast<size_t>(row_.kernel_rows * row_.kernel_columns);
    const size_t in_channels = static_cast<size_t>(row_.in_channels), tap = RoundUp(in_channels, 4);
    entries_ = padded * static_cast<size_t>(row_.groups);
    Bytes weights = RandomBytes(&random_, entries_ * taps * (depthwise ? 1 : tap));
    if (Draw(&random_, 0, 9) == 0) std::fill(weights.begin(), weights.end(), uint8_t{0});  // sums are biases
    for (size_t i = 0; i < weights.size(); ++i) {
      const bool is_padding =
          depthwise ? i % padded >= static_cast<size_t>(row_.out_channels) : (i / 64 * 4 + i % 4) % tap >= in_channels;
      if (is_padding) weights[i] = 0;
    }
    row_.weights = reinterpret_cast<const int8_t*>(Keep(weights));
  }

  // As the checker does where there is one input channel.
  void PackWeights() {
    if (row_.in_channels != 1 || row_.pixel_bytes != kStepValues || row_.dilation != 1 || row_.kernel_columns == 1 ||
        row_.weight_zero != 0 || NumPackedSteps(row_) > static_cast<int32_t>(kMaxPackedSteps)) {
      return;
    }
    Bytes packed(RoundUp(static_cast<size_t>(row_.out_channels), 16) *
                 static_cast<size_t>(PackedWeightsOfChannel(row_)));
    PackWeightsOf(row_, reinterpret_cast<int8_t*>(packed.data()));
    row_.packed_weights = reinterpret_cast<const int8_t*>(Keep(packed));
  }

  void AddRequantization(uint8_t rule) {
    Requantization& r = row_.requantization;
    r.range = {Draw(&random_, 0, 255), Draw(&random_, 0, 200), Draw(&random_, 100, 255)};
    r.blocks_end = row_.out_channels - row_.out_channels % 8;
    std::vector<int32_t> biases(entries_), multipliers(entries_);
    std::vector<float> factors(entries_);
    std::vector<double> doubles(entries_);
    Bytes shifts(entries_);
    const bool has_large = Draw(&random_, 0, 2) == 0;
    const int32_t any = Draw(&random_, 0, 9), spread = any == 0 ? INT32_MAX : any == 1 ? 2 : 100000;
    bool has_small_scales = true;
    for (size_t i = 0; i < entries_; ++i) {
      biases[i] = Draw(&random_, -spread, spread);
      multipliers[i] = Any(1 << 30, INT32_MAX, 1 << 30);
      const int32_t shift =
          Draw(&random_, 0, 9) == 0 ? Draw(&random_, -31, has_large ? 4 : -1) : Draw(&random_, -14, -1);
      if (Draw(&random_, 0, 20) == 0) multipliers[i] = 0;
      has_small_scales = has_small_scales && (shift < 0 || multipliers[i] == 0);
      shifts[i] = static_cast<uint8_t>(shift);
      factors[i] =
          std::ldexp(1.0f + static_cast<float>(Draw(&random_, 0, 1 << 22)) * 0x1p-22f, Draw(&random_, -14, -6));
      if (has_large && Draw(&random_, 0, 20) == 0) factors[i] = std::ldexp(factors[i], Draw(&random_, 0, 60));
      doubles[i] = static_cast<double>(factors[i]);
    }
    row_.has_small_factors = rule == kFloat32Rule ? *std::max_element(factors.begin(), factors.end()) < 1.0f
                                                  : rule != kFloat64Rule && rule != kRndnu && has_small_scales;
    r.biases = reinterpret_cast<const int32_t*>(Keep(AsBytes(biases)));
    r.shifts = reinterpret_cast<const int8_t*>(Keep(shifts));
    r.multipliers = Keep(rule == kFloat32Rule   ? AsBytes(factors)
                         : rule == kFloat64Rule ? AsBytes(doubles)
                                                : AsBytes(multipliers));
  }

  Random& random_;
  MacRow row_;
  size_t entries_ = 0;
  std::vector<KernelRow> rows_;
  std::vector<std::unique_ptr<Block>> memory_;
};

void TestConvolutions(const RowKernels& kernels) {
  Random random(1);
  const RowKernels& plain = PlainRowKernels();
  for (int i = 0; i < 2000; ++i) {
    const bool depthwise = i % 2 != 0;
    const uint8_t rule = static_cast<uint8_t>(Draw(&random, 0, 1) != 0 ? +kFloat32Rule : Draw(&random, 1, 6));
    OwnedMac mac(&random, depthwise, rule);
    EXPECT(depthwise ? mac.Run(kernels.depthwise[rule]) == mac.Run(plain.depthwise[rule])
                     : mac.Run(kernels.conv[rule]) == mac.Run(plain.conv[rule]));
    if (!depthwise && mac.IsFullyConnected()) EXPECT(mac.AddProducts(kernels) == mac.AddProducts(plain));
  }
}

}  // namespace
}  // namespace fmtc

int main() {
  for (const fmtc::region::RowKernels* kernels : fmtc::test::AllRowKernels()) fmtc::TestConvolutions(*kernels);
  return 0;
}
