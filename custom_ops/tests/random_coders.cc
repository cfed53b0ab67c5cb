#include "tests/random_coders.h"

#include "base/bytes.h"
#include "region/parameters.h"
#include "region/segments.h"

namespace fmtc::test {

using namespace region;

namespace {

// So many groups of columns, of one column at least.
std::vector<uint16_t> GroupEnds(Random* random, uint32_t width, uint32_t groups) {
  std::vector<uint16_t> ends;
  for (uint32_t i = 0; i < groups; ++i) {
    const int32_t least = ends.empty() ? 1 : ends.back() + 1, most = static_cast<int32_t>(width - (groups - 1 - i));
    ends.push_back(static_cast<uint16_t>(i + 1 == groups ? most : Draw(random, least, most)));
  }
  return ends;
}

}  // namespace

SideInfoSpec RandomStorable(Random* random, uint32_t channels, Transform transform) {
  SideInfoSpec spec = RandomSpec(random, channels, transform, 0);
  spec.segment_rows = 0;
  spec.checksum = false;
  return spec;
}

uint16_t AddCoders(Random* random, ProgramBuilder* builder, uint16_t from, SegmentCounts counts,
                   const SideInfoSpec& spec) {
  const TensorRecord map = builder->tensor(from);
  TensorRecord shape{};
  shape.height = counts.shares;
  shape.width = counts.groups;
  const std::vector<uint16_t> ends = GroupEnds(random, map.width, counts.groups);
  const Segments segments(map, shape, ends.data());
  const auto most = static_cast<uint32_t>(segments.MostValues());
  const uint32_t slot = static_cast<uint32_t>(RoundUp(most + kSlotHeaderBytes, 16));
  const uint16_t coded = builder->AddTensor(kScratch, kUInt8, counts.shares, counts.groups, slot);
  const uint16_t to = builder->AddTensor(kScratch, map.type, map.height, map.width, map.channels);
  if (Draw(random, 0, 1) != 0) builder->tensor(to).pixel_bytes = static_cast<uint32_t>(RoundUp(map.channels, 4));
  builder->tensor(to).padding = static_cast<uint8_t>(Draw(random, 0, 255));

  const bool has_contexts = !spec.contexts.tables.empty();
  const std::vector<uint8_t> info = BuildSideInfo(spec);
  const uint32_t info_offset = builder->AddArray(info, kProgramAlignment);
  const uint32_t ends_offset = counts.groups > 1 || Draw(random, 0, 1) != 0 ? builder->AddArray(ends) : 0;
  const EncodeParameters p{info_offset, static_cast<uint32_t>(info.size()), ends_offset, {}};
  builder->AddOp(kEncode, 1, {from}, coded, p, EncodeMemoryBytes(segments, has_contexts));
  builder->AddOpWithMemory(kDecode, 1, coded, to, DecodeMemoryBytes(segments, has_contexts));
  return to;
}

uint16_t AddCoders(Random* random, ProgramBuilder* builder, uint16_t from) {
  const TensorRecord map = builder->tensor(from);
  const auto shares = static_cast<uint32_t>(Draw(random, 1, static_cast<int32_t>(map.height)));
  const auto most = static_cast<int32_t>(map.width < 4 ? map.width : 4);
  const auto groups = Draw(random, 0, 1) != 0 ? static_cast<uint32_t>(Draw(random, 1, most)) : 1;
  const Transform transform = Draw(random, 0, 1) != 0 ? Transform::kStep : Transform::kLossless;
  return AddCoders(random, builder, from, {shares, groups}, RandomStorable(random, map.channels, transform));
}

}  // namespace fmtc::test
