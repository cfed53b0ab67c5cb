// What an op of a kind is to the checker and to the executor. Nobody else asks for the kind.
#ifndef FMTC_REGION_KIND_H_
#define FMTC_REGION_KIND_H_

#include "region/kernels.h"
#include "region/program.h"
#include "region/rows.h"

namespace fmtc::region {

struct Kind {
  const char* name;
  uint32_t parameter_bytes;
  uint16_t min_inputs, max_inputs;
  bool accumulates;  // step y adds row y of the only input, the last step writes the only row

  // Parameters, arrays, shapes, types, memory: all that the functions below rely on. The records themselves are sound.
  Status (*check)(const OpView& op);
  // Rows of an input that a step reads, in the tensor.
  Range (*rows)(const OpView& op, int operand, int32_t step);
  // Columns of an input that columns of the output need. They may lie in the padding columns that the tensor has.
  Range (*columns)(const OpView& op, int operand, Range columns);
  void (*run)(const OpView& op, const RowAccess& rows, const RowKernels& kernels, int32_t step);
};

// Null if there is none of this number.
const Kind* FindKind(uint8_t number);

inline int32_t NumSteps(const OpView& op, const Kind& kind) {
  return static_cast<int32_t>(kind.accumulates ? op.input(0).height : op.output().height);
}

}  // namespace fmtc::region

#endif  // FMTC_REGION_KIND_H_
