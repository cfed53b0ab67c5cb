// The kinds that the executor for microcontrollers has, or those of them that its build asks for.
#include "micro/kernels.h"
#include "region/kind.h"

namespace fmtc::region {

namespace {

struct Entry {
  uint8_t number;
  const Kind* kind;
};

constexpr Entry kAll[] = {
    {kConv, &kConvKind},
    {kDepthwise, &kDepthwiseKind},
    {kAdd, &kAddKind},
    {kCopy, &kCopyKind},
    {kFullyConnected, &kFullyConnectedKind},
    {kTable, &kTableKind},
    {kQuantize, &kQuantizeKind},
    {kMean, &kMeanKind},
    {kAveragePool, &kAveragePoolKind},
    {kMaxPool, &kMaxPoolKind},
    {kPad, &kPadKind},
    {kSlice, &kSliceKind},
    {kTranspose, &kTransposeKind},
    {kConcatenation, &kConcatenationKind},
    {kDequantize, &kDequantizeKind},
    {kSoftmax, &kSoftmaxKind},
};

constexpr size_t CountKinds() {
  size_t count = 0;
  for (const Entry& entry : kAll) count += HasKind(entry.number);
  return count;
}

// To what the build lacks nothing refers, so that the linker leaves it out.
struct Entries {
  constexpr Entries() {
    size_t i = 0;
    for (const Entry& entry : kAll) {
      if (HasKind(entry.number)) of[i++] = entry;
    }
  }

  Entry of[CountKinds()] = {};
};
constexpr Entries kEntries;

}  // namespace

FMTC_SELDOM const Kind* FindKind(uint8_t number) {
  for (const Entry& entry : kEntries.of) {
    if (entry.number == number) return entry.kind;
  }
  return nullptr;
}

}  // namespace fmtc::region
