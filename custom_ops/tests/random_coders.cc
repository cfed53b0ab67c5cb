#include "tests/random_coders.h"

#include "base/bytes.h"
#include "region/coders.h"
#include "region/parameters.h"

namespace fmtc::test {

using namespace region;

namespace {

std::vector<uint8_t> LosslessSideInfo(Random* random, uint32_t channels) {
  SideInfoSpec spec;
  do {
    spec = RandomSpec(random, channels, Transform::kLossless, 0);
  } while (!spec.contexts.tables.empty());  // segments of regions have none
  spec.segment_rows = 0;
  spec.checksum = false;
  spec.centre = 0;
  spec.centres.clear();
  spec.lo = -128;
  spec.hi = 127;
  return BuildSideInfo(spec);
}

}  // namespace

uint16_t AddCoders(Random* random, ProgramBuilder* builder, uint16_t from, uint32_t count) {
  const TensorRecord map = builder->tensor(from);
  TensorRecord shape{};
  shape.height = count;
  const Segments segments(map, shape);
  const auto most = static_cast<uint32_t>(segments.MostValues());
  const uint32_t slot = static_cast<uint32_t>(RoundUp(most + kSlotHeaderBytes, 16));
  const uint16_t coded = builder->AddTensor(kScratch, kUInt8, count, 1, slot);
  const uint16_t to = builder->AddTensor(kScratch, map.type, map.height, map.width, map.channels);
  if (Draw(random, 0, 1) != 0) builder->tensor(to).pixel_bytes = static_cast<uint32_t>(RoundUp(map.channels, 4));
  builder->tensor(to).padding = static_cast<uint8_t>(Draw(random, 0, 255));

  const std::vector<uint8_t> info = LosslessSideInfo(random, map.channels);
  const EncodeParameters p{builder->AddArray(info, kProgramAlignment), static_cast<uint32_t>(info.size()), {}};
  const size_t own = OwnMemoryBytes(segments);
  builder->AddOp(kEncode, 1, {from}, coded, p, own);
  builder->AddOpWithMemory(kDecode, 1, coded, to, own);
  return to;
}

uint16_t AddCoders(Random* random, ProgramBuilder* builder, uint16_t from) {
  const auto height = static_cast<int32_t>(builder->tensor(from).height);
  return AddCoders(random, builder, from, static_cast<uint32_t>(Draw(random, 1, height)));
}

}  // namespace fmtc::test
