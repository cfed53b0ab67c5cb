#include "region/share.h"

#include "region/kernels.h"

namespace fmtc::region {
namespace {

constexpr int32_t kLeastColumns = 7;  // of a member: a tile of the fastest kernels

Range PartOf(Range range, int member, int members) {
  const int64_t size = range.end - range.first;
  return {static_cast<int32_t>(range.first + size * member / members),
          static_cast<int32_t>(range.first + size * (member + 1) / members)};
}

// Whole blocks of channels, the last one as far as it goes.
Range BlocksOf(const OpView& op, int member, int members) {
  const int32_t channels = static_cast<int32_t>(op.output().channels);
  const int32_t blocks = (channels + kChannelBlock - 1) / kChannelBlock;
  const Range part = PartOf({0, blocks}, member, members);
  const int32_t end = part.end * kChannelBlock;
  return {part.first * kChannelBlock, end < channels ? end : channels};
}

}  // namespace

Division DivisionOf(const OpView& op, const Kind& kind, Range window, int members) {
  if (!kind.accumulates(op) && window.end - window.first >= kLeastColumns * members) return Division::kColumns;
  return kind.splits_channels(op) ? Division::kChannels : Division::kNone;
}

Share ShareAmong(const OpView& op, const Kind& kind, Range window, int member, int members) {
  switch (DivisionOf(op, kind, window, members)) {
    case Division::kColumns:
      return {PartOf(window, member, members), AllChannels(op)};
    case Division::kChannels:
      return {window, BlocksOf(op, member, members)};
    default:
      return member == 0 ? Share{window, AllChannels(op)} : Share{{0, 0}, {0, 0}};
  }
}

}  // namespace fmtc::region
