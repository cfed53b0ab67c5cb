#include "tests/random_program.h"

#include <algorithm>
#include <cstring>

#include "base/bytes.h"
#include "region/kind.h"
#include "region/parameters.h"
#include "region/window.h"
#include "tests/random_coders.h"
#include "tests/random_floats.h"
#include "tests/random_inputs.h"
#include "tests/random_moves.h"
#include "tests/random_pairs.h"
#include "tests/random_tensors.h"

namespace fmtc::test {
namespace {

using namespace region;

constexpr uint32_t kMaxSide = 12;
constexpr uint32_t kWide = 5;  // times the columns and the output channels
constexpr uint32_t kMaxChannels = 24;

// Adds ops one behind another.
class RandomChain {
 public:
  RandomChain(uint32_t seed, uint32_t scale, bool has_passes) : random_(seed), scale_(scale), has_passes_(has_passes) {}

  ProgramBytes Build(uint32_t strips, bool windowed) {
    Begin();
    for (int left = Draw(0, 4); left > 0; --left) AddNext();
    if (Draw(0, 3) == 0) End(last_);
    for (int left = Draw(0, 2); left > 0; --left) AddNext();
    End(last_);
    return builder_.Finish(strips, windowed);
  }

 private:
  int32_t Draw(int32_t low, int32_t high) { return test::Draw(&random_, low, high); }
  uint32_t Number(int32_t low, int32_t high) { return static_cast<uint32_t>(Draw(low, high)); }
  uint16_t Short(int32_t low, int32_t high) { return static_cast<uint16_t>(Draw(low, high)); }
  uint8_t Byte(int32_t low = 0, int32_t high = 255) { return static_cast<uint8_t>(Draw(low, high)); }
  uint8_t EightBit() { return test::EightBit(&random_); }

  void AddNext() {
    AddAny();
    if (has_passes_ && Draw(0, 1) != 0) builder_.EndPass();
  }

  const TensorRecord& last() { return builder_.tensor(last_); }

  uint16_t AddScratch(uint32_t height, uint32_t width, uint32_t channels) {
    return test::AddScratch(&random_, &builder_, height, width, channels);
  }
  uint16_t AddScratchLikeLast() { return AddScratch(last().height, last().width, last().channels); }

  template <typename T>
  std::vector<T> Values(size_t count, int32_t low, int32_t high) {
    std::vector<T> values(count);
    for (T& value : values) value = static_cast<T>(Draw(low, high));
    return values;
  }

  // The first op reads the region's input.
  void Begin() {
    const uint32_t height = Number(1, kMaxSide), width = scale_ * Number(1, kMaxSide), channels = Number(1, 8);
    const int32_t choice = Draw(0, 4);
    if (choice == 4) {
      const uint16_t numbers = AddFloatInput(&random_, &builder_, height, width, channels);
      last_ = AddScratch(height, width, channels);
      return AddQuantize(&random_, &builder_, numbers, last_);
    }
    last_ = AddScratch(height, width, channels);
    if (choice == 0) return AddTranspose();
    const uint8_t type = choice == 1 ? uint8_t{kFloat32} : EightBit();
    const uint16_t input = builder_.AddTensor(kInput, type, height, width, channels);
    if (choice == 1) {
      AddQuantize(&random_, &builder_, input, last_);
    } else if (choice == 2) {
      AddTableOp(input, last_);
    } else {
      builder_.AddOp(kCopy, 1, {input}, last_);
    }
  }

  // The region's input plane by plane, of 8 bits or of numbers that are quantized behind it.
  void AddTranspose() {
    const TensorRecord t = last();
    const bool has_numbers = Draw(0, 2) == 0;
    const uint8_t type = has_numbers ? uint8_t{kFloat32} : EightBit();
    const uint16_t input = builder_.AddTensor(kInput, type, 1, 1, t.height * t.width * t.channels);
    const uint16_t moved = has_numbers ? builder_.AddTensor(kScratch, kFloat32, t.height, t.width, t.channels) : last_;
    const int32_t plane = static_cast<int32_t>(t.height * t.width);
    builder_.AddOp(kTranspose, 1, {input}, moved, TransposeParameters{static_cast<int32_t>(t.width), 1, plane, 0});
    if (has_numbers) AddQuantize(&random_, &builder_, moved, last_);
  }

