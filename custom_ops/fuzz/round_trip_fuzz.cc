// Maps of arbitrary values with random options and buffers that may be too small: what is encoded decodes to what the
// definitions say.
//
// Input: four bytes that choose everything but the values, then the values (zeros follow).
#include <algorithm>
#include <cstring>

#include "base/bytes.h"
#include "codec/codec.h"
#include "fuzz/fuzz_codec.h"
#include "fuzz/fuzz_target.h"
#include "tests/expected_output.h"
#include "tests/levels.h"

namespace fmtc::fuzz {
namespace {

using Bytes = std::vector<uint8_t>;

void CheckDecodes(const FuzzCodec& fuzz, ElementType type, const Bytes& map, const Bytes& payload) {
  Bytes decoded(fuzz.plan().decoder_output_bytes);
  Bytes workspace(DecodeWorkspaceSize(fuzz.codec(), fuzz.plan()));
  EXPECT(Decode(fuzz.codec(), fuzz.plan(), type, payload.data(), payload.size(), decoded.data(), decoded.size(),
                workspace.data(), workspace.size()) == Status::kOk);
  EXPECT(decoded == test::ExpectedOutput(fuzz.spec(), type, payload.empty() ? 0 : payload[6], map));
}

// All kernels give the same bytes.
void CheckOtherLevels(const FuzzCodec& fuzz, ElementType type, const Bytes& map, size_t capacity,
                      const Bytes& expected) {
  Bytes workspace(EncodeWorkspaceSize(fuzz.codec(), fuzz.plan()));
  for (const Codec& codec : test::AtEveryLevel(fuzz.codec())) {
    Bytes coded(capacity);
    size_t payload_bytes = 0;
    EXPECT(Encode(codec, fuzz.plan(), type, map.data(), map.size(), coded.data(), capacity, &payload_bytes,
                  workspace.data(), workspace.size()) == Status::kOk);
    coded.resize(payload_bytes);
    EXPECT(coded == expected);
  }
}

void RoundTrip(FuzzCodec* fuzz, ElementType type, const Bytes& map) {
  const MapPlan& plan = fuzz->plan();
  const size_t enough = plan.batch * plan.item_capacity;
  const bool maybe_too_small = test::Draw(fuzz->random(), 0, 1) != 0;
  const size_t capacity = maybe_too_small ? (*fuzz->random())() % (enough + 1) : enough;
  const size_t workspace_bytes = EncodeWorkspaceSize(fuzz->codec(), plan) - (test::Draw(fuzz->random(), 0, 15) == 0);
  Bytes coded(capacity);
  Bytes workspace(workspace_bytes);
  size_t payload_bytes = 0;
  const Status status = Encode(fuzz->codec(), plan, type, map.data(), map.size(), coded.data(), capacity,
                               &payload_bytes, workspace.data(), workspace_bytes);
  EXPECT(payload_bytes <= capacity);
  if (status == Status::kOk) {
    coded.resize(payload_bytes);
    CheckOtherLevels(*fuzz, type, map, capacity, coded);
    CheckDecodes(*fuzz, type, map, coded);
    return;
  }
  const size_t least_capacity = fuzz->spec().max_level > 0 ? 16 : enough;
  EXPECT(status == Status::kBufferTooSmall);
  EXPECT(capacity < least_capacity || workspace_bytes < EncodeWorkspaceSize(fuzz->codec(), plan));
}

}  // namespace

Bytes MakeSeed(uint32_t index) {
  test::Random random(index);
  Bytes seed = test::RandomMap(&random, random() % 3000);
  seed.insert(seed.begin(), 4, static_cast<uint8_t>(index));
  return seed;
}

}  // namespace fmtc::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fmtc;
  if (size < 4) return 0;
  const uint32_t seed = Load<uint32_t>(data);
  fuzz::FuzzCodec fuzz(seed, seed % 2 != 0);
  fuzz::Bytes map(fuzz.plan().encoder_input_bytes);
  std::copy_n(data + 4, std::min(size - 4, map.size()), map.begin());
  fuzz::RoundTrip(&fuzz, seed % 3 == 0 ? ElementType::kUInt8 : ElementType::kInt8, map);
  return 0;
}
