// Speed of the codec on one thread: whole op, entropy coder and single kernels of every level, beside memcpy and other
// coders. All of them take turns in one process, so that ratios hold however the machine's speed drifts, and
// processor time counts, so that others on the machine matter little.
//
//   codec_bench [--json] [--seconds S] [--shape HxWxC] [--raw FILE HxWxC]
//   codec_bench --network LIST [--seconds S]
//
// Prints a Markdown table, or JSON with spreads. Without a shape, those of three layers of MobileNetV2 at 224x224, each
// at 1.5, 2.7 and 4.5 bits a value; S seconds for each map, 3 by default. A file holds int8 NHWC values.
//
// With a list, as tools/dump_maps.py writes it, all its maps are coded losslessly one after another, as a network does:
// a processor that codes one map again and again learns its branches by heart, and is faster than it would be.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "bench/bench_maps.h"
#include "bench/network.h"
#include "bench/rivals.h"
#include "bench/timing.h"
#include "codec/analysis.h"
#include "codec/entropy.h"
#include "codec/geometry.h"
#include "codec/synthesis.h"
#include "tests/levels.h"

namespace fmtc::bench {
namespace {

using test::OwnedCodec;
using Bytes = std::vector<uint8_t>;
constexpr ElementType kType = ElementType::kInt8;

// Turns of all tasks, one call to warm up and one that counts, until the time is over; three at least.
void Run(double seconds, std::vector<Task>* tasks) {
  const double end = ThreadSeconds() + seconds;
  for (int turn = 0; turn < 3 || ThreadSeconds() < end; ++turn) {
    for (Task& task : *tasks) {
      task.call();
      const double start = ThreadSeconds();
      task.call();
      task.seconds.push_back(ThreadSeconds() - start);
    }
  }
}

struct Segment {
  SegmentShape shape;
  const uint8_t* coded;
  size_t coded_bytes;
  size_t at;  // its first value
};

// A map, coded at one level, and the buffers that its tasks use.
class Subject {
 public:
  Subject(const Map& map, const Codec& codec, const MapPlan& plan)
      : map_(map), codec_(codec), plan_(plan), n_(map.values.size()) {
    coded_.resize(plan.item_capacity + kReadSlack);
    decoded_.resize(n_);
    workspace_.resize(std::max(EncodeWorkspaceSize(codec_, plan), DecodeWorkspaceSize(codec_, plan)));
    Encode();
    Decode();
    if (map.lossless && decoded_ != map.values) Fail("the decoded map differs");
    if (codec.side_info.has_contexts()) return;
    residuals_.resize(n_ + kValueSlack);
    padded_ = map.values;
    padded_.resize(n_ + kValueSlack);
    rows_.resize(n_ + kValueSlack);
    tokens_.resize(n_ + kValueSlack);
    recoded_.resize(n_);
    Layout needed;
    LayOutTransforms(&needed);
    transform_memory_.resize(needed.bytes());
    Layout layout(transform_memory_.data());
    LayOutTransforms(&layout);
    InitAnalysis(codec_, kType, 0, &analysis_);
    InitSynthesis(codec_, kType, 0, &synthesis_);
    ListSegments();
    EntropyDecode();
  }

  size_t payload_bytes() const { return payload_bytes_; }

  // With contexts, which loops take part is another matter: whole ops only.
  void AddTasks(const std::string& level, std::vector<Task>* tasks) {
    const auto add = [&](const char* what, size_t bytes, void (Subject::*method)()) {
      tasks->push_back({what, level, bytes, [this, method] { (this->*method)(); }, {}});
    };
    if (codec_.side_info.has_contexts()) {
      add("encode with contexts", n_, &Subject::Encode);
      add("decode with contexts", n_, &Subject::Decode);
      return;
    }
    add("encode", n_, &Subject::Encode);
    add("decode", n_, &Subject::Decode);
    add("entropy encode", n_, &Subject::EntropyEncode);
    add("entropy decode", n_, &Subject::EntropyDecode);
    add("analysis", n_, &Subject::Analyze);
    add("synthesis", n_, &Subject::Synthesize);
    add("residuals", n_, &Subject::Predict);
    add("indices", n_, &Subject::Restore);
    add("pixels to planes", n_, &Subject::ToPlanes);
    add("planes to pixels", n_, &Subject::ToPixels);
    add("checksum, of coded bytes", payload_bytes_, &Subject::Checksum);
  }

