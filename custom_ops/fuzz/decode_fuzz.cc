// Arbitrary coded bytes: decoding fails or succeeds, and touches nothing that is not its own.
//
// Input: one byte that chooses codec and shape, one whose lowest bit asks for a repaired header, the coded tensor.
#include "core/bytes.h"
#include "core/codec.h"
#include "core/geometry.h"
#include "fuzz/fuzz_codec.h"
#include "fuzz/fuzz_target.h"

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
  fuzz::Bytes decoded(fuzz.plan().decoder_output_bytes);
  fuzz::Bytes workspace(DecodeWorkspaceSize(fuzz.codec(), fuzz.plan()));
  Decode(fuzz.codec(), fuzz.plan(), ElementType::kUInt8, coded.data(), coded.size(), decoded.data(), decoded.size(),
         workspace.data(), workspace.size());
  return 0;
}
