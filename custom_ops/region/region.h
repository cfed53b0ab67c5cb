// Runs a checked program (REGION.md). It allocates nothing and decides nothing.
#ifndef FMTC_REGION_REGION_H_
#define FMTC_REGION_REGION_H_

#include <cstddef>
#include <cstdint>

#include "region/kernels.h"
#include "region/program.h"

namespace fmtc::region {

constexpr size_t kScratchAlignment = 16;

// What a run tells about its inside. Pointers may be null.
struct Trace {
  // For each tensor of the program, null or memory for a dense batch item: gets the tensor's values, of the last item,
  // as its own type has them.
  uint8_t* const* tensors;
  // For each op, the clock's ticks in its steps and the bytes that they wrote are added.
  uint64_t* ticks;
  uint64_t* bytes_written;
  uint64_t (*clock)();
};

struct RunArguments {
  const uint8_t* const* inputs;  // `batch` dense items each, one after another
  uint8_t* const* outputs;
  int32_t batch;
  uint8_t* scratch;    // header.scratch_bytes at a multiple of kScratchAlignment; overlaps no input or output
  const Trace* trace;  // or null
};

// `state` comes from CheckProgram and is reused from run to run. Not thread-safe for one state or scratch. Fails with
// kStreamCorrupt, everything done, where what a program decodes is not what it encoded: it has put something over that.
Status Run(const Program& program, const RowKernels& kernels, const RunArguments& arguments, State* state);

}  // namespace fmtc::region

#endif  // FMTC_REGION_REGION_H_