 private:
  void LayOutTransforms(Layout* layout) {
    LayOutAnalysis(codec_, layout, &analysis_);
    LayOutSynthesis(codec_, layout, &synthesis_);
  }

  void Encode() {
    Check(fmtc::Encode(codec_, plan_, kType, map_.values.data(), n_, coded_.data(), plan_.item_capacity,
                       &payload_bytes_, workspace_.data(), workspace_.size()));
  }

  void Decode() {
    Check(fmtc::Decode(codec_, plan_, kType, coded_.data(), payload_bytes_, decoded_.data(), n_, workspace_.data(),
                       workspace_.size()));
  }

  void ListSegments() {
    const uint8_t* entry = coded_.data() + kCodedHeaderBytes;
    const uint8_t* coded = entry + 4 * size_t{plan_.segments_per_item};
    size_t at = 0;
    for (uint32_t i = 0; i < plan_.segments_per_item; ++i, entry += 4) {
      const SegmentShape shape{&codec_, size_t{SegmentRows(plan_, i)} * plan_.width};
      segments_.push_back({shape, coded, Load<uint32_t>(entry), at});
      coded += segments_.back().coded_bytes;
      at += shape.num_values();
    }
  }

  void EntropyDecode() {
    for (size_t i = 0; i < segments_.size();) {
      CodedSegment together[kMaxSegmentsTogether];
      size_t count = 0;
      const SegmentShape& shape = segments_[i].shape;
      for (; count < kMaxSegmentsTogether && i < segments_.size(); ++i) {
        if (segments_[i].shape.plane_bytes != shape.plane_bytes) break;
        together[count++] = {segments_[i].coded, segments_[i].coded_bytes, residuals_.data() + segments_[i].at};
      }
      if (!DecodeSegments(shape, together, count)) Fail("a segment does not decode");
    }
  }

  void EntropyEncode() {
    for (const Segment& s : segments_) {
      EncodeSegment(s.shape, residuals_.data() + s.at, tokens_.data(), recoded_.data(), recoded_.size());
    }
  }

  // Calls function(offset of a row, its bytes).
  template <typename Function>
  void ForEachRow(const Function& function) const {
    for (size_t at = 0; at < n_; at += plan_.row_values) function(at);
  }

  void Analyze() {
    ForEachRow([&](size_t at) { AnalyzeRow(analysis_, plan_.width, map_.values.data() + at, rows_.data() + at); });
  }

  void Synthesize() {
    ForEachRow([&](size_t at) { SynthesizeRow(synthesis_, plan_.width, rows_.data() + at, decoded_.data() + at); });
  }

  // The row above is the map's: its values do not matter.
  void Predict() {
    const RowShape shape{plan_.width, map_.channels, 0};
    ForEachRow([&](size_t at) {
      codec_.kernels->residuals_of_row(shape, codec_.side_info.component_codes, padded_.data() + at,
                                       padded_.data() + at, rows_.data() + at);
    });
  }

  void Restore() {
    const RowShape shape{plan_.width, map_.channels, 0};
    ForEachRow([&](size_t at) {
      codec_.kernels->indices_of_row(shape, codec_.side_info.component_codes, padded_.data() + at, padded_.data() + at,
                                     rows_.data() + at);
    });
  }

  void ToPlanes() {
    for (const Segment& s : segments_) {
      codec_.kernels->pixels_to_planes({map_.channels, s.shape.plane_bytes}, codec_.place, padded_.data() + s.at,
                                       rows_.data() + s.at);
    }
  }

  void ToPixels() {
    for (const Segment& s : segments_) {
      codec_.kernels->planes_to_pixels({map_.channels, s.shape.plane_bytes}, codec_.place, rows_.data() + s.at,
                                       tokens_.data() + s.at);
    }
  }

