#include "bench/network.h"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <utility>
#include <vector>

#include "bench/bench_maps.h"
#include "bench/timing.h"
#include "tests/levels.h"

namespace fmtc::bench {
namespace {

using test::OwnedCodec;
using Bytes = std::vector<uint8_t>;
constexpr ElementType kType = ElementType::kInt8;

// The maps that a list names, relative to its folder.
std::vector<Map> ReadNetwork(const std::string& list) {
  std::FILE* const file = std::fopen(list.c_str(), "r");
  if (file == nullptr) Fail(list + ": cannot be opened");
  const std::string folder = list.substr(0, list.find_last_of('/') + 1);
  std::vector<Map> maps;
  char name[256];
  unsigned height = 0, width = 0, channels = 0;
  while (std::fscanf(file, "%255s %ux%ux%u", name, &height, &width, &channels) == 4) {
    maps.push_back(ReadRawMap((folder + name).c_str(), height, width, channels));
  }
  if (std::feof(file) == 0 || maps.empty())
    Fail(list + ": expected lines FILE HxWxC, as tools/dump_maps.py writes them");
  std::fclose(file);
  return maps;
}

// A network's maps in turn. They share buffers, as tensors of an arena do; that a map gets there counts as nothing.
class NetworkSubject {
 public:
  NetworkSubject(const std::vector<Map>& maps, const Kernels& kernels) : maps_(maps) {
    size_t workspace = 0, coded = 0, largest = 0;
    for (const Map& map : maps) {
      codecs_.push_back(std::make_unique<OwnedCodec>(BuildSideInfo(FitSideInfo(map, true))));
      plans_.push_back(PlanFor(*codecs_.back(), map));
      largest = std::max(largest, map.values.size());
      coded = std::max(coded, plans_.back().item_capacity);
      Codec codec = codecs_.back()->codec();
      codec.kernels = &kernels;
      workspace =
          std::max({workspace, EncodeWorkspaceSize(codec, plans_.back()), DecodeWorkspaceSize(codec, plans_.back())});
    }
    input_.resize(largest);
    output_.resize(largest);
    coded_.resize(coded);
    workspace_.resize(workspace);
    kernels_ = &kernels;
  }

  size_t values() const {
    size_t sum = 0;
    for (const Map& map : maps_) sum += map.values.size();
    return sum;
  }
  size_t payload_bytes() const { return payload_bytes_; }

  // Seconds to encode and to decode all maps.
  std::pair<double, double> Turn() {
    std::pair<double, double> seconds{0, 0};
    payload_bytes_ = 0;
    for (size_t i = 0; i < maps_.size(); ++i) {
      const size_t n = maps_[i].values.size();
      Codec codec = codecs_[i]->codec();
      codec.kernels = kernels_;
      std::copy(maps_[i].values.begin(), maps_[i].values.end(), input_.begin());
      size_t bytes = 0;
      const double start = ThreadSeconds();
      Check(fmtc::Encode(codec, plans_[i], kType, input_.data(), n, coded_.data(), plans_[i].item_capacity, &bytes,
                         workspace_.data(), workspace_.size()));
      const double middle = ThreadSeconds();
      Check(fmtc::Decode(codec, plans_[i], kType, coded_.data(), bytes, output_.data(), n, workspace_.data(),
                         workspace_.size()));
      seconds.second += ThreadSeconds() - middle;
      seconds.first += middle - start;
      payload_bytes_ += bytes;
      if (!std::equal(input_.begin(), input_.begin() + static_cast<long>(n), output_.begin())) Fail("a map differs");
    }
    return seconds;
  }

 private:
  const std::vector<Map>& maps_;
  const Kernels* kernels_;
  std::vector<std::unique_ptr<OwnedCodec>> codecs_;
  std::vector<MapPlan> plans_;
  Bytes input_, output_, coded_, workspace_;
  size_t payload_bytes_ = 0;
};

}  // namespace

void MeasureNetwork(const std::string& list, double seconds) {
  const std::vector<Map> maps = ReadNetwork(list);
  std::vector<Task> tasks;  // encode and decode of each level in turn
  std::vector<std::unique_ptr<NetworkSubject>> subjects;
  for (const char* const* level = kCpuLevels; *level != nullptr; ++level) {
    if (FindKernels(*level) == nullptr) continue;
    subjects.push_back(std::make_unique<NetworkSubject>(maps, *FindKernels(*level)));
    for (const char* what : {"encode", "decode"}) tasks.push_back({what, *level, subjects.back()->values(), {}, {}});
  }
  const double end = ThreadSeconds() + seconds;
  for (int turn = 0; turn < 3 || ThreadSeconds() < end; ++turn) {
    for (size_t i = 0; i < subjects.size(); ++i) {
      const std::pair<double, double> both = subjects[i]->Turn();
      tasks[2 * i].seconds.push_back(both.first);
      tasks[2 * i + 1].seconds.push_back(both.second);
    }
  }
  const size_t values = subjects[0]->values();
  std::printf("%zu maps, %zu values, lossless, %.2f bits/value; GB/s\n\n| | encode | decode |\n|---|---|---|\n",
              maps.size(), values,
              8.0 * static_cast<double>(subjects[0]->payload_bytes()) / static_cast<double>(values));
  for (size_t i = 0; i < tasks.size(); i += 2) {
    std::printf("| %s | %.3g | %.3g |\n", tasks[i].level.c_str(), GigabytesPerSecond(tasks[i]),
                GigabytesPerSecond(tasks[i + 1]));
  }
}

}  // namespace fmtc::bench