  void AddTableOp(uint16_t from, uint16_t to) {
    const std::vector<uint8_t> values = Values<uint8_t>(256, 0, 255);
    TableParameters p;
    std::memcpy(p.values, values.data(), sizeof(p.values));
    builder_.AddOp(kTable, 1, {from}, to, p);
  }

  // The region's output takes a tensor.
  void End(uint16_t from) {
    const TensorRecord t = builder_.tensor(from);
    const int32_t choice = Draw(0, 3);
    if (choice == 3) {
      const uint8_t integers = Draw(0, 1) != 0 ? uint8_t{kInt32} : uint8_t{kInt64};
      if (Draw(0, 1) != 0) {
        const uint16_t places = builder_.AddTensor(kOutput, integers, 1, 1, t.channels);
        const bool is_float = Draw(0, 1) != 0;
        const uint16_t compared = is_float ? AddFloats(&random_, &builder_, from, kScratch) : from;
        builder_.AddOpWithMemory(kArgMaxPlaces, Byte(1, 2), compared, places, size_t{8} * t.channels);
        return;
      }
      const uint16_t channels = builder_.AddTensor(kOutput, integers, t.height, t.width, 1);
      builder_.AddOp(kArgMax, Byte(1, 2), {from}, channels);
      return;
    }
    if (choice == 0) {
      AddFloats(&random_, &builder_, from, kOutput);
      return;
    }
    const uint16_t output = builder_.AddTensor(kOutput, EightBit(), t.height, t.width, t.channels);
    if (choice == 1) {
      AddTableOp(from, output);
    } else {
      builder_.AddOp(kCopy, 1, {from}, output);
    }
  }

  void AddAny() {
    switch (Draw(0, 20)) {
      case 0:
      case 1:
        return AddWindowOp(kConv);
      case 2:
      case 3:
        return AddWindowOp(kDepthwise);
      case 4:
        return AddFullyConnected();
      case 5:
      case 15:
        last_ = RandomPairs(&random_, &builder_).Add(last_);
        return;
      case 6:
        return AddMean();
      case 7:
        return AddPool();
      case 8:
      case 9:
      case 11:
      case 12:
      case 13:
        last_ = RandomMoves(&random_, &builder_).Add(last_);
        return;
      case 10:
        return AddResize();
      case 14:
        return AddFloatOps();
      case 16:
      case 17:
        return AddTransposeConv();
      case 19:
        last_ = AddCoders(&random_, &builder_, last_);
        return;
      case 20:
        return AddSoftmax();
      default:
        const uint16_t to = AddScratchLikeLast();
        AddTableOp(last_, to);
        last_ = to;
    }
  }

  void AddSoftmax() {
    std::vector<int32_t> exponentials = Values<int32_t>(256, 0, INT32_MAX);
    exponentials[0] = INT32_MAX;
    const uint16_t to = AddScratchLikeLast();
    builder_.AddOp(kSoftmax, 1, {last_}, to, SoftmaxParameters{builder_.AddArray(exponentials), {}});
    last_ = to;
  }

  void AddFloatOps() {
    const uint16_t numbers = AddFloats(&random_, &builder_, last_, kScratch);
    const uint16_t to = AddScratchLikeLast();
    AddQuantize(&random_, &builder_, numbers, to);
    last_ = to;
  }

  WindowParameters AnyWindow(bool dilates) {
    WindowParameters w{};
    w.kernel_rows = Short(1, 4);
    w.kernel_columns = Short(1, 4);
    w.row_stride = Short(1, 3);
    w.column_stride = Short(1, 3);
    w.row_dilation = dilates ? Short(1, 2) : uint16_t{1};
    w.column_dilation = dilates ? Short(1, 2) : uint16_t{1};
    w.above = Short(0, (w.kernel_rows - 1) * w.row_dilation);
    w.left = Short(0, (w.kernel_columns - 1) * w.column_dilation);
    return w;
  }