  void Checksum() { checksum_ ^= codec_.kernels->extend_crc32c(0, coded_.data(), payload_bytes_); }

  const Map& map_;
  Codec codec_;
  const MapPlan& plan_;
  size_t n_;
  size_t payload_bytes_ = 0;
  volatile uint32_t checksum_ = 0;
  Bytes coded_, decoded_, workspace_, residuals_, padded_, rows_, tokens_, recoded_, transform_memory_;
  Analysis analysis_;
  Synthesis synthesis_;
  std::vector<Segment> segments_;
};

struct Result {
  Map map;
  double bits_per_value, bits_per_value_with_contexts;
  std::vector<std::pair<std::string, double>> rival_bits;
  std::vector<Task> tasks;
};

double BitsPerValue(size_t bytes, const Map& map) {
  return 8.0 * static_cast<double>(bytes) / static_cast<double>(map.values.size());
}

Result Measure(const Map& map, double seconds) {
  Result result{map, 0, 0, {}, {}};
  const test::SideInfoSpec spec = FitSideInfo(map, map.lossless);
  const OwnedCodec plain(BuildSideInfo(spec)), with_contexts(BuildSideInfo(FitContexts(map, spec)));
  const MapPlan plans[] = {PlanFor(plain, map), PlanFor(with_contexts, map)};
  std::vector<std::unique_ptr<Subject>> subjects;
  for (const char* const* level = kCpuLevels; *level != nullptr; ++level) {
    if (FindKernels(*level) == nullptr) continue;
    for (const OwnedCodec* owned : {&plain, &with_contexts}) {
      Codec codec = owned->codec();
      codec.kernels = FindKernels(*level);
      subjects.push_back(std::make_unique<Subject>(map, codec, plans[owned == &plain ? 0 : 1]));
      subjects.back()->AddTasks(*level, &result.tasks);
    }
  }
  result.bits_per_value = BitsPerValue(subjects[0]->payload_bytes(), map);
  result.bits_per_value_with_contexts = BitsPerValue(subjects[1]->payload_bytes(), map);
  for (const Rival& rival : MakeRivals(map.values)) {
    result.rival_bits.emplace_back(rival.name, BitsPerValue(rival.coded_bytes, map));
    result.tasks.push_back({"encode", rival.name, map.values.size(), rival.encode, {}});
    result.tasks.push_back({"decode", rival.name, map.values.size(), rival.decode, {}});
  }
  Run(seconds, &result.tasks);
  return result;
}

void PrintJson(const std::vector<Result>& results) {
  std::printf("{\"unit\": \"GB/s of int8 values\", \"maps\": [");
  for (const Result& r : results) {
    std::printf(
        "%s\n {\"map\": \"%s\", \"height\": %u, \"width\": %u, \"channels\": %u, \"lossless\": %s, "
        "\"bits_per_value\": %.3f, \"bits_per_value_with_contexts\": %.3f, \"turns\": %zu, \"rivals_bits_per_value\": "
        "{",
        &r == &results[0] ? "" : ",", r.map.name.c_str(), r.map.height, r.map.width, r.map.channels,
        r.map.lossless ? "true" : "false", r.bits_per_value, r.bits_per_value_with_contexts, r.tasks[0].seconds.size());
    for (const auto& bits : r.rival_bits) {
      std::printf("%s\"%s\": %.3f", &bits == &r.rival_bits[0] ? "" : ", ", bits.first.c_str(), bits.second);
    }
    std::printf("}, \"speeds\": [");
    for (const Task& task : r.tasks) {
      std::printf("%s\n  {\"what\": \"%s\", \"by\": \"%s\", \"gbps\": %.4g, \"spread\": %.3f}",
                  &task == &r.tasks[0] ? "" : ",", task.what.c_str(), task.level.c_str(), GigabytesPerSecond(task),
                  Spread(task));
    }
    std::printf("]}");
  }
  std::printf("]}\n");
}

// A row for each thing that is measured, a column for each level and rival.
void PrintMarkdown(const Result& r) {
  std::printf("%ux%ux%u, %s, %.2f bits/value, with contexts %.2f", r.map.height, r.map.width, r.map.channels,
              r.map.lossless ? "lossless" : "with steps", r.bits_per_value, r.bits_per_value_with_contexts);
  for (const auto& bits : r.rival_bits)
    std::printf("%s %s %.2f", &bits == &r.rival_bits[0] ? ";" : ",", bits.first.c_str(), bits.second);
  std::printf("\n\n| GB/s |");
  std::vector<std::string> levels;
  std::vector<std::string> whats;
  const auto add = [](const std::string& name, std::vector<std::string>* names) {
    if (std::find(names->begin(), names->end(), name) == names->end()) names->push_back(name);
  };
  for (const Task& task : r.tasks) {
    add(task.level, &levels);
    add(task.what, &whats);
  }
  for (const std::string& level : levels) std::printf(" %s |", level.c_str());
  std::printf("\n|---|");
  for (size_t i = 0; i < levels.size(); ++i) std::printf("---|");
  for (const std::string& what : whats) {
    std::printf("\n| %s |", what.c_str());
    for (const std::string& level : levels) {
      const auto is_it = [&](const Task& task) { return task.what == what && task.level == level; };
      const auto task = std::find_if(r.tasks.begin(), r.tasks.end(), is_it);
      if (task == r.tasks.end()) {
        std::printf(" |");
      } else {
        std::printf(" %.3g |", GigabytesPerSecond(*task));
      }
    }
  }
  std::printf("\n\n");
}

struct Arguments {
  bool json = false;
  const char* network = nullptr;
  double seconds = 3;
  const char* raw = nullptr;
  std::vector<std::vector<uint32_t>> shapes;
};

std::vector<uint32_t> ParseShape(const char* text) {
  unsigned height = 0, width = 0, channels = 0;
  if (std::sscanf(text, "%ux%ux%u", &height, &width, &channels) != 3 || height * width * channels == 0) {
    Fail(std::string("got the shape ") + text + ", expected HxWxC, such as 112x112x96");
  }
  return {height, width, channels};
}

Arguments ParseArguments(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    const auto is = [&](const char* name, int values) { return std::strcmp(argv[i], name) == 0 && i + values < argc; };
    if (is("--json", 0)) {
      arguments.json = true;
    } else if (is("--seconds", 1)) {
      arguments.seconds = std::atof(argv[++i]);
    } else if (is("--shape", 1)) {
      arguments.shapes.push_back(ParseShape(argv[++i]));
    } else if (is("--network", 1)) {
      arguments.network = argv[++i];
    } else if (is("--raw", 2)) {
      arguments.raw = argv[++i];
      arguments.shapes.push_back(ParseShape(argv[++i]));
    } else {
      Fail("usage: codec_bench [--json] [--seconds S] [--shape HxWxC] [--raw FILE HxWxC] [--network LIST]");
    }
  }
  if (arguments.shapes.empty()) arguments.shapes = {{112, 112, 96}, {28, 28, 192}, {14, 14, 576}};
  return arguments;
}

std::vector<Map> MakeMaps(const Arguments& arguments) {
  std::vector<Map> maps;
  for (const std::vector<uint32_t>& shape : arguments.shapes) {
    if (arguments.raw != nullptr) {
      maps.push_back(ReadRawMap(arguments.raw, shape[0], shape[1], shape[2]));
      continue;
    }
    for (const double bits : {1.5, 2.7, 4.5}) {
      maps.push_back(MakeReluMap(shape[0], shape[1], shape[2], bits, bits != 2.7));
    }
  }
  return maps;
}

}  // namespace
}  // namespace fmtc::bench

int main(int argc, char** argv) {
  using namespace fmtc::bench;
  const Arguments arguments = ParseArguments(argc, argv);
  if (arguments.network != nullptr) {
    MeasureNetwork(arguments.network, arguments.seconds);
    return 0;
  }
  std::vector<Result> results;
  for (const Map& map : MakeMaps(arguments)) {
    results.push_back(Measure(map, arguments.seconds));
    if (!arguments.json) PrintMarkdown(results.back());
  }
  if (arguments.json) PrintJson(results);
  return 0;
}
