#include "region/share.h"

#include "region/kernels.h"

namespace fmtc::region {
namespace {

// Columns of a part. With many it reads little that others compute; with few, each of them reads all of the weights,
// so that a part of the channels is done sooner.
constexpr int32_t kManyColumns = 7;
constexpr int32_t kLeastColumns = 2;

Range PartOf(Range range, int part, int parts) {
  const int64_t size = range.end - range.first;
  return {static_cast<int32_t>(range.first + size * part / parts),
          static_cast<int32_t>(range.first + size * (part + 1) / parts)};
}

int32_t NumBlocks(const OpView& op) {
  return (static_cast<int32_t>(op.output().channels) + kChannelBlock - 1) / kChannelBlock;
}

// Whole blocks of channels, the last one as far as it goes.
Range BlocksOf(const OpView& op, int part, int parts) {
  const int32_t channels = static_cast<int32_t>(op.output().channels);
  const Range range = PartOf({0, NumBlocks(op)}, part, parts);
  const int32_t end = range.end * kChannelBlock;
  return {range.first * kChannelBlock, end < channels ? end : channels};
}

}  // namespace

Division DivisionOf(const OpView& op, const Kind& kind, Range window, int parts) {
  const int32_t columns = KeepsMemory(op, kind) ? 0 : (window.end - window.first) / parts;
  if (columns >= kManyColumns) return Division::kColumns;
  const bool splits_channels = kind.splits_channels(op);
  if (splits_channels && NumBlocks(op) >= parts) return Division::kChannels;
  if (columns >= kLeastColumns) return Division::kColumns;
  return splits_channels ? Division::kChannels : Division::kNone;
}

Share ShareAmong(const OpView& op, const Kind& kind, Range window, int part, int parts) {
  switch (DivisionOf(op, kind, window, parts)) {
    case Division::kColumns:
      return {PartOf(window, part, parts), AllChannels(op)};
    case Division::kChannels:
      return {window, BlocksOf(op, part, parts)};
    default:
      return part == 0 ? Share{window, AllChannels(op)} : Share{{0, 0}, {0, 0}};
  }
}

}  // namespace fmtc::region
