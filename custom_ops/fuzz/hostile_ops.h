// Hostile graphs of FMTC_ENCODE and FMTC_DECODE in the fake runtime.
#ifndef FMTC_FUZZ_HOSTILE_OPS_H_
#define FMTC_FUZZ_HOSTILE_OPS_H_

#include "fuzz/choices.h"
#include "fuzz/fuzz_case.h"

namespace fmtc::fuzz {

// Builds the case's graph with these options, damages its side information, nodes, tensors and memory, and prepares and
// invokes it again and again, with other batches, too. It is refused with one line, or runs; undamaged, it runs and
// decodes what it encoded. Whether it ran.
bool RunOps(const FuzzCase& c, Choices choices, const Bytes& options);

}  // namespace fmtc::fuzz

#endif  // FMTC_FUZZ_HOSTILE_OPS_H_
