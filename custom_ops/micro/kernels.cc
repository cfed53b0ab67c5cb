#include "micro/kernels.h"

#include "region/plain_kernels.h"

namespace fmtc::region {
namespace {

constexpr RowKernels MakeMicroRowKernels() {
  RowKernels k{};
  if (HasKind(kConv)) k.conv[kDoubleRounding] = MicroConv;
  if (HasKind(kDepthwise)) k.depthwise[kDoubleRounding] = MicroDepthwise;
  if (HasKind(kFullyConnected)) {
    k.requantize[kDoubleRounding] = PlainRequantize<DoubleRounding>;
    k.add_products = MicroAddProducts;
  }
  if (HasKind(kAdd)) k.add[1] = MicroAdd;
  if (HasKind(kMean)) k.add_columns = PlainAddColumns;
  if (HasKind(kAveragePool)) {
    k.average = PlainAverage;
    k.add_windows = PlainAddWindows;
  }
  if (HasKind(kMaxPool)) {
    k.maximum = PlainMaximum;
    k.raise_maxima = PlainRaiseMaxima;
  }
  if (HasKind(kTable)) k.look_up = PlainLookUp;
  if (HasKind(kQuantize)) k.quantize[1] = PlainQuantizeDivided;
  k.move_pixels = PlainMovePixels;
  return k;
}

constexpr RowKernels kMicroRowKernels = MakeMicroRowKernels();

}  // namespace

const RowKernels& MicroRowKernels() { return kMicroRowKernels; }

}  // namespace fmtc::region
