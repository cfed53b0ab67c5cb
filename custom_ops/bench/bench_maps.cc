#include "bench/bench_maps.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <random>

#include "codec/residual_histograms.h"

namespace fmtc::bench {
namespace {

using test::OwnedCodec;
using test::SideInfoSpec;
using Bytes = std::vector<uint8_t>;

constexpr uint32_t kNumBenchClasses = 8;

// Smooth noise with a scale of its own in each channel, cut off at zero, which is the value -128.
void FillRelu(double scale, double mean, Map* map) {
  map->values.resize(size_t{map->height} * map->width * map->channels);
  std::mt19937 random(1);
  std::normal_distribution<double> normal;
  for (uint32_t c = 0; c < map->channels; ++c) {
    const double channel_scale = scale * std::exp(0.6 * normal(random));
    const double channel_mean = mean + 0.5 * normal(random);
    std::vector<double> above(map->width, 0.0);
    for (uint32_t y = 0; y < map->height; ++y) {
      double left = 0;
      for (uint32_t x = 0; x < map->width; ++x) {
        left = above[x] = 0.45 * left + 0.45 * above[x] + 0.6 * normal(random);
        const double value = std::clamp(channel_scale * (left + channel_mean), 0.0, 255.0);
        map->values[(size_t{y} * map->width + x) * map->channels + c] = static_cast<uint8_t>(std::lround(value) - 128);
      }
    }
  }
}

double EntropyBits(const uint32_t* histogram) {
  const double total = std::accumulate(histogram, histogram + 256, 0.0);
  double bits = 0;
  for (int v = 0; v < 256; ++v) {
    if (histogram[v] != 0) bits += histogram[v] * std::log2(total / histogram[v]);
  }
  return bits;
}

std::vector<uint32_t> CountResiduals(const Map& map, const SideInfoSpec& spec) {
  const OwnedCodec codec(BuildSideInfo(spec));
  const MapPlan plan = PlanFor(codec, map);
  Bytes workspace(EncodeWorkspaceSize(codec.codec(), plan));
  std::vector<uint32_t> histograms(size_t{map.channels} * kNumPredictors * 256);
  Check(AddResidualHistograms(codec.codec(), plan, ElementType::kInt8, map.values.data(), map.values.size(),
                              histograms.data(), histograms.size(), workspace.data(), workspace.size()));
  return histograms;
}

// Residuals by class and context, uint32 [classes][kNumContexts][256].
std::vector<uint32_t> CountByContext(const Map& map, const SideInfoSpec& spec) {
  const OwnedCodec codec(BuildSideInfo(spec));
  const MapPlan plan = PlanFor(codec, map);
  Bytes workspace(EncodeWorkspaceSize(codec.codec(), plan));
  std::vector<uint32_t> histograms(spec.contexts.tables.size() * 256);
  Check(AddContextHistograms(codec.codec(), plan, ElementType::kInt8, map.values.data(), map.values.size(),
                             histograms.data(), histograms.size(), workspace.data(), workspace.size()));
  return histograms;
}

// Rows of the largest group, by the plan of a codec without contexts.
uint16_t RowsOfGroups(const Map& map, const SideInfoSpec& spec) {
  const MapPlan plan = PlanFor(OwnedCodec(BuildSideInfo(spec)), map);
  return static_cast<uint16_t>((plan.height + plan.groups_per_item - 1) / plan.groups_per_item);
}

double BitsPerValue(const Map& map) {
  const OwnedCodec codec(BuildSideInfo(FitSideInfo(map, map.lossless)));
  const MapPlan plan = PlanFor(codec, map);
  Bytes coded(plan.item_capacity);
  Bytes workspace(EncodeWorkspaceSize(codec.codec(), plan));
  size_t bytes = 0;
  Check(Encode(codec.codec(), plan, ElementType::kInt8, map.values.data(), map.values.size(), coded.data(),
               coded.size(), &bytes, workspace.data(), workspace.size()));
  return 8.0 * static_cast<double>(bytes) / static_cast<double>(map.values.size());
}

}  // namespace

void Fail(const std::string& message) {
  std::fprintf(stderr, "codec_bench: %s\n", message.c_str());
  std::exit(1);
}

void Check(Status status) {
  if (status != Status::kOk) Fail(StatusMessage(status));
}

Map MakeReluMap(uint32_t height, uint32_t width, uint32_t channels, double bits_per_value, bool lossless) {
  char name[32];
  std::snprintf(name, sizeof(name), "relu_%.1f", bits_per_value);
  Map map{name, height, width, channels, lossless, {}};
  const double mean = 0.3 * (bits_per_value - 2.7);
  double low = 0.5;
  double high = 200;
  for (int step = 0; step < 10; ++step) {
    const double scale = std::sqrt(low * high);
    FillRelu(scale, mean, &map);
    const double bits = BitsPerValue(map);
    if (std::abs(bits - bits_per_value) < 0.01 * bits_per_value) break;
    (bits < bits_per_value ? low : high) = scale;
  }
  return map;
}

Map ReadRawMap(const char* path, uint32_t height, uint32_t width, uint32_t channels) {
  Map map{path, height, width, channels, true, Bytes(size_t{height} * width * channels)};
  std::FILE* file = std::fopen(path, "rb");
  if (file == nullptr) Fail(std::string(path) + ": cannot be opened");
  const size_t read = std::fread(map.values.data(), 1, map.values.size(), file);
  std::fclose(file);
  if (read != map.values.size()) Fail(std::string(path) + ": shorter than height * width * channels");
  return map;
}

MapPlan PlanFor(const OwnedCodec& codec, const Map& map) {
  MapPlan plan;
  Check(codec.status());
  Check(PlanMap(codec.codec(), 1, map.height, map.width, &plan));
  return plan;
}

// Side information as a converter would make it: the best predictor of each channel, classes of like rate.
SideInfoSpec FitSideInfo(const Map& map, bool lossless) {
  SideInfoSpec spec;
  spec.channels = map.channels;
  spec.centre = -128;
  for (uint32_t c = 0; c < map.channels && !lossless; ++c) {
    spec.steps.push_back(static_cast<uint16_t>(StepOfCode(static_cast<uint8_t>(8 + c % 24))));  // 1.5 to 4
  }
  spec.classes_of.assign(map.channels, 0);
  spec.predictors.assign(map.channels, 0);
  const std::vector<uint32_t> uniform(256, 1);
  spec.classes = {test::FitClass(uniform.data())};
  const std::vector<uint32_t> histograms = CountResiduals(map, spec);

  std::vector<const uint32_t*> chosen(map.channels);
  std::vector<double> bits(map.channels, HUGE_VAL);
  for (uint32_t c = 0; c < map.channels; ++c) {
    for (uint32_t p = 0; p < kNumPredictors; ++p) {
      const uint32_t* histogram = &histograms[(size_t{c} * kNumPredictors + p) * 256];
      const double cost = EntropyBits(histogram);
      if (cost >= bits[c]) continue;
      bits[c] = cost;
      chosen[c] = histogram;
      spec.predictors[c] = static_cast<uint8_t>(p);
    }
  }
  std::vector<uint32_t> by_rate(map.channels);
  std::iota(by_rate.begin(), by_rate.end(), 0u);
  std::stable_sort(by_rate.begin(), by_rate.end(), [&](uint32_t a, uint32_t b) { return bits[a] < bits[b]; });
  const uint32_t num_classes = std::min(kNumBenchClasses, map.channels);
  spec.classes.clear();
  for (uint32_t j = 0; j < num_classes; ++j) {
    std::vector<uint32_t> sum(256);
    for (uint32_t i = j * map.channels / num_classes; i < (j + 1) * map.channels / num_classes; ++i) {
      spec.classes_of[by_rate[i]] = static_cast<uint8_t>(j);
      for (int v = 0; v < 256; ++v) sum[v] += chosen[by_rate[i]][v];
    }
    spec.classes.push_back(test::FitClass(sum.data()));
  }
  return spec;
}

SideInfoSpec FitContexts(const Map& map, const SideInfoSpec& plain) {
  SideInfoSpec spec = plain;
  spec.segment_rows = RowsOfGroups(map, plain);
  spec.contexts.tables.assign(plain.classes.size() * kNumContexts, 0);
  for (const uint8_t predictor : plain.predictors) spec.contexts.one_sided.push_back(predictor == 0 ? 1 : 0);
  spec.classes.resize(1);
  const std::vector<uint32_t> histograms = CountByContext(map, spec);

  const size_t cells = spec.contexts.tables.size();
  std::vector<double> counts(cells), bits(cells);
  for (size_t i = 0; i < cells; ++i) {
    const uint32_t* const histogram = &histograms[i * 256];
    counts[i] = std::accumulate(histogram, histogram + 256, 0.0);
    bits[i] = EntropyBits(histogram) / std::max(counts[i], 1.0);
  }
  std::vector<size_t> by_rate(cells);
  std::iota(by_rate.begin(), by_rate.end(), size_t{0});
  std::stable_sort(by_rate.begin(), by_rate.end(), [&](size_t a, size_t b) { return bits[a] < bits[b]; });
  // As many residuals for each table, about.
  const double total = std::accumulate(counts.begin(), counts.end(), 0.0);
  std::vector<std::vector<uint32_t>> sums(kMaxClasses, std::vector<uint32_t>(256));
  double before = 0;
  for (const size_t i : by_rate) {
    const double middle = before + counts[i] / 2;
    const auto table = static_cast<uint8_t>(std::min(middle / total * kMaxClasses, kMaxClasses - 1.0));
    spec.contexts.tables[i] = table;
    for (size_t v = 0; v < 256; ++v) sums[table][v] += histograms[i * 256 + v];
    before += counts[i];
  }
  spec.classes.clear();
  for (const std::vector<uint32_t>& sum : sums) spec.classes.push_back(test::FitClass(sum.data()));
  return spec;
}

}  // namespace fmtc::bench
