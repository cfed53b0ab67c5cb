// A codec and a map shape that follow from a few bytes of fuzz input.
#ifndef FMTC_FUZZ_FUZZ_CODEC_H_
#define FMTC_FUZZ_FUZZ_CODEC_H_

#include <cstdint>

#include "codec/codec.h"
#include "tests/expect.h"
#include "tests/random_inputs.h"

namespace fmtc::fuzz {

class FuzzCodec {
 public:
  // Every seed is a valid codec. `checksum` overrides the random choice.
  FuzzCodec(uint32_t seed, bool checksum) : random_(seed), spec_(MakeSpec(checksum)), owned_(BuildSideInfo(spec_)) {
    EXPECT(owned_.status() == Status::kOk);
    const int64_t batch = test::Draw(&random_, 0, 3);
    const int64_t height = test::Draw(&random_, 1, 40);
    EXPECT(PlanMap(codec(), batch, height, test::Draw(&random_, 1, 40), &plan_) == Status::kOk);
  }

  test::Random* random() { return &random_; }
  const test::SideInfoSpec& spec() const { return spec_; }
  const Codec& codec() const { return owned_.codec(); }
  const MapPlan& plan() const { return plan_; }

 private:
  test::SideInfoSpec MakeSpec(bool checksum) {
    const uint32_t channels = static_cast<uint32_t>(test::Draw(&random_, 1, 20));
    const auto transform = static_cast<test::Transform>(test::Draw(&random_, 0, 3));
    const uint8_t max_level = static_cast<uint8_t>(test::Draw(&random_, 0, 1) * test::Draw(&random_, 1, kMaxLevel));
    test::SideInfoSpec spec = RandomSpec(&random_, channels, transform, max_level);
    spec.checksum = checksum;
    return spec;
  }

  test::Random random_;
  test::SideInfoSpec spec_;
  test::OwnedCodec owned_;
  MapPlan plan_;
};

}  // namespace fmtc::fuzz

#endif  // FMTC_FUZZ_FUZZ_CODEC_H_
