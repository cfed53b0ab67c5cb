// Weights of convolutions with one input channel, in the order in which vectors want them: the program has a step of
// four weights for each tap, three of which are padding; here four taps of a row make a step.
#ifndef FMTC_REGION_PACKED_WEIGHTS_H_
#define FMTC_REGION_PACKED_WEIGHTS_H_

#include "region/kernels.h"
#include "region/program.h"

namespace fmtc::region {

// What all of a program's take, which need not have been checked; at most as much as the program itself.
size_t PackedWeightsBytes(const Program& program);

// Gives a row of such a convolution, which has been checked, its packed weights, if there is room for them; and takes
// the room.
void PackWeights(const OpView& op, MacRow* row, PackedRoom* room);

// Steps of a column.
inline int32_t NumPackedSteps(const MacRow& row) {
  return row.kernel_rows * ((row.kernel_columns + kStepValues - 1) / kStepValues);
}

// Bytes of an output channel.
inline ptrdiff_t PackedWeightsOfChannel(const MacRow& row) { return ptrdiff_t{NumPackedSteps(row)} * kStepValues; }

// Writes them for all output channels, padded to a multiple of 16.
void PackWeightsOf(const MacRow& row, int8_t* packed);

}  // namespace fmtc::region

#endif  // FMTC_REGION_PACKED_WEIGHTS_H_
