// The loops over a row of the region executor. The plain ones define the results; versions for a processor's
// instructions replace entries of the table and give the same bytes.
//
// Every function trusts its arguments: the program that they come from was checked. Where a program lets a row lie over
// what is read for it, what comes out does not matter.
#ifndef FMTC_REGION_KERNELS_H_
#define FMTC_REGION_KERNELS_H_

#include <cstddef>
#include <cstdint>

#include "base/features.h"
#include "base/rounding.h"
#include "region/parameters.h"

namespace fmtc::region {

// More than this a kernel cannot reach over: the rows' pointers are on the stack.
constexpr int kMaxKernelRows = kMicro ? 32 : 256;

// Output channels whose weights stand together, and values of k that do.
constexpr int kChannelBlock = 16;
constexpr int kStepValues = 4;

// Steps of a column that loops lay side by side in memory, at most.
constexpr uint32_t kMaxPackedSteps = 64;

// Rules of ADD, as an array has them: the last two subtract.
constexpr int kNumAddRules = 7;

// Entries of the table for so many rules.
constexpr int Entries(int rules) { return kHasAllRules ? rules : 2; }

// What lies under a row of the kernel.
struct KernelRow {
  const uint8_t* first;    // the pixel under the first tap of the first output column
  ptrdiff_t column_bytes;  // from an output column's first tap to the next one's; 0 in a row of padding
};

// A row of a convolution, or an input row of a fully connected op, which is one tap after another for one column.
struct MacRow {
  const KernelRow* rows;
  int32_t kernel_rows, kernel_columns;
  int32_t stride, dilation;  // of columns
  ptrdiff_t pixel_bytes;
  ptrdiff_t tap_bytes;   // from a tap to the next in a row
  int32_t in_channels;   // of a group
  int32_t out_channels;  // of a group
  int32_t groups;
  int32_t multiplier;  // of depth
  const int8_t* weights;
  const int8_t* packed_weights;  // of one input channel in pixels of 4 bytes (packed_weights.h), or null
  ptrdiff_t tap_weights;         // of depthwise ones: from a tap's weights to the next one's
  int32_t weight_zero;
  bool has_small_factors;  // the float32 rule's factors are all below 1, those of rules with shifts below 1/2
  Requantization requantization;
  uint8_t* out;  // what lies between the channels of its columns is not touched
  ptrdiff_t out_pixel_bytes;
  int32_t columns;
};

struct AddRow {
  const uint8_t* a;
  const uint8_t* b;
  ptrdiff_t a_pixel_bytes, b_pixel_bytes;  // 0: the same channels for every column
  uint8_t* out;
  ptrdiff_t out_pixel_bytes;
  int32_t channels, columns;
  const AddParameters* parameters;
};

// Two operands of an output row, the second of which may be narrower.
struct PairRow {
  const uint8_t* a;
  const uint8_t* b;
  ptrdiff_t a_pixel_bytes;
  ptrdiff_t b_pixel_bytes;    // 0: the same for every column
  ptrdiff_t b_channel_bytes;  // 0: the same for every channel, else 1
  uint8_t* out;
  ptrdiff_t out_pixel_bytes;
  int32_t channels, columns;
};

// Float32 values that become bytes, one after another.
struct QuantizeRun {
  const uint8_t* in;  // float32 at any place
  ptrdiff_t count;
  uint8_t* out;
  const QuantizeParameters* parameters;
  uint64_t first;        // place of the first value in the batch
  uint64_t vectors_end;  // place from which on values of the batch are what the runtimes' vectors leave
};

// Pixels that keep their bytes, or all but some bits of each, and get another distance.
struct PixelRow {
  const uint8_t* in;
  ptrdiff_t in_pixel_bytes;
  uint8_t* out;
  ptrdiff_t out_pixel_bytes;
  int32_t channels, columns;
  uint8_t flip;  // these bits
};

struct PoolRow {
  const uint8_t* const* rows;  // at column `rows_column`, of the kernel rows within the input
  int32_t num_rows;
  int32_t rows_column;
  int32_t width;         // of the input
  int32_t first_column;  // under the first tap of the first output column
  int32_t kernel_columns, stride;
  ptrdiff_t pixel_bytes;
  uint8_t* out;
  ptrdiff_t out_pixel_bytes;
  int32_t channels, columns;
  OutputRange range;
};

struct BilinearRow {
  const uint8_t* rows[2];  // at column `rows_column`
  int32_t rows_column;
  ptrdiff_t pixel_bytes;
  const BilinearEntry* row;      // of the output row
  const BilinearEntry* columns;  // of the first output column
  uint8_t* out;
  ptrdiff_t out_pixel_bytes;
  int32_t channels, num_columns;
  int32_t offset;
};

struct RowKernels {
  // By rule; null where the kind has no such rule.
  void (*conv[Entries(kNumRules)])(const MacRow& row);
  void (*depthwise[Entries(kNumRules)])(const MacRow& row);
  void (*requantize[Entries(kNumRules)])(const int32_t* acc, const Requantization& r, int32_t channels, uint8_t* out);
  void (*add[Entries(kNumAddRules)])(const AddRow& row);
  void (*multiply[Entries(kNumRules)])(const PairRow& row, const MultiplyParameters& parameters);
  void (*bilinear[Entries(5)])(const BilinearRow& row);

  // acc[channel] += the products of the row's taps for its one column.
  void (*add_products)(const MacRow& row, int32_t* acc);
  // acc[channel] += the values of all columns.
  void (*add_columns)(const uint8_t* in, ptrdiff_t pixel_bytes, int32_t columns, int32_t channels, int32_t* acc);
  void (*average)(const PoolRow& row);
  void (*maximum)(const PoolRow& row);
  // For each column and channel, the sum or the largest of the values so far and those under the window.
  void (*add_windows)(const PoolRow& row, int32_t* sums);
  void (*raise_maxima)(const PoolRow& row, uint8_t* maxima);
  void (*larger)(const PairRow& row);
  void (*smaller)(const PairRow& row);
  void (*prelu)(const PairRow& row, const PreluParameters& parameters);
  // `in` and `out` may be the same.
  void (*look_up)(const uint8_t* table, const uint8_t* in, ptrdiff_t count, uint8_t* out);
  void (*quantize[Entries(5)])(const QuantizeRun& run);
  // What lies between the channels and the end of an output pixel may become anything.
  void (*move_pixels)(const PixelRow& row);
  // Two rows of a convolution of the float32 rule, of which all but `rows` and `out` is the same; or null.
  void (*conv_pair)(const MacRow& row, const MacRow& other);
};

const RowKernels& PlainRowKernels();

}  // namespace fmtc::region

#endif  // FMTC_REGION_KERNELS_H_
