// The memory that the parts of a team have of their own, and what they copy from one another.
//
// Processors pass memory on in lines of 64 bytes, and read some lines ahead. Where threads wrote parts of one row, they
// would take most of its lines from one another at every step; so each has rings of its own and copies the columns
// beside its own ones, once.
#ifndef FMTC_REGION_HALO_H_
#define FMTC_REGION_HALO_H_

#include <cstdint>

#include "region/kind.h"
#include "region/rows.h"
#include "region/sections.h"

namespace fmtc::region {

// Columns of a row with the padding columns that are written with them.
inline Range WithPadding(const TensorRecord& tensor, Range columns) {
  const int32_t width = static_cast<int32_t>(tensor.width);
  if (columns.first == 0) columns.first = -int32_t{tensor.left};
  if (columns.end == width) columns.end = width + int32_t{tensor.right};
  return columns;
}

// Marks the tensors that are read in the sections only that write them. The program has been checked.
void FindPrivateTensors(const Program& program, const Sections& sections, State* state);

// Columns of access.share for which a step reads nothing that other parts write in this pass.
Range InnerColumns(const OpView& op, const Kind& kind, const RowAccess& access, int part, int parts);

// Copies what a step needs of private tensors' rows and other parts have written; access.share is the step's.
// `scratches` are the parts' private ones, the `part`th one is access.private_scratch.
void FetchHalo(const OpView& op, const Kind& kind, int32_t step, const RowAccess& access, int part, int parts,
               const uint8_t* const* scratches);

}  // namespace fmtc::region

#endif  // FMTC_REGION_HALO_H_
