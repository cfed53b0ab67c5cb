// What a processor could multiply at best.
#ifndef FMTC_BENCH_PEAK_H_
#define FMTC_BENCH_PEAK_H_

#include <cstdint>

#include "cpu/levels.h"

namespace fmtc::bench {

// Multiplies and adds 8-bit values (16-bit ones where the level has no instruction for 8) in registers only, in so many
// turns. Returns the number of multiply-accumulates.
uint64_t MultiplyInRegisters(CpuLevel level, int64_t turns);

}  // namespace fmtc::bench

#endif  // FMTC_BENCH_PEAK_H_
