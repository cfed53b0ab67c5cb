// What of a convolution's steps is the same at each of them.
#ifndef FMTC_REGION_PREPARED_ROW_H_
#define FMTC_REGION_PREPARED_ROW_H_

#include "region/kernels.h"
#include "region/program.h"

namespace fmtc::region {

// A tensor's rows in its memory.
struct RowPlaces {
  uint32_t depth, phase, pitch, row_bytes;

  FMTC_ONE_COPY uint32_t SlotOf(int32_t row) const {
    const uint32_t slot = static_cast<uint32_t>(row) * pitch + phase;
    return slot < depth ? slot : slot % depth;
  }
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
};

// Two rows of one convolution are computed together (row_pairs.h) only where they are small.
constexpr int32_t kPairKernelRows = 8;
constexpr uint32_t kPairWidth = 3;

struct PreparedRow : MacRow {
  StepPlaces places;  // unless the op has no windows
  bool is_pair;       // the op's first step may wait for the second one, to be computed with it
};

}  // namespace fmtc::region

#endif  // FMTC_REGION_PREPARED_ROW_H_