  // As many outputs as have a window that meets the input, with `after` padding behind it.
  uint32_t OutputSize(uint32_t input, uint32_t kernel, uint32_t stride, uint32_t dilation, uint32_t before) {
    const uint32_t reach = (kernel - 1) * dilation;
    const uint32_t after = Number(0, static_cast<int32_t>(reach));
    const uint32_t padded = input + before + after;
    const uint32_t fitting = padded > reach ? (padded - reach - 1) / stride + 1 : 1;
    const uint32_t meeting = (input + before - 1) / stride + 1;
    return std::min(fitting, meeting);
  }

  // Rules and arrays of accumulators for so many padded channels.
  uint8_t AddRequantization(size_t entries, uint8_t last_rule, MacParameters* p) {
    const uint8_t rule = Byte(1, last_rule);
    p->zero = Byte();
    p->low = Byte(0, 128);
    p->high = Byte(128);
    p->biases_offset = builder_.AddArray(Values<int32_t>(entries, -20000, 20000));
    if (rule == kFloat32Rule) {
      std::vector<float> factors(entries);
      for (float& f : factors) f = static_cast<float>(Draw(1, 1000)) * 1e-5f;
      p->multipliers_offset = builder_.AddArray(factors);
    } else if (rule == kFloat64Rule) {
      std::vector<double> factors(entries);
      for (double& f : factors) f = Draw(1, 1000) * 1e-5;
      p->multipliers_offset = builder_.AddArray(factors);
    } else {
      p->multipliers_offset = builder_.AddArray(Values<int32_t>(entries, 1 << 30, INT32_MAX));
      p->shifts_offset = builder_.AddArray(Values<int8_t>(entries, -14, Draw(0, 1) != 0 ? -5 : 3));
    }
    return rule;
  }

  // Weights in layout 0: those of what lies between a tap's channels and the next multiple of 4 are 0.
  std::vector<int8_t> DotWeights(size_t entries, size_t k, size_t tap_channels) {
    std::vector<int8_t> weights = Values<int8_t>(entries * k, -128, 127);
    const size_t tap = RoundUp(tap_channels, 4);
    for (size_t i = 0; i < weights.size(); ++i) {
      const size_t place = i / (kChannelBlock * kStepValues) * kStepValues + i % kStepValues;
      if (place % tap >= tap_channels) weights[i] = 0;
    }
    return weights;
  }

  // What CONV, DEPTHWISE and FULLY_CONNECTED read.
  void PadPixel() {
    TensorRecord& t = builder_.tensor(last_);
    t.pixel_bytes = static_cast<uint32_t>(RoundUp(t.channels, 4));
  }

  void AddWindowOp(uint8_t kind) {
    PadPixel();
    MacParameters p{};
    p.window = AnyWindow(true);
    const WindowParameters& w = p.window;
    const uint32_t in_channels = last().channels;
    p.groups = 1;
    uint32_t channels;
    if (kind == kConv) {
      while (Draw(0, 2) == 0 && in_channels % (p.groups * 2u) == 0) p.groups = static_cast<uint16_t>(p.groups * 2);
      p.group_channels = in_channels / p.groups;
      channels = p.groups * Number(1, std::max(1, 20 * static_cast<int32_t>(scale_) / p.groups));
    } else {
      p.group_channels = in_channels <= 8 ? Number(1, 3) : 1;
      channels = in_channels * p.group_channels;
      p.layout = 1;
    }
    const size_t entries = p.groups * RoundUp(channels / p.groups, 16);
    const size_t taps = size_t{w.kernel_rows} * w.kernel_columns;
    const size_t k = kind == kConv ? taps * RoundUp(p.group_channels, 4) : taps;
    p.weight_zero = Draw(0, 1) != 0 ? int8_t{0} : static_cast<int8_t>(Draw(-128, 127));
    const std::vector<int8_t> weights =
        kind == kConv ? DotWeights(entries, k, p.group_channels) : Values<int8_t>(entries * k, -128, 127);
    p.weights_offset = builder_.AddArray(weights, 64);
    const uint8_t rule = AddRequantization(entries, kind == kDepthwise ? kBlocksRule : kRndnu, &p);
    const uint32_t height = OutputSize(last().height, w.kernel_rows, w.row_stride, w.row_dilation, w.above);
    const uint32_t width = OutputSize(last().width, w.kernel_columns, w.column_stride, w.column_dilation, w.left);
    PadColumns(w, width);
    const uint16_t to = AddScratch(height, width, channels);
    builder_.AddOp(kind, rule, {last_}, to, p, SpanBytes(w, last()));
    last_ = to;
  }

