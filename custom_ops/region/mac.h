// What the kinds that multiply and add up have in common: CONV, DEPTHWISE, FULLY_CONNECTED and TRANSPOSE_CONV.
#ifndef FMTC_REGION_MAC_H_
#define FMTC_REGION_MAC_H_

#include "region/kernels.h"
#include "region/kind.h"
#include "region/prepared_row.h"

namespace fmtc::region {

constexpr uint8_t kDotLayout = 0;      // [channels / 16][k / 4][16][4]
constexpr uint8_t kChannelLayout = 1;  // [kernel rows][kernel columns][channels]

constexpr int32_t kRuleBlock = 8;  // channels that kBlocksRule treats alike

inline uint64_t PaddedTo4(uint64_t channels) { return (channels + 3) / 4 * 4; }

// Entries of the arrays of an entry for each output channel.
inline uint64_t NumEntries(const OpView& op) {
  const uint32_t groups = op.parameters<MacParameters>().groups;
  return groups * PaddedTo16(op.output().channels / groups);
}

struct MacShape {
  uint8_t layout;
  uint8_t last_rule;  // of those from 1 on that the kind has
  uint64_t k;         // weights of an output channel
  uint64_t rows;      // input rows that have weights of their own
  uint64_t phases;    // sets of biases
};

// Parameters, arrays and tensors; the kind has checked its geometry, and that there are groups.
Status CheckMac(const OpView& op, const MacShape& shape);

// All that does not depend on the step, but for the kernel.
void PrepareMacRow(const OpView& op, MacRow* row);

}  // namespace fmtc::region

#endif  // FMTC_REGION_MAC_H_
