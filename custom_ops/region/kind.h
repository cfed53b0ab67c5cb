// What an op of a kind is to the checker and to the executor. Nobody else asks for the kind.
#ifndef FMTC_REGION_KIND_H_
#define FMTC_REGION_KIND_H_

#include "region/kernels.h"
#include "region/program.h"
#include "region/rows.h"

namespace fmtc::region {

// Inputs that an op may have, so that checking a program takes time in proportion to its bytes.
constexpr uint16_t kMaxInputs = 256;

// What most kinds do: step y reads row y and writes row y, and column x needs column x.
inline bool Never(const OpView&) { return false; }
inline Range SameRow(const OpView&, int, int32_t step) { return {step, step + 1}; }
inline Range SameColumns(const OpView&, int, Range columns) { return columns; }

// What kinds do that add up whole rows.
inline bool Always(const OpView&) { return true; }
inline Range AllColumns(const OpView& op, int operand, Range) {
  return {0, static_cast<int32_t>(op.input(operand).width)};
}

// What kinds of two operands do, of which a row, a column or a channel may serve all of the output's.
inline Range SameOrOnlyRow(const OpView& op, int operand, int32_t step) {
  return op.input(operand).height == 1 ? Range{0, 1} : Range{step, step + 1};
}
inline Range SameOrOnlyColumns(const OpView& op, int operand, Range columns) {
  return op.input(operand).width == 1 ? Range{0, 1} : columns;
}

struct Kind {
  uint32_t parameter_bytes = 0;
  uint16_t min_inputs = 1, max_inputs = 1;

  // Whether rule, parameters, arrays, shapes, types, places and memory are what the functions below rely on. The
  // records themselves are sound.
  Status (*check)(const OpView& op) = nullptr;
  // Whether step y adds row y of the only input, and the last step writes the only row.
  bool (*accumulates)(const OpView& op) = Never;
  // Whether a step finds in the op's own memory what the step before left there.
  bool (*keeps_memory)(const OpView& op) = nullptr;  // null: an op that accumulates does
  // Rows of an input that a step reads.
  Range (*rows)(const OpView& op, int operand, int32_t step) = SameRow;
  // Columns of an input that columns of the output need; beyond the input where the op reads padding columns.
  Range (*columns)(const OpView& op, int operand, Range columns) = SameColumns;
  // Whether the op can compute a part of the output's channels, whole blocks of kChannelBlock; and whether that takes
  // the same channels of its inputs only.
  bool (*splits_channels)(const OpView& op) = Never;
  bool keeps_channels = false;
  // Multiply-adds for a whole output.
  uint64_t (*macs)(const OpView& op) = nullptr;
  // What of a convolution's rows is the same at every step; the op has been checked.
  void (*prepare)(const OpView& op, PreparedRow* row) = nullptr;
  // Gives the op, which has been checked, its codec.
  Status (*bind)(const OpView& op, const State& state, CodecBuilder* builder, OpFacts* facts) = nullptr;
  void (*run)(const OpView& op, const RowAccess& access, const RowKernels& kernels, int32_t step) = nullptr;
  // Bytes of an output's pixel that hold something; null: all of its values.
  size_t (*pixel_bytes)(const uint8_t* pixel) = nullptr;
};

extern const Kind kConvKind, kDepthwiseKind, kFullyConnectedKind;
extern const Kind kTableKind, kQuantizeKind, kAddKind, kCopyKind, kDequantizeKind;
extern const Kind kMultiplyKind, kExtremumKind, kPreluKind;
extern const Kind kMeanKind, kAveragePoolKind, kMaxPoolKind;
extern const Kind kPadKind, kSliceKind, kTransposeKind, kConcatenationKind;
extern const Kind kResizeBilinearKind, kResizeNearestKind;
extern const Kind kTransposeConvKind, kMirrorPadKind, kDepthToSpaceKind, kSpaceToDepthKind;
extern const Kind kArgMaxKind, kArgMaxPlacesKind, kBinaryKind, kUnaryKind, kCastKind;
extern const Kind kEncodeKind, kDecodeKind;
extern const Kind kSoftmaxKind;

// Null if there is none of this number.
const Kind* FindKind(uint8_t number);

inline bool KeepsMemory(const OpView& op, const Kind& kind) {
  return kind.keeps_memory != nullptr ? kind.keeps_memory(op) : kind.accumulates(op);
}

FMTC_SELDOM FMTC_ONE_COPY inline int32_t NumSteps(const OpView& op, const Kind& kind) {
  return static_cast<int32_t>(kind.accumulates(op) ? op.input(0).height : op.output().height);
}

// Rows of an input that a step is the first one to read: no step reads rows above those of the step before.
inline Range NewRows(const OpView& op, const Kind& kind, int operand, int32_t step) {
  Range rows = kind.rows(op, operand, step);
  if (step == 0) return rows;
  const int32_t known = kind.rows(op, operand, step - 1).end;
  if (rows.first < known) rows.first = known;
  return rows;
}

inline Status ValidIf(bool valid) { return valid ? Status::kOk : Status::kProgramInvalid; }

FMTC_SELDOM FMTC_ONE_COPY inline bool IsScratch8Bit(const TensorRecord& tensor) {
  return tensor.place == kScratch && Is8Bit(tensor);
}

FMTC_SELDOM FMTC_ONE_COPY inline bool HasShape(const TensorRecord& a, const TensorRecord& b) {
  return a.height == b.height && a.width == b.width && a.channels == b.channels;
}

// Whether a second operand has a row and a column for each of the output's, or one that serves all of them.
inline bool ServesRowsAndColumns(const TensorRecord& operand, const TensorRecord& output) {
  return (operand.height == output.height || operand.height == 1) &&
         (operand.width == output.width || operand.width == 1);
}

template <size_t kCount, typename T>
bool AreZero(const T (&values)[kCount]) {
  for (const T& value : values) {
    if (value != 0) return false;
  }
  return true;
}

inline bool IsRuleOne(const OpView& op) { return op.op->rule == 1; }

// Whether the op's rule is one of 1 to `last` and this build has it.
inline bool IsRule(const OpView& op, uint8_t last) {
  return kHasAllRules ? op.op->rule >= 1 && op.op->rule <= last : IsRuleOne(op);
}

// Clipped to an axis of so many rows or columns; where nothing is left, its nearest row or column.
FMTC_SELDOM FMTC_ONE_COPY inline Range NearestInside(int64_t first, int64_t end, uint32_t size) {
  const int64_t last = int64_t{size} - 1;
  const int64_t from = first < 0 ? 0 : (first > last ? last : first);
  const int64_t to = end - 1 > last ? last : (end - 1 < from ? from : end - 1);
  return {static_cast<int32_t>(from), static_cast<int32_t>(to + 1)};
}

inline uint64_t PaddedTo16(uint64_t channels) { return (channels + 15) / 16 * 16; }

}  // namespace fmtc::region

#endif  // FMTC_REGION_KIND_H_
