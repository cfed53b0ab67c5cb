// How the parts of a team divide an op's rows among them.
#ifndef FMTC_REGION_SHARE_H_
#define FMTC_REGION_SHARE_H_

#include "region/kind.h"

namespace fmtc::region {

enum class Division { kColumns, kChannels, kNone };

// By columns where each part gets many of them, else by output channels if the kind can, else by few columns; or one
// part does it all.
Division DivisionOf(const OpView& op, const Kind& kind, Range window, int parts);

inline Range AllChannels(const OpView& op) { return {0, static_cast<int32_t>(op.output().channels)}; }

Share ShareAmong(const OpView& op, const Kind& kind, Range window, int part, int parts);

// What a part computes of the rows of an op whose output has this window; empty if the others do it all.
inline Share ShareOf(const OpView& op, const Kind& kind, Range window, int part, int parts) {
  return parts == 1 ? Share{window, AllChannels(op)} : ShareAmong(op, kind, window, part, parts);
}

}  // namespace fmtc::region

#endif  // FMTC_REGION_SHARE_H_
