// Speed of the region executor's row kernels on one thread, of every level that this machine has, beside the most that
// the processor could do: multiply-accumulates in registers only, measured in the same run.
//
//   region_bench [--json] [--seconds S] [--only TEXT]
//
// Prints a Markdown table, or JSON with spreads. All tasks take turns, S seconds altogether for each row of the table
// (0.2 by default), and processor time counts, so that others on the machine matter little. --only: shapes whose names
// have this text. Rows are those of MobileNetV2 and small networks, with float32 requantization. tools/bench_regions.py
// times whole models.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "bench/peak.h"
#include "bench/timing.h"
#include "region/kernels/dispatch.h"
#include "region/taps.h"

namespace fmtc::bench {
namespace {

using namespace region;

// Bytes of a row's row at least, so that a call takes much longer than looking at the clock.
constexpr double kLeastWork = 2e6;

struct Shape {
  const char* kind;  // conv, depthwise or add
  int32_t columns, in_channels, out_channels;
  int32_t kernel, stride;
};

constexpr Shape kShapes[] = {
    {"conv", 112, 4, 32, 3, 2},        {"conv", 112, 32, 16, 1, 1},       {"conv", 112, 16, 96, 1, 1},
    {"conv", 56, 24, 144, 1, 1},       {"conv", 56, 144, 24, 1, 1},       {"conv", 28, 192, 32, 1, 1},
    {"conv", 14, 64, 384, 1, 1},       {"conv", 14, 576, 96, 1, 1},       {"conv", 7, 160, 960, 1, 1},
    {"conv", 5, 64, 64, 1, 1},         {"conv", 32, 16, 16, 3, 1},        {"conv", 16, 32, 32, 3, 1},
    {"conv", 8, 64, 64, 3, 1},         {"conv", 1, 1280, 1008, 1, 1},     {"depthwise", 112, 32, 32, 3, 1},
    {"depthwise", 56, 96, 96, 3, 2},   {"depthwise", 56, 144, 144, 3, 1}, {"depthwise", 14, 576, 576, 3, 1},
    {"depthwise", 7, 960, 960, 3, 1},  {"depthwise", 5, 64, 64, 3, 1},    {"depthwise", 48, 8, 8, 3, 1},
    {"depthwise", 28, 120, 120, 5, 1}, {"depthwise", 14, 384, 384, 7, 1}, {"add", 56, 24, 24, 1, 1},
    {"add", 14, 96, 96, 1, 1}};

// A row of the shape with memory.
class Subject {
 public:
  explicit Subject(const Shape& shape) : shape_(shape) {
    const bool depthwise = std::strcmp(shape.kind, "depthwise") == 0;
    const int32_t width = (shape.columns - 1) * shape.stride + shape.kernel;
    const size_t padded = static_cast<size_t>(RoundUpTo(shape.out_channels, kChannelBlock));
    const size_t taps = static_cast<size_t>(shape.kernel * shape.kernel);
    input_ = Aligned(static_cast<size_t>(width * shape.in_channels * shape.kernel), 7);
    weights_ = Aligned(padded * taps * static_cast<size_t>(depthwise ? 1 : shape.in_channels), 3);
    out_ = Aligned(static_cast<size_t>(shape.columns * shape.out_channels), 0);
    biases_.assign(padded, 100);
    factors_.assign(padded, 0.001f);
    for (int32_t i = 0; i < shape.kernel; ++i) {
      rows_.push_back({input_ + i * width * shape.in_channels, shape.stride * shape.in_channels});
    }
    mac_.rows = rows_.data();
    mac_.kernel_rows = mac_.kernel_columns = shape.kernel;
    mac_.stride = shape.stride;
    mac_.dilation = mac_.groups = mac_.multiplier = 1;
    mac_.pixel_bytes = mac_.tap_bytes = shape.in_channels;
    mac_.in_channels = shape.in_channels;
    mac_.out_channels = shape.out_channels;
    mac_.weights = reinterpret_cast<const int8_t*>(weights_);
    mac_.has_small_factors = true;
    mac_.requantization.biases = biases_.data();
    mac_.requantization.multipliers = reinterpret_cast<const uint8_t*>(factors_.data());
    mac_.requantization.range = {128, 0, 255};
    mac_.tap_weights = static_cast<ptrdiff_t>(padded);
    mac_.out = out_;
    mac_.out_pixel_bytes = shape.out_channels;
    mac_.columns = shape.columns;
    sum_ = {128, 120, 128, 0, 255, 20, 1 << 19, 1 << 18, 0, 0, 0, 0, 0, 0, {}};
    add_ = {input_,        input_, shape.in_channels, shape.in_channels, out_, shape.out_channels, shape.out_channels,
            shape.columns, &sum_};
  }

  std::string Name() const {
    char name[80];
    std::snprintf(name, sizeof(name), "%s %dx%d, stride %d, %d columns, %d to %d", shape_.kind, shape_.kernel,
                  shape_.kernel, shape_.stride, shape_.columns, shape_.in_channels, shape_.out_channels);
    return name;
  }

  // Multiply-accumulates of a row, or sums of ADD.
  double Work() const {
    double work = static_cast<double>(shape_.columns) * shape_.out_channels;
    if (shape_.kind[0] != 'a') work *= shape_.kernel * shape_.kernel;
    return shape_.kind[0] == 'c' ? work * shape_.in_channels : work;
  }

  void Run(const RowKernels& kernels) const {
    if (shape_.kind[0] == 'c') return kernels.conv[kFloat32Rule](mac_);
    if (shape_.kind[0] == 'd') return kernels.depthwise[kFloat32Rule](mac_);
    kernels.add[2](add_);
  }

