// The step quantizer in exact 16-bit arithmetic (FORMAT.md section 4.1).
#ifndef FMTC_CORE_QUANTIZER_H_
#define FMTC_CORE_QUANTIZER_H_

#include <cstddef>
#include <cstdint>

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

// Columns of [components] each, at one level.
struct StepTables {
  const int16_t* centres;
  const uint16_t* halves;
  const uint16_t* factors;
  const uint16_t* scales;
  const int16_t* steps;     // 0 where all indices are
  const int16_t* smallest;  // index
  const int16_t* largest;   // index
};

size_t StepTablesBytes(uint32_t components);
void BuildStepTables(const SideInfo& info, uint32_t level, uint8_t* memory, StepTables* tables);

}  // namespace fmtc

#endif  // FMTC_CORE_QUANTIZER_H_
