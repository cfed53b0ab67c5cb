#include "region/kind.h"

namespace fmtc::region {

const Kind* FindKind(uint8_t number) {
  switch (number) {
    case kConv:
      return &kConvKind;
    case kDepthwise:
      return &kDepthwiseKind;
    case kFullyConnected:
      return &kFullyConnectedKind;
    case kTable:
      return &kTableKind;
    case kQuantize:
      return &kQuantizeKind;
    case kAdd:
      return &kAddKind;
    case kMean:
      return &kMeanKind;
    case kAveragePool:
      return &kAveragePoolKind;
    case kMaxPool:
      return &kMaxPoolKind;
    case kPad:
      return &kPadKind;
    case kSlice:
      return &kSliceKind;
    case kTranspose:
      return &kTransposeKind;
    case kConcatenation:
      return &kConcatenationKind;
    case kResizeBilinear:
      return &kResizeBilinearKind;
    case kResizeNearest:
      return &kResizeNearestKind;
    case kCopy:
      return &kCopyKind;
    case kDequantize:
      return &kDequantizeKind;
    case kMultiply:
      return &kMultiplyKind;
    case kExtremum:
      return &kExtremumKind;
    case kPrelu:
      return &kPreluKind;
    // Values that move, and transposed convolution.
    case kTransposeConv:
      return &kTransposeConvKind;
    case kMirrorPad:
      return &kMirrorPadKind;
    case kDepthToSpace:
      return &kDepthToSpaceKind;
    case kSpaceToDepth:
      return &kSpaceToDepthKind;
    case kArgMax:
      return &kArgMaxKind;
    case kBinary:
      return &kBinaryKind;
    case kUnary:
      return &kUnaryKind;
    case kCast:
      return &kCastKind;
    case kArgMaxPlaces:
      return &kArgMaxPlacesKind;
    case kEncode:
      return &kEncodeKind;
    case kDecode:
      return &kDecodeKind;
    case kSoftmax:
      return &kSoftmaxKind;
    default:
      return nullptr;
  }
}

}  // namespace fmtc::region
