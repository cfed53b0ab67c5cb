// What of a convolution's steps is the same at each of them.
#ifndef FMTC_REGION_PREPARED_ROW_H_
#define FMTC_REGION_PREPARED_ROW_H_

#include "region/kernels.h"
#include "region/program.h"
#include "region/rows.h"

namespace fmtc::region {

constexpr int32_t kFewKernelRows = 16;

// How steps of CONV and DEPTHWISE that follow one another go from row to row, those whose kernels have few rows and lie
// within the input's: without a division, and without asking again where rows lie that have the same columns.
struct StepPath {
  int32_t first, end;
  uint32_t in_bytes, out_bytes;      // of the tensors' memory, from whose end rows go on at its beginning
  uint32_t in_advance, out_advance;  // bytes from a step's rows to the next one's
  uint32_t between;                  // bytes from a row under the kernel to the next one
  // The step that comes next, -1 if it is not on the path; and where its first row under the kernel and its output row
  // lie, in bytes from the first slots.
  int32_t next;
  uint32_t in, out;
  // Until the pass ends, for steps of this share:
  Share share;
  void (*function)(const MacRow& row);
  const uint8_t* in_memory;  // the first tap of the share's first column in the first slot
  uint8_t* out_memory;       // that column of the output
  // The output's padding columns.
  size_t left_bytes, right_bytes;
  uint8_t padding;
};

// Of CONV and DEPTHWISE: numbers of their windows and tensors, together.
struct StepPlaces {
  const TensorRecord* input;
  const TensorRecord* output;
  RowPlaces in, out;
  ptrdiff_t in_first;   // from the scratch memory's beginning to the first tap of column 0 in the input's first slot
  ptrdiff_t out_first;  // likewise, to column 0 of the output
  ptrdiff_t column_bytes;
  size_t padding_bytes;  // of the op's row of padding
  uint32_t between;      // slots from a row under the kernel to the next one
  int32_t row_stride, row_dilation, above, kernel_rows;
  int32_t height;       // of the input
  bool keeps_channels;  // an output channel reads the input channel of its own number
  bool is_pair;         // the op's first step may wait for the second one, to be computed with it
};

// Two rows of one convolution are computed together (row_pairs.h) only where they are small.
constexpr int32_t kPairKernelRows = 8;
constexpr uint32_t kPairWidth = 3;

struct WindowRow : MacRow {
  StepPlaces places;  // unless the op has no windows
};

struct PreparedRow : WindowRow {
  StepPath path;
};

}  // namespace fmtc::region

#endif  // FMTC_REGION_PREPARED_ROW_H_
