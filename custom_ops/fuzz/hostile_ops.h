// Hostile graphs of the ops in the fake runtime.
#ifndef FMTC_FUZZ_HOSTILE_OPS_H_
#define FMTC_FUZZ_HOSTILE_OPS_H_

#include "fuzz/choices.h"
#include "fuzz/fuzz_case.h"

namespace fmtc::fuzz {

// These build the case's graph, damage its constants, nodes, tensors and memory, and prepare and invoke it again and
// again, with other batches, too. It is refused with one line, or runs; undamaged, it runs and gives what the codec and
// the region give without ops. Whether it ran.
bool RunCodecOps(const FuzzCase& c, Choices choices, const Bytes& options);
bool RunRegionOp(const FuzzCase& c, Choices choices);

}  // namespace fmtc::fuzz

#endif  // FMTC_FUZZ_HOSTILE_OPS_H_
