// The kinds that the executor for microcontrollers has, or those of them that its build asks for.
#include "micro/kernels.h"
#include "region/kind.h"

namespace fmtc::region {

namespace {

// Where the build lacks the kind, nothing refers to it, so that the linker leaves it out.
template <uint8_t kNumber>
const Kind* KindIf(const Kind& kind) {
  if constexpr (HasKind(kNumber)) return &kind;
  return nullptr;
}

}  // namespace

const Kind* FindKind(uint8_t number) {
  switch (number) {
    case kConv:
      return KindIf<kConv>(kConvKind);
    case kDepthwise:
      return KindIf<kDepthwise>(kDepthwiseKind);
    case kFullyConnected:
      return KindIf<kFullyConnected>(kFullyConnectedKind);
    case kTable:
      return KindIf<kTable>(kTableKind);
    case kQuantize:
      return KindIf<kQuantize>(kQuantizeKind);
    case kAdd:
      return KindIf<kAdd>(kAddKind);
    case kMean:
      return KindIf<kMean>(kMeanKind);
    case kAveragePool:
      return KindIf<kAveragePool>(kAveragePoolKind);
    case kMaxPool:
      return KindIf<kMaxPool>(kMaxPoolKind);
    case kPad:
      return KindIf<kPad>(kPadKind);
    case kSlice:
      return KindIf<kSlice>(kSliceKind);
    case kTranspose:
      return KindIf<kTranspose>(kTransposeKind);
    case kConcatenation:
      return KindIf<kConcatenation>(kConcatenationKind);
    case kCopy:
      return KindIf<kCopy>(kCopyKind);
    case kDequantize:
      return KindIf<kDequantize>(kDequantizeKind);
    case kSoftmax:
      return KindIf<kSoftmax>(kSoftmaxKind);
    default:
      return nullptr;
  }
}

}  // namespace fmtc::region
