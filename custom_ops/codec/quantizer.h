// The step quantizer in exact 16-bit arithmetic (FORMAT.md section 4.1).
#ifndef FMTC_CODEC_QUANTIZER_H_
#define FMTC_CODEC_QUANTIZER_H_

#include <cstddef>
#include <cstdint>

#include "base/layout.h"

namespace fmtc {

struct SideInfo;

// From this step on every index is 0, since 16 * 255 + step / 2 < step.
constexpr uint32_t kFirstEmptyStep = 8161;

// Division by a step: floor(n / step) = (n * factor >> 16) * scale >> 16 for n < 2^15 and step >= 16. With t the
// largest integer for which 2^t < step, the factor is 2^(16 + t) / step rounded up, so that it is too large by less
// than 1, and the error of n * factor less than 2^15 < 2^(16 + t) / step; scale is 2^(16 - t). Both are 0 where all
// indices are.
struct StepDivisor {
  uint16_t factor, scale;
};
StepDivisor MakeStepDivisor(uint32_t step);

// Q(d) = sgn(d) * floor((16 |d| + floor(step / 2)) / step) for |d| <= 255; `half` is floor(step / 2) modulo 2^16.
inline int32_t QuantizeDifference(int32_t d, uint16_t half, StepDivisor divisor) {
  const uint32_t magnitude = static_cast<uint32_t>(d < 0 ? -d : d);
  const uint32_t n = (16 * magnitude + half) & 0xFFFF;
  const int32_t index = static_cast<int32_t>((n * divisor.factor >> 16) * divisor.scale >> 16);
  return d < 0 ? -index : index;
}

// Columns at one level, of StepColumns(components) entries each: where there are fewer components than a vector has
// lanes, they repeat, as the components of a row of pixels do.
//
// With u = min(index + zero, range) in bytes, which lifts and limits an index as FORMAT.md section 4.1 demands, the
// value is base + ((u * step + rounding) >> 4), where rounding is one more from u = zero on. Its sum never leaves 16
// bits: index times step is at most 16 * 255 + step / 2. A step above kMaxStep may count as kMaxStep: its indices other
// than 0 are 1 and -1, whose values are beyond the limits with both.
//
// So that one multiplication does all that, the fractions stand for the rounding: the value is also
// base + ((256 u + fraction) * 16 step >> 16), if `has_fractions`; all steps up to 256 have them, and multiples of 16.
struct StepTables {
  int16_t* centres;
  uint16_t* halves;
  uint16_t* factors;
  uint16_t* scales;
  uint16_t* steps;           // 0 where all indices are
  int16_t* bases;            // the value of the smallest index, plus 128 and before rounding
  uint8_t* zeros;            // how many indices are negative
  uint8_t* ranges;           // the largest index less the smallest one
  uint8_t* roundings;        // 0 ... 15
  uint8_t* fractions_below;  // for u < zero
  uint8_t* fractions_above;
  bool has_fractions;
};

// The largest number of lanes of any processor's vectors of bytes.
constexpr uint32_t kMaxVectorBytes = 64;

// Whole pixels, and at least as many components as a vector has lanes.
constexpr uint32_t StepColumns(uint32_t components) {
  return components >= kMaxVectorBytes ? components : (kMaxVectorBytes + components - 1) / components * components;
}

// Takes the columns' memory.
void LayOutStepTables(uint32_t components, Layout* layout, StepTables* tables);

// Fills columns that have memory.
void BuildStepTables(const SideInfo& info, uint32_t level, StepTables* tables);

}  // namespace fmtc

#endif  // FMTC_CODEC_QUANTIZER_H_
