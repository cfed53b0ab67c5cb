// Arbitrary side information: it is refused, or it makes a codec that works.
#include "base/bytes.h"
#include "codec/codec.h"
#include "fuzz/fuzz_target.h"
#include "tests/expect.h"
#include "tests/random_inputs.h"

namespace {

using fmtc::Status;
using Bytes = std::vector<uint8_t>;

// A map of 3x3 pixels goes there and back.
void UseCodec(const fmtc::Codec& codec) {
  fmtc::MapPlan plan;
  if (PlanMap(codec, 1, 3, 3, &plan) != Status::kOk) return;
  fmtc::test::Random random(1);
  const Bytes map = fmtc::test::RandomMap(&random, plan.encoder_input_bytes);
  Bytes coded(plan.item_capacity);
  Bytes decoded(plan.decoder_output_bytes);
  Bytes workspace(EncodeWorkspaceSize(codec, plan));
  size_t payload_bytes = 0;
  EXPECT(Encode(codec, plan, fmtc::ElementType::kInt8, map.data(), map.size(), coded.data(), coded.size(),
                &payload_bytes, workspace.data(), workspace.size()) == Status::kOk);
  workspace.assign(DecodeWorkspaceSize(codec, plan), 0);
  EXPECT(Decode(codec, plan, fmtc::ElementType::kInt8, coded.data(), payload_bytes, decoded.data(), decoded.size(),
                workspace.data(), workspace.size()) == Status::kOk);
}

}  // namespace

namespace fmtc::fuzz {

Bytes MakeSeed(uint32_t index) {
  test::Random random(index);
  const uint32_t channels = static_cast<uint32_t>(test::Draw(&random, 1, 12));
  const auto transform = static_cast<test::Transform>(index % 4);
  return BuildSideInfo(RandomSpec(&random, channels, transform, static_cast<uint8_t>(test::Draw(&random, 0, 5))));
}

}  // namespace fmtc::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Bytes side_info(data, data + size);
  {
    const fmtc::test::OwnedCodec as_it_is(side_info);
    if (as_it_is.status() == Status::kOk) UseCodec(as_it_is.codec());
  }
  // Most mutations break the length or the checksum; with both made good the fields are what is left to refuse.
  side_info.resize(fmtc::RoundUp(size, 16));
  if (side_info.size() < 32) return 0;
  fmtc::Store(side_info.data() + 8, static_cast<uint32_t>(side_info.size()));
  fmtc::test::FixSideInfoChecksum(&side_info);
  const fmtc::test::OwnedCodec repaired(side_info);
  if (repaired.status() == Status::kOk) UseCodec(repaired.codec());
  return 0;
}
