// Arbitrary coded bytes: decoding fails or succeeds, the same with all kernels, and touches nothing that is not its
// own.
//
// Input: one byte that chooses codec and shape, one whose lowest bit asks for a repaired header, the coded tensor.
#include "base/bytes.h"
#include "codec/codec.h"
#include "codec/geometry.h"
#include "fuzz/fuzz_codec.h"
#include "fuzz/fuzz_target.h"
#include "tests/levels.h"

namespace fmtc::fuzz {
namespace {

using Bytes = std::vector<uint8_t>;
constexpr size_t kOptionBytes = 2;

// Without this few mutations would come past the header.
void RepairHeader(Bytes* coded) {
  if (coded->size() < kCodedHeaderBytes) return;
  memcpy(coded->data(), "FMTC\1\0", 6);
  (*coded)[7] = 0;
  Store(coded->data() + 8, static_cast<uint32_t>(coded->size()));
  Store(coded->data() + 12, uint32_t{0});
}

// Gives the last segment the length that is left to it.
void RepairLastLength(const MapPlan& plan, Bytes* coded) {
  const size_t entries = size_t{plan.batch} * plan.segments_per_item;
  if (entries == 0 || coded->size() < kCodedHeaderBytes + 4 * entries) return;
  uint32_t left = static_cast<uint32_t>(coded->size() - kCodedHeaderBytes - 4 * entries);
  uint8_t* entry = coded->data() + kCodedHeaderBytes;
  for (size_t i = 0; i + 1 < entries; ++i, entry += 4) left -= Load<uint32_t>(entry);
  Store(entry, left);
}

struct Decoded {
  Status status;
  Bytes map;
};

Decoded DecodeMap(const Codec& codec, const MapPlan& plan, const Bytes& coded) {
  Decoded decoded{Status::kOk, Bytes(plan.decoder_output_bytes)};
  Bytes workspace(DecodeWorkspaceSize(codec, plan));
  decoded.status = Decode(codec, plan, ElementType::kUInt8, coded.data(), coded.size(), decoded.map.data(),
                          decoded.map.size(), workspace.data(), workspace.size());
  return decoded;
}

}  // namespace

Bytes MakeSeed(uint32_t index) {
  FuzzCodec fuzz(index, false);
  const MapPlan& plan = fuzz.plan();
  const Bytes map = test::RandomMap(fuzz.random(), plan.encoder_input_bytes);
  Bytes seed(kOptionBytes + plan.batch * plan.item_capacity);
  Bytes workspace(EncodeWorkspaceSize(fuzz.codec(), plan));
  seed[0] = static_cast<uint8_t>(index);
  seed[1] = static_cast<uint8_t>(index / 7);
  size_t payload_bytes = 0;
  EXPECT(Encode(fuzz.codec(), plan, ElementType::kInt8, map.data(), map.size(), seed.data() + kOptionBytes,
                seed.size() - kOptionBytes, &payload_bytes, workspace.data(), workspace.size()) == Status::kOk);
  seed.resize(kOptionBytes + payload_bytes);
  return seed;
}

}  // namespace fmtc::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fmtc;
  if (size < fuzz::kOptionBytes) return 0;
  fuzz::FuzzCodec fuzz(data[0], false);
  fuzz::Bytes coded(data + fuzz::kOptionBytes, data + size);
  if ((data[1] & 1) != 0) {
    fuzz::RepairHeader(&coded);
    fuzz::RepairLastLength(fuzz.plan(), &coded);
  }
  const std::vector<Codec> codecs = test::AtEveryLevel(fuzz.codec());
  const fuzz::Decoded expected = fuzz::DecodeMap(codecs[0], fuzz.plan(), coded);
  for (const Codec& codec : codecs) {
    const fuzz::Decoded decoded = fuzz::DecodeMap(codec, fuzz.plan(), coded);
    EXPECT(decoded.status == expected.status);
    EXPECT(decoded.status != Status::kOk || decoded.map == expected.map);
  }
  return 0;
}
