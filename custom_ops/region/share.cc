#include "region/share.h"

#include "region/kernels.h"

namespace fmtc::region {
namespace {

constexpr int32_t kLeastColumns = 2;  // of a part; its channels would need all that others compute

Range PartOf(Range range, int part, int parts) {
  const int64_t size = range.end - range.first;
  return {static_cast<int32_t>(range.first + size * part / parts),
          static_cast<int32_t>(range.first + size * (part + 1) / parts)};
}

// Whole blocks of channels, the last one as far as it goes.
Range BlocksOf(const OpView& op, int part, int parts) {
  const int32_t channels = static_cast<int32_t>(op.output().channels);
  const int32_t blocks = (channels + kChannelBlock - 1) / kChannelBlock;
  const Range range = PartOf({0, blocks}, part, parts);
  const int32_t end = range.end * kChannelBlock;
  return {range.first * kChannelBlock, end < channels ? end : channels};
}

}  // namespace

Division DivisionOf(const OpView& op, const Kind& kind, Range window, int parts) {
  if (!KeepsMemory(op, kind) && window.end - window.first >= kLeastColumns * parts) return Division::kColumns;
  return kind.splits_channels(op) ? Division::kChannels : Division::kNone;
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
