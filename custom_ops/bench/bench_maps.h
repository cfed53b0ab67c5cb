// Synthetic feature maps of a wanted rate, and side information for them.
#ifndef FMTC_BENCH_BENCH_MAPS_H_
#define FMTC_BENCH_BENCH_MAPS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "codec/codec.h"
#include "tests/side_info_builder.h"

namespace fmtc::bench {

struct Map {
  std::string name;
  uint32_t height, width, channels;
  bool lossless;  // else with a quantization step of its own, 1.5 to 4, for each channel
  std::vector<uint8_t> values;
};

[[noreturn]] void Fail(const std::string& message);
void Check(Status status);

// A map like those behind a ReLU that takes about `bits_per_value`.
Map MakeReluMap(uint32_t height, uint32_t width, uint32_t channels, double bits_per_value, bool lossless);

// int8 NHWC values of a file, coded losslessly.
Map ReadRawMap(const char* path, uint32_t height, uint32_t width, uint32_t channels);

test::SideInfoSpec FitSideInfo(const Map& map, bool lossless);

// The same with contexts (FORMAT.md section 7.1), and each group one segment, as a converter makes them.
test::SideInfoSpec FitContexts(const Map& map, const test::SideInfoSpec& plain);

MapPlan PlanFor(const test::OwnedCodec& codec, const Map& map);

}  // namespace fmtc::bench

#endif  // FMTC_BENCH_BENCH_MAPS_H_
