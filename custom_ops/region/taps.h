// The taps of a convolution as its loops take them.
#ifndef FMTC_REGION_TAPS_H_
#define FMTC_REGION_TAPS_H_

#include "region/kernels.h"

namespace fmtc::region {

// Of a value that is at least 0.
constexpr int32_t RoundUpTo(int32_t value, uint32_t multiple) {
  return static_cast<int32_t>((static_cast<uint32_t>(value) + multiple - 1) / multiple * multiple);
}

// Taps that follow one another in memory, and whose weights do, count as one longer tap.
struct Taps {
  int32_t rows, columns;
  int32_t bytes;  // of a tap
};

// What lies between channels and the pixel's end may count where its weights, which are stored as 0, mean 0.
inline Taps JoinTaps(const MacRow& row) {
  const int32_t padded = RoundUpTo(row.in_channels, kStepValues);
  const bool joins = row.tap_bytes == padded && row.kernel_columns > 1 && row.groups == 1;
  if (joins && (row.in_channels == padded || row.weight_zero == 0)) {
    return {row.kernel_rows, 1, row.kernel_columns * padded};
  }
  return {row.kernel_rows, row.kernel_columns, row.in_channels};
}

inline ptrdiff_t WeightsOfBlock(const Taps& taps) {
  const ptrdiff_t k = ptrdiff_t{RoundUpTo(taps.bytes, kStepValues)} * taps.rows * taps.columns;
  return k * kChannelBlock;
}

}  // namespace fmtc::region

#endif  // FMTC_REGION_TAPS_H_
