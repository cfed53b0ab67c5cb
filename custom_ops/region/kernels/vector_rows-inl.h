// The table of the loops that an instruction set has. Included behind sums_*-inl.h.
#ifndef FMTC_REGION_KERNELS_VECTOR_ROWS_INL_H_
#define FMTC_REGION_KERNELS_VECTOR_ROWS_INL_H_

#include "region/kernels/add_rows-inl.h"
#include "region/kernels/bilinear_rows-inl.h"
#include "region/kernels/byte_rows-inl.h"
#include "region/kernels/conv_rows-inl.h"
#include "region/kernels/depthwise_rows-inl.h"
#include "region/kernels/pair_rows-inl.h"

namespace fmtc::region {
namespace {

RowKernels MakeRowKernels() {
  RowKernels k = PlainRowKernels();
  k.conv[kDoubleRounding] = ConvRow<DoubleRounding>;
  k.conv[kHalfUp] = ConvRow<HalfUp>;
  k.conv[kFloat32Rule] = ConvRow<Float32>;
  k.conv[kFloat64Rule] = ConvRow<Float64>;
  k.conv[kRndnu] = ConvRow<Rndnu>;
  k.conv[kBlocksRule] = ConvRow<Blocks>;
  k.depthwise[kDoubleRounding] = DepthwiseRow<DoubleRounding>;
  k.depthwise[kHalfUp] = DepthwiseRow<HalfUp>;
  k.depthwise[kFloat32Rule] = DepthwiseRow<Float32>;
  k.depthwise[kBlocksRule] = DepthwiseRow<Blocks>;
  k.add[1] = AddRowWith<DoubleRoundingSum>;
  k.add[2] = AddRowWith<FixedPointSum>;
  k.add[3] = AddRowWith<SumOfShifted<true>>;
  k.add[4] = AddRowWith<SumOfShifted<false>>;
  k.multiply[kDoubleRounding] = MultiplyRow<DoubleRoundingScale>;
  k.multiply[kFloat32Rule] = MultiplyRow<Float32Scale>;
  k.bilinear[2] = BilinearFixedPointRow;
  k.add_products = AddProductsRow;
  k.add_columns = AddColumnsRow;
  k.average = AverageRow;
  k.maximum = MaximumRow;
  k.add_windows = AddWindowsRow;
  k.raise_maxima = RaiseMaximaRow;
  k.larger = ExtremumRow<Greater>;
  k.smaller = ExtremumRow<Less>;
  k.prelu = PreluRow;
  k.look_up = LookUpRun;
  k.quantize[3] = QuantizeFloat32Run;
  k.move_pixels = MovePixelsRow;
  return k;
}

}  // namespace
}  // namespace fmtc::region

#endif  // FMTC_REGION_KERNELS_VECTOR_ROWS_INL_H_
