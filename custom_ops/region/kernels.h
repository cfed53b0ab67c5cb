// The loops over a row of the region executor. The plain ones define the results; versions for a processor's
// instructions replace entries of the table and give the same bytes.
//
// Every function trusts its arguments: the program that they come from was checked.
#ifndef FMTC_REGION_KERNELS_H_
#define FMTC_REGION_KERNELS_H_

#include <cstddef>
#include <cstdint>

#include "region/rounding.h"

namespace fmtc::region {

// More than this a kernel cannot reach over; the rows' pointers are on the stack.
constexpr int kMaxKernelRows = 256;

// How accumulators become output values; arrays of one entry for each (padded) output channel.
struct Requantization {
  const int32_t* biases;
  const void* multipliers;
  const int32_t* shifts;
  OutputRange range;
  uint8_t flip;  // XORed with each output value
};

// A row of a convolution, or of a depthwise one.
struct ConvRow {
  const uint8_t* const* rows;  // of each kernel row, the pixel under the first tap of the first output column
  int32_t kernel_height, kernel_width;
  ptrdiff_t tap_bytes;     // from a tap to the next in a row
  ptrdiff_t column_bytes;  // from an output column's pixel to the next one's
  int32_t in_channels;     // CONV: of a group
  int32_t out_channels;    // CONV: of a group
  int32_t groups;          // DEPTHWISE: channel multiplier
  const int8_t* weights;
  int32_t weight_zero;
  Requantization requantization;
  uint8_t* out;
  ptrdiff_t out_pixel_bytes;
  int32_t columns;
};

using ConvRowFunction = void (*)(const ConvRow& row);

struct RowKernels {
  ConvRowFunction conv[kNumAccumulatorRules];  // by rule
  ConvRowFunction depthwise[kNumAccumulatorRules];
};

const RowKernels& PlainRowKernels();

}  // namespace fmtc::region

#endif  // FMTC_REGION_KERNELS_H_
