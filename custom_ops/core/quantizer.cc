#include "core/quantizer.h"

#include "core/bytes.h"
#include "core/side_info.h"

namespace fmtc {

StepDivisor MakeStepDivisor(uint32_t step) {
  if (step >= kFirstEmptyStep) return {0, 0};
  const uint32_t t = 31u - static_cast<uint32_t>(__builtin_clz(step - 1));
  return {static_cast<uint16_t>(((uint32_t{1} << (16 + t)) + step - 1) / step), static_cast<uint16_t>(1u << (16 - t))};
}

size_t StepTablesBytes(uint32_t components) { return 7 * MemoryCarver::PieceBytes(sizeof(int16_t) * components); }

void BuildStepTables(const SideInfo& info, uint32_t level, uint8_t* memory, StepTables* tables) {
  MemoryCarver carver(memory);
  int16_t* const centres = carver.Take<int16_t>(info.components);
  uint16_t* const halves = carver.Take<uint16_t>(info.components);
  uint16_t* const factors = carver.Take<uint16_t>(info.components);
  uint16_t* const scales = carver.Take<uint16_t>(info.components);
  int16_t* const steps = carver.Take<int16_t>(info.components);
  int16_t* const smallest = carver.Take<int16_t>(info.components);
  int16_t* const largest = carver.Take<int16_t>(info.components);
  uint32_t step = 0;
  StepDivisor divisor{};
  for (uint32_t j = 0; j < info.components; ++j) {
    const uint32_t step_before = step;
    step = info.ComponentStep(j) << level;
    const int32_t centre = info.ComponentCentre(j);
    if (step != step_before) divisor = MakeStepDivisor(step);
    const uint16_t half = static_cast<uint16_t>(step / 2);
    centres[j] = static_cast<int16_t>(centre);
    halves[j] = half;
    factors[j] = divisor.factor;
    scales[j] = divisor.scale;
    steps[j] = static_cast<int16_t>(step < kFirstEmptyStep ? step : 0);
    smallest[j] = static_cast<int16_t>(QuantizeDifference(-128 - centre, half, divisor));
    largest[j] = static_cast<int16_t>(QuantizeDifference(127 - centre, half, divisor));
  }
  *tables = {centres, halves, factors, scales, steps, smallest, largest};
}

}  // namespace fmtc