  // Padding columns for windows of so many output columns.
  void PadColumns(const WindowParameters& w, uint32_t width) {
    TensorRecord& t = builder_.tensor(last_);
    const Range under = ColumnsUnder(w, {0, static_cast<int32_t>(width)});
    const int32_t right = under.end - static_cast<int32_t>(t.width);
    t.left = std::max(t.left, w.left);
    if (right > t.right) t.right = static_cast<uint16_t>(right);
  }

  void AddFullyConnected() {
    PadPixel();
    MacParameters p{};
    p.groups = 1;
    const uint32_t channels = Number(1, 20);
    const size_t entries = RoundUp(channels, 16);
    const size_t k = size_t{last().height} * last().width * RoundUp(last().channels, 4);
    p.weight_zero = Draw(0, 1) != 0 ? int8_t{0} : static_cast<int8_t>(Draw(-128, 127));
    p.weights_offset = builder_.AddArray(DotWeights(entries, k, last().channels), 64);
    const uint8_t rule = AddRequantization(entries, kRndnu, &p);
    const uint16_t to = AddScratch(1, 1, channels);
    builder_.AddOp(kFullyConnected, rule, {last_}, to, p, entries * sizeof(int32_t));
    last_ = to;
  }

  void AddMean() {
    MeanParameters p{};
    p.start = Draw(-50000, 50000);
    p.multiplier = Draw(1 << 28, INT32_MAX);
    p.shift = Draw(-12, 0);
    p.factor = static_cast<float>(Draw(1, 1000)) * 1e-4f;
    p.zero = Draw(-300, 300);
    p.low = Byte(0, 128);
    p.high = Byte(128);
    p.addend = static_cast<float>(Draw(-100, 100)) * 0.37f;
    constexpr uint8_t kRules[] = {1, 2, 3, 6, 7, 8};
    const int32_t form = Draw(0, 3);  // of rows, of columns, or of both
    const uint16_t to = AddScratch(form == 0 ? last().height : 1, form == 1 ? last().width : 1, last().channels);
    const size_t sums = builder_.tensor(to).width * RoundUp(last().channels, 16);
    builder_.AddOp(kMean, kRules[Draw(0, 5)], {last_}, to, p, sums * sizeof(int32_t));
    last_ = to;
  }

  void AddPool() {
    PoolParameters p{};
    p.window = AnyWindow(false);
    WindowParameters& w = p.window;
    if (Draw(0, 3) == 0) w.kernel_rows = static_cast<uint16_t>(last().height), w.above = 0;
    const uint8_t kind = Draw(0, 1) != 0 ? kAveragePool : kMaxPool;
    if (kind == kAveragePool) p.offset = Byte();
    p.low = Byte(0, 128);
    p.high = Byte(128);
    const uint32_t height = OutputSize(last().height, w.kernel_rows, w.row_stride, 1, w.above);
    const uint32_t width = OutputSize(last().width, w.kernel_columns, w.column_stride, 1, w.left);
    const uint16_t to = AddScratch(height, width, last().channels);
    builder_.AddOp(kind, 1, {last_}, to, p, size_t{width} * last().channels * sizeof(int32_t));
    last_ = to;
  }

  // Any kernel, stride and padding; as many outputs as have an input, or a few less.
  void AddTransposeConv() {
    PadPixel();
    MacParameters p{};
    p.window = AnyWindow(false);
    WindowParameters& w = p.window;
    w.row_stride = std::min(w.row_stride, w.kernel_rows);
    w.column_stride = std::min(w.column_stride, w.kernel_columns);
    p.groups = 1;
    p.group_channels = last().channels;
    const uint32_t height = TransposedSize(last().height, w.kernel_rows, w.row_stride, w.above);
    const uint32_t width = TransposedSize(last().width, w.kernel_columns, w.column_stride, w.left);
    PadTransposedColumns(w, width);
    const uint32_t channels = Number(1, 20);
    const size_t entries = RoundUp(channels, 16);
    const size_t k = size_t{w.kernel_rows} * w.kernel_columns * RoundUp(last().channels, 4);
    p.weight_zero = Draw(0, 1) != 0 ? int8_t{0} : static_cast<int8_t>(Draw(-128, 127));
    p.weights_offset = builder_.AddArray(DotWeights(entries, k, last().channels), 64);
    const uint8_t rule = AddRequantization(entries, kBlocksRule, &p);
    const size_t phases = size_t{w.row_stride} * w.column_stride;
    p.biases_offset = builder_.AddArray(Values<int32_t>(entries * phases, -20000, 20000));
    const uint16_t to = AddScratch(height, width, channels);
    builder_.AddOp(kTransposeConv, rule, {last_}, to, p, size_t{w.kernel_columns} * last().pixel_bytes);
    last_ = to;
  }