 private:
  uint8_t* Aligned(size_t bytes, int step) {
    memory_.push_back(std::make_unique<uint8_t[]>(bytes + 128));
    uint8_t* p = memory_.back().get();
    p += 64 - reinterpret_cast<uintptr_t>(p) % 64;
    for (size_t i = 0; i < bytes; ++i) p[i] = static_cast<uint8_t>(static_cast<int>(i) * step);
    return p;
  }

  const Shape shape_;
  std::vector<std::unique_ptr<uint8_t[]>> memory_;
  uint8_t *input_, *weights_, *out_;
  std::vector<int32_t> biases_;
  std::vector<float> factors_;
  std::vector<KernelRow> rows_;
  MacRow mac_{};
  AddParameters sum_{};
  AddRow add_{};
};

// One level's speed: of a subject, or at best.
struct Speed {
  std::string level;
  double work;  // of a call
  std::function<void()> call;
  std::vector<double> seconds;

  double Giga() const { return 1e-9 * work / Quantile(seconds, 0.5); }
};

struct Line {
  std::string name;
  std::vector<Speed> speeds;
};

void Measure(double seconds, std::vector<Line>* lines) {
  const double end = ThreadSeconds() + seconds * static_cast<double>(lines->size());
  for (int turn = 0; turn < 3 || ThreadSeconds() < end; ++turn) {
    for (Line& line : *lines) {
      for (Speed& speed : line.speeds) {
        speed.call();
        const double start = ThreadSeconds();
        speed.call();
        speed.seconds.push_back(ThreadSeconds() - start);
      }
    }
  }
}

struct Level {
  const char* name;
  CpuLevel level;
};

std::vector<Level> Levels() {
  std::vector<Level> levels;
  for (const char* const* name = kCpuLevels; *name != nullptr; ++name) {
    CpuLevel level;
    if (FindCpuLevel(*name, &level)) levels.push_back({*name, level});
  }
  return levels;
}

std::vector<Line> MakeLines(const std::vector<std::unique_ptr<Subject>>& subjects) {
  std::vector<Line> lines(1);
  lines[0].name = "at best";
  for (const Level& level : Levels()) {
    constexpr int64_t kTurns = 200000;  // long, as processors are slower for a while behind wider vectors
    const double work = static_cast<double>(MultiplyInRegisters(level.level, kTurns));
    lines[0].speeds.push_back({level.name, work, [=] { MultiplyInRegisters(level.level, kTurns); }, {}});
  }
  for (const auto& subject : subjects) {
    lines.push_back({subject->Name(), {}});
    for (const Level& level : Levels()) {
      const RowKernels& kernels = RowKernelsOf(level.level);
      const double share = &kernels == &PlainRowKernels() ? 0.1 : 1.0;
      const int calls = 1 + static_cast<int>(share * kLeastWork / subject->Work());
      const auto call = [&subject, &kernels, calls] {
        for (int i = 0; i < calls; ++i) subject->Run(kernels);
      };
      lines.back().speeds.push_back({level.name, calls * subject->Work(), call, {}});
    }
  }
  return lines;
}

void PrintMarkdown(const std::vector<Line>& lines) {
  std::printf("| G MAC/s (sums of add) |");
  for (const Speed& speed : lines[0].speeds) std::printf(" %s |", speed.level.c_str());
  std::printf("\n|---|");
  for (size_t i = 0; i < lines[0].speeds.size(); ++i) std::printf("---|");
  for (const Line& line : lines) {
    std::printf("\n| %s |", line.name.c_str());
    for (const Speed& speed : line.speeds) std::printf(" %.1f |", speed.Giga());
  }
  std::printf("\n");
}

void PrintJson(const std::vector<Line>& lines) {
  std::printf("{\"unit\": \"10^9 multiply-accumulates a second, sums of add\", \"rows\": [");
  for (const Line& line : lines) {
    std::printf("%s\n {\"what\": \"%s\", \"speeds\": [", &line == &lines[0] ? "" : ",", line.name.c_str());
    for (const Speed& speed : line.speeds) {
      const double median = Quantile(speed.seconds, 0.5);
      const double spread = (Quantile(speed.seconds, 0.75) - Quantile(speed.seconds, 0.25)) / median;
      std::printf("%s{\"by\": \"%s\", \"giga\": %.4g, \"spread\": %.3f}", &speed == &line.speeds[0] ? "" : ", ",
                  speed.level.c_str(), speed.Giga(), spread);
    }
    std::printf("]}");
  }
  std::printf("]}\n");
}

}  // namespace
}  // namespace fmtc::bench

int main(int argc, char** argv) {
  using namespace fmtc::bench;
  bool json = false;
  double seconds = 0.2;
  const char* only = "";
  for (int i = 1; i < argc; ++i) {
    const auto is = [&](const char* name, int values) { return std::strcmp(argv[i], name) == 0 && i + values < argc; };
    if (is("--json", 0)) {
      json = true;
    } else if (is("--seconds", 1)) {
      seconds = std::atof(argv[++i]);
    } else if (is("--only", 1)) {
      only = argv[++i];
    } else {
      std::fprintf(stderr, "usage: region_bench [--json] [--seconds S] [--only TEXT]\n");
      return 2;
    }
  }
  std::vector<std::unique_ptr<Subject>> subjects;
  for (const Shape& shape : kShapes) {
    auto subject = std::make_unique<Subject>(shape);
    if (subject->Name().find(only) != std::string::npos) subjects.push_back(std::move(subject));
  }
  std::vector<Line> lines = MakeLines(subjects);
  Measure(seconds, &lines);
  json ? PrintJson(lines) : PrintMarkdown(lines);
  return 0;
}
