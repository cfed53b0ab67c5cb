// How many lanes encoders put at a time.
#ifndef FMTC_CODEC_KERNELS_UNIT_SIZE_H_
#define FMTC_CODEC_KERNELS_UNIT_SIZE_H_

#include <cstdint>

#include "codec/tables.h"

namespace fmtc {

enum class UnitSize { k32Lanes, k16Lanes, k8Lanes };

// From the bits that each state writes: a step is expected to have as many as all states together. With these limits
// units nearly always fit a writer; a branch that often goes the other way costs more than smaller units.
inline UnitSize ChooseUnitSize(const uint8_t* bits_of_states) {
  uint32_t bits = 0;
  for (uint32_t p = 0; p < kNumStates; ++p) bits += bits_of_states[p];
  return bits <= 64 ? UnitSize::k32Lanes : bits <= 172 ? UnitSize::k16Lanes : UnitSize::k8Lanes;
}

}  // namespace fmtc

#endif  // FMTC_CODEC_KERNELS_UNIT_SIZE_H_
