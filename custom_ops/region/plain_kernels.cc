#include "region/plain_kernels.h"

namespace fmtc::region {
namespace {

constexpr RowKernels MakePlainRowKernels() {
  RowKernels k{};
  k.conv[kDoubleRounding] = PlainConv<DoubleRounding>;
  k.conv[kHalfUp] = PlainConv<HalfUp>;
  k.conv[kFloat32Rule] = PlainConv<Float32>;
  k.conv[kFloat64Rule] = PlainConv<Float64>;
  k.conv[kRndnu] = PlainConv<Rndnu>;
  k.conv[kBlocksRule] = PlainConv<Blocks>;
  k.depthwise[kDoubleRounding] = PlainDepthwise<DoubleRounding>;
  k.depthwise[kHalfUp] = PlainDepthwise<HalfUp>;
  k.depthwise[kFloat32Rule] = PlainDepthwise<Float32>;
  k.depthwise[kFloat64Rule] = PlainDepthwise<Float64>;
  k.depthwise[kRndnu] = PlainDepthwise<Rndnu>;
  k.depthwise[kBlocksRule] = PlainDepthwise<Blocks>;
  k.requantize[kDoubleRounding] = PlainRequantize<DoubleRounding>;
  k.requantize[kHalfUp] = PlainRequantize<HalfUp>;
  k.requantize[kFloat32Rule] = PlainRequantize<Float32>;
  k.requantize[kFloat64Rule] = PlainRequantize<Float64>;
  k.requantize[kRndnu] = PlainRequantize<Rndnu>;
  k.add[1] = PlainAddDoubleRounding;
  k.add[2] = PlainAddFixedPoint;
  k.add[3] = PlainAddShiftedFirst;
  k.add[4] = PlainAddShiftedLast;
  k.add[5] = PlainSubtract;
  k.add[6] = PlainSubtractFromSecond;
  k.multiply[kDoubleRounding] = PlainMultiplyDoubleRounding;
  k.multiply[kFloat32Rule] = PlainMultiplyFloat32;
  k.multiply[kRndnu] = PlainMultiplyRndnu;
  k.bilinear[1] = PlainBilinearReference;
  k.bilinear[2] = PlainBilinearFixedPoint;
  k.bilinear[3] = PlainBilinearFloatInTurn;
  k.bilinear[4] = PlainBilinearFloatPaired;
  k.add_products = PlainAddProducts;
  k.add_columns = PlainAddColumns;
  k.average = PlainAverage;
  k.maximum = PlainMaximum;
  k.add_windows = PlainAddWindows;
  k.raise_maxima = PlainRaiseMaxima;
  k.larger = PlainLarger;
  k.smaller = PlainSmaller;
  k.prelu = PlainPrelu;
  k.look_up = PlainLookUp;
  k.quantize[1] = PlainQuantizeDivided;
  k.quantize[2] = PlainQuantizeVectors;
  k.quantize[3] = PlainQuantizeFloat32;
  k.quantize[4] = PlainQuantizeFloat64;
  k.move_pixels = PlainMovePixels;
  return k;
}

constexpr RowKernels kPlainRowKernels = MakePlainRowKernels();

}  // namespace

const RowKernels& PlainRowKernels() { return kPlainRowKernels; }

}  // namespace fmtc::region
