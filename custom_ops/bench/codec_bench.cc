// Speed of the codec on one thread, in GB/s of int8 values, against memcpy.
//
//   codec_bench [--json] [--raw FILE HEIGHT WIDTH CHANNELS]
//
// Without a file it codes synthetic post-ReLU maps of 112x112x96 at three rates. The file holds int8 NHWC values.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "core/bytes.h"
#include "core/codec.h"
#include "core/entropy.h"
#include "core/geometry.h"
#include "core/residual_histograms.h"
#include "tests/side_info_builder.h"

namespace {

using fmtc::MapPlan;
using fmtc::Status;
using fmtc::test::OwnedCodec;
using fmtc::test::SideInfoSpec;

using Bytes = std::vector<uint8_t>;
constexpr auto kType = fmtc::ElementType::kInt8;
constexpr uint32_t kNumBenchClasses = 8;

struct Map {
  std::string name;
  uint32_t height, width, channels;
  Bytes values;
};

[[noreturn]] void Fail(const std::string& message) {
  std::fprintf(stderr, "codec_bench: %s\n", message.c_str());
  std::exit(1);
}

void Check(Status status) {
  if (status != Status::kOk) Fail(fmtc::StatusMessage(status));
}

// Smooth noise with a scale of its own in each channel, cut off at zero, which is the value -128.
Map MakeReluMap(const std::string& name, double scale, double mean) {
  Map map{name, 112, 112, 96, {}};
  map.values.resize(size_t{map.height} * map.width * map.channels);
  std::mt19937 random(1);
  std::normal_distribution<double> normal;
  for (uint32_t c = 0; c < map.channels; ++c) {
    const double channel_scale = scale * std::exp(0.6 * normal(random));
    const double channel_mean = mean + 0.5 * normal(random);
    std::vector<double> above(map.width, 0.0);
    for (uint32_t y = 0; y < map.height; ++y) {
      double left = 0;
      for (uint32_t x = 0; x < map.width; ++x) {
        left = above[x] = 0.45 * left + 0.45 * above[x] + 0.6 * normal(random);
        const double value = std::clamp(channel_scale * (left + channel_mean), 0.0, 255.0);
        map.values[(size_t{y} * map.width + x) * map.channels + c] = static_cast<uint8_t>(std::lround(value) - 128);
      }
    }
  }
  return map;
}

Map ReadRawMap(const char* path, uint32_t height, uint32_t width, uint32_t channels) {
  Map map{path, height, width, channels, Bytes(size_t{height} * width * channels)};
  std::FILE* file = std::fopen(path, "rb");
  if (file == nullptr) Fail(std::string(path) + ": cannot be opened");
  const size_t read = std::fread(map.values.data(), 1, map.values.size(), file);
  std::fclose(file);
  if (read != map.values.size()) Fail(std::string(path) + ": shorter than height * width * channels");
  return map;
}

double EntropyBits(const uint32_t* histogram) {
  const double total = std::accumulate(histogram, histogram + 256, 0.0);
  double bits = 0;
  for (int v = 0; v < 256; ++v) {
    if (histogram[v] != 0) bits += histogram[v] * std::log2(total / histogram[v]);
  }
  return bits;
}

MapPlan PlanFor(const OwnedCodec& codec, const Map& map) {
  MapPlan plan;
  Check(codec.status());
  Check(PlanMap(codec.codec(), 1, map.height, map.width, &plan));
  return plan;
}

std::vector<uint32_t> CountResiduals(const Map& map, const SideInfoSpec& spec) {
  const OwnedCodec codec(BuildSideInfo(spec));
  const MapPlan plan = PlanFor(codec, map);
  Bytes workspace(EncodeWorkspaceSize(codec.codec(), plan));
  std::vector<uint32_t> histograms(size_t{map.channels} * fmtc::kNumPredictors * 256);
  Check(AddResidualHistograms(codec.codec(), plan, kType, map.values.data(), map.values.size(), histograms.data(),
                              histograms.size(), workspace.data(), workspace.size()));
  return histograms;
}

// Lossless side information as a converter would make it: the best predictor of each channel, classes of like rate.
SideInfoSpec FitSideInfo(const Map& map) {
  SideInfoSpec spec;
  spec.channels = map.channels;
  spec.centre = -128;
  spec.classes_of.assign(map.channels, 0);
  spec.predictors.assign(map.channels, 0);
  const std::vector<uint32_t> uniform(256, 1);
  spec.classes = {fmtc::test::FitClass(uniform.data())};
  const std::vector<uint32_t> histograms = CountResiduals(map, spec);

  std::vector<const uint32_t*> chosen(map.channels);
  std::vector<double> bits(map.channels, HUGE_VAL);
  for (uint32_t c = 0; c < map.channels; ++c) {
    for (uint32_t p = 0; p < fmtc::kNumPredictors; ++p) {
      const uint32_t* histogram = &histograms[(size_t{c} * fmtc::kNumPredictors + p) * 256];
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
    spec.classes.push_back(fmtc::test::FitClass(sum.data()));
  }
  return spec;
}

// Median seconds of a call.
double MedianSeconds(const std::function<void()>& call) {
  using Clock = std::chrono::steady_clock;
  std::vector<double> seconds;
  const auto end = Clock::now() + std::chrono::milliseconds(400);
  while (seconds.size() < 5 || Clock::now() < end) {
    const auto start = Clock::now();
    call();
    seconds.push_back(std::chrono::duration<double>(Clock::now() - start).count());
  }
  std::nth_element(seconds.begin(), seconds.begin() + static_cast<long>(seconds.size() / 2), seconds.end());
  return seconds[seconds.size() / 2];
}

struct Segment {
  fmtc::SegmentShape shape;
  const uint8_t* coded;
  size_t coded_bytes;
  size_t residuals_at;
};

std::vector<Segment> ListSegments(const fmtc::Codec& codec, const MapPlan& plan, const Bytes& payload) {
  std::vector<Segment> segments;
  const uint8_t* entry = payload.data() + fmtc::kCodedHeaderBytes;
  const uint8_t* coded = entry + 4 * size_t{plan.segments_per_item};
  size_t at = 0;
  for (uint32_t i = 0; i < plan.segments_per_item; ++i, entry += 4) {
    const fmtc::SegmentShape shape{&codec, size_t{fmtc::SegmentRows(plan, i)} * plan.width};
    segments.push_back({shape, coded, fmtc::Load<uint32_t>(entry), at});
    coded += segments.back().coded_bytes;
    at += shape.num_values();
  }
  return segments;
}

struct Result {
  double bits_per_value;
  double copy, encode, decode, entropy_encode, entropy_decode;  // GB/s
};

void MeasureEntropyCoder(const fmtc::Codec& codec, const MapPlan& plan, const Bytes& payload, Result* result) {
  const std::vector<Segment> segments = ListSegments(codec, plan, payload);
  const size_t n = plan.encoder_input_bytes;
  Bytes residuals(n + fmtc::kValueSlack);
  Bytes tokens(n + fmtc::kValueSlack);
  Bytes coded(n);
  const auto decode = [&] {
    for (size_t i = 0; i < segments.size();) {
      fmtc::CodedSegment together[fmtc::kMaxSegmentsTogether];
      size_t count = 0;
      const fmtc::SegmentShape& shape = segments[i].shape;
      for (; count < fmtc::kMaxSegmentsTogether && i < segments.size(); ++i) {
        if (segments[i].shape.plane_bytes != shape.plane_bytes) break;
        together[count++] = {segments[i].coded, segments[i].coded_bytes, residuals.data() + segments[i].residuals_at};
      }
      if (!DecodeSegments(shape, together, count)) Fail("a segment does not decode");
    }
  };
  const auto encode = [&] {
    for (const Segment& s : segments) {
      EncodeSegment(s.shape, residuals.data() + s.residuals_at, tokens.data(), coded.data(), coded.size());
    }
  };
  result->entropy_decode = 1e-9 * static_cast<double>(n) / MedianSeconds(decode);
  result->entropy_encode = 1e-9 * static_cast<double>(n) / MedianSeconds(encode);
}

Result Measure(const Map& map) {
  const OwnedCodec owned(BuildSideInfo(FitSideInfo(map)));
  const fmtc::Codec& codec = owned.codec();
  const MapPlan plan = PlanFor(owned, map);
  const size_t n = map.values.size();
  Bytes coded(plan.item_capacity);
  Bytes decoded(n);
  Bytes workspace(std::max(EncodeWorkspaceSize(codec, plan), DecodeWorkspaceSize(codec, plan)));
  size_t payload_bytes = 0;
  const auto encode = [&] {
    Check(Encode(codec, plan, kType, map.values.data(), n, coded.data(), coded.size(), &payload_bytes, workspace.data(),
                 workspace.size()));
  };
  const auto decode = [&] {
    Check(
        Decode(codec, plan, kType, coded.data(), payload_bytes, decoded.data(), n, workspace.data(), workspace.size()));
  };
  Result result{};
  const double gigabytes = 1e-9 * static_cast<double>(n);
  result.encode = gigabytes / MedianSeconds(encode);
  result.decode = gigabytes / MedianSeconds(decode);
  if (decoded != map.values) Fail("the decoded map differs");
  result.bits_per_value = 8.0 * static_cast<double>(payload_bytes) / static_cast<double>(n);
  coded.resize(payload_bytes + fmtc::kReadSlack);
  MeasureEntropyCoder(codec, plan, coded, &result);
  result.copy = gigabytes / MedianSeconds([&] { memcpy(decoded.data(), map.values.data(), n); });
  return result;
}

void Print(const Map& map, const Result& r, bool json) {
  const char* format =
      json ? "{\"map\": \"%s\", \"height\": %u, \"width\": %u, \"channels\": %u, \"bits_per_value\": %.3f, "
             "\"encode_gbps\": %.3f, \"decode_gbps\": %.3f, \"entropy_encode_gbps\": %.3f, "
             "\"entropy_decode_gbps\": %.3f, \"memcpy_gbps\": %.3f}\n"
           : "%s %ux%ux%u: %.2f bits/value; GB/s: encode %.3f, decode %.3f, entropy encode %.3f, "
             "entropy decode %.3f, memcpy %.1f\n";
  std::printf(format, map.name.c_str(), map.height, map.width, map.channels, r.bits_per_value, r.encode, r.decode,
              r.entropy_encode, r.entropy_decode, r.copy);
}

}  // namespace

int main(int argc, char** argv) {
  int next = 1;
  const bool json = argc > next && std::strcmp(argv[next], "--json") == 0;
  if (json) ++next;
  std::vector<Map> maps;
  if (argc == next + 5 && std::strcmp(argv[next], "--raw") == 0) {
    const auto number = [&](int i) { return static_cast<uint32_t>(std::strtoul(argv[next + i], nullptr, 10)); };
    maps.push_back(ReadRawMap(argv[next + 1], number(2), number(3), number(4)));
  } else if (argc == next) {
    maps = {MakeReluMap("relu_low", 2, -0.3), MakeReluMap("relu_middle", 6.5, 0), MakeReluMap("relu_high", 12, 0.6)};
  } else {
    Fail("usage: codec_bench [--json] [--raw FILE HEIGHT WIDTH CHANNELS]");
  }
  for (const Map& map : maps) Print(map, Measure(map), json);
  return 0;
}
