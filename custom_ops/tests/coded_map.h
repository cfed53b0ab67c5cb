// Random maps of several segments, and often groups, with their coded form.
#ifndef FMTC_TESTS_CODED_MAP_H_
#define FMTC_TESTS_CODED_MAP_H_

#include <cstdint>
#include <vector>

#include "base/features.h"
#include "codec/codec.h"
#include "tests/expect.h"
#include "tests/random_inputs.h"

namespace fmtc::test {

inline SideInfoSpec DrawSpec(Random* random, bool checksum) {
  const auto transform = static_cast<Transform>(Draw(random, 0, 3));
  const uint8_t max_level = static_cast<uint8_t>(Draw(random, 0, 1) * Draw(random, 1, kMaxLevel));
  SideInfoSpec spec = RandomSpec(random, static_cast<uint32_t>(Draw(random, 1, 40)), transform, max_level);
  spec.checksum = checksum;
  return spec;
}

struct CodedMapSample {
  static constexpr ElementType kType = ElementType::kUInt8;

  OwnedCodec owned;
  MapPlan plan;  // often with a stride
  std::vector<uint8_t> map, coded;

  CodedMapSample(Random* random, const SideInfoSpec& spec) : owned(BuildSideInfo(spec)) {
    EXPECT(owned.status() == Status::kOk);
    // Rows of 200 values or more make segments of 40 rows or less.
    const int32_t pixels = static_cast<int32_t>(200 / owned.codec().side_info.components + 1);
    const int64_t height = Draw(random, 0, 3) == 0 ? Draw(random, 700, 900) : Draw(random, 1, 150);
    EXPECT(PlanMap(owned.codec(), Draw(random, 1, 2), height, pixels, &plan) == Status::kOk);
    map = RandomMap(random, plan.encoder_input_bytes);
    // What the map may need, or so little that a level has to rise.
    const bool is_tight = spec.max_level > 0 && Draw(random, 0, 1) != 0;
    coded.resize(is_tight ? 16 + map.size() / 20 : plan.batch * plan.item_capacity);
    std::vector<uint8_t> workspace(EncodeWorkspaceSize(owned.codec(), plan));
    size_t bytes = 0;
    EXPECT(Encode(owned.codec(), plan, kType, map.data(), map.size(), coded.data(), coded.size(), &bytes,
                  workspace.data(), workspace.size()) == Status::kOk);
    coded.resize(bytes);
    if (kHasStride && Draw(random, 0, 1) != 0) {
      EXPECT(SetDecoderStride(owned.codec(), Draw(random, 1, 3), Draw(random, 1, 3), &plan) == Status::kOk);
    }
  }
};

}  // namespace fmtc::test

#endif  // FMTC_TESTS_CODED_MAP_H_