  uint32_t TransposedSize(uint32_t input, uint32_t kernel, uint32_t stride, uint32_t before) {
    const uint32_t most = std::min((input - 1) * stride + kernel - before, 2 * kMaxSide);
    return std::max(most - std::min(most, Number(0, 2)), 1u);
  }

  void PadTransposedColumns(const WindowParameters& w, uint32_t width) {
    TensorRecord& t = builder_.tensor(last_);
    const int32_t stride = w.column_stride, kernel = w.kernel_columns, before = w.left;
    const int32_t taps = (kernel - 1 - before % stride) / stride + 1;
    const int32_t left = taps - 1 - before / stride;
    const int32_t right = (static_cast<int32_t>(width) - 1 + before) / stride + 1 - static_cast<int32_t>(t.width);
    if (left > t.left) t.left = static_cast<uint16_t>(left);
    if (right > t.right) t.right = static_cast<uint16_t>(right);
  }

  std::vector<BilinearEntry> Entries(uint32_t count, uint32_t size, bool is_float) {
    std::vector<BilinearEntry> entries;
    for (uint32_t i = 0; i < count; ++i) {
      const uint32_t place = i * size / count;
      BilinearEntry e{place, std::min(place + 1, size - 1), {}};
      const int32_t weight = Draw(0, 1024);
      const float fraction = static_cast<float>(weight) / 1024.0f;
      const float weights[2] = {1.0f - fraction, fraction};
      if (is_float) {
        std::memcpy(e.weights, weights, sizeof(weights));
      } else {
        e.weights[0] = static_cast<uint32_t>(1024 - weight);
        e.weights[1] = static_cast<uint32_t>(weight);
      }
      entries.push_back(e);
    }
    return entries;
  }

  void AddResize() {
    const TensorRecord t = last();
    const uint32_t height = Number(1, kMaxSide), width = scale_ * Number(1, kMaxSide);
    const uint16_t to = AddScratch(height, width, t.channels);
    ResizeParameters p{};
    const uint8_t rule = Byte(1, 4);
    if (Draw(0, 2) == 0) {
      std::vector<uint32_t> rows(height), columns(width);
      for (uint32_t i = 0; i < height; ++i) rows[i] = i * t.height / height;
      for (uint32_t i = 0; i < width; ++i) columns[i] = i * t.width / width;
      p.rows_offset = builder_.AddArray(rows);
      p.columns_offset = builder_.AddArray(columns);
      builder_.AddOp(kResizeNearest, 1, {last_}, to, p);
    } else {
      p.offset = Byte();
      p.rows_offset = builder_.AddArray(Entries(height, t.height, rule >= 3));
      p.columns_offset = builder_.AddArray(Entries(width, t.width, rule >= 3));
      builder_.AddOp(kResizeBilinear, rule, {last_}, to, p);
    }
    last_ = to;
  }

  Random random_;
  ProgramBuilder builder_;
  uint16_t last_ = 0;
  const uint32_t scale_;
  const bool has_passes_;
};

}  // namespace

ProgramBytes RandomProgram(uint32_t seed, uint32_t strips, bool windowed) {
  return RandomChain(seed, 1, false).Build(strips, windowed);
}

ProgramBytes RandomWideProgram(uint32_t seed) {
  return RandomChain(seed, kWide, true).Build(1 + seed % 3, seed / 3 % 2 != 0);
}

ProgramBytes RandomProgram(uint32_t seed) { return RandomProgram(seed, 1 + seed % 3, seed / 3 % 2 != 0); }

}  // namespace fmtc::test
