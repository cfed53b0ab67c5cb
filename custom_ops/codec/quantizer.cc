#include "codec/quantizer.h"

#include "base/bytes.h"
#include "codec/side_info.h"

namespace fmtc {
namespace {

// A byte t for which (256 u + t) * 16 step >> 16 is (u * step + rounding) >> 4, or -1. t * step, in units of 2^-12, has
// to be at least the rounding, in units of 2^-4, and less than one of those above it. Multiples of 16 leave no fraction
// to be careful about.
int32_t FindFraction(uint32_t step, uint32_t rounding) {
  if (step % 16 == 0) return 0;
  const uint32_t t = (256 * rounding + step - 1) / step;
  return t <= 255 && t * step < 256 * (rounding + 1) ? static_cast<int32_t>(t) : -1;
}

// The entries of one component.
struct StepEntry {
  uint32_t its_step = 0;  // before it is limited; 0 in an entry that was not made
  int16_t centre, base;
  uint16_t half, step;
  StepDivisor divisor;
  uint8_t zero, range, rounding, fraction_below, fraction_above;
  bool has_fractions;

  StepEntry() = default;
  StepEntry(int32_t its_centre, uint32_t whole_step)
      : its_step(whole_step),
        centre(static_cast<int16_t>(its_centre)),
        half(static_cast<uint16_t>(whole_step / 2)),
        step(static_cast<uint16_t>(whole_step < kMaxStep          ? whole_step
                                   : whole_step < kFirstEmptyStep ? kMaxStep
                                                                  : 0)),
        divisor(MakeStepDivisor(whole_step)) {
    const int32_t smallest = QuantizeDifference(-128 - its_centre, half, divisor);
    zero = static_cast<uint8_t>(-smallest);
    range = static_cast<uint8_t>(QuantizeDifference(127 - its_centre, half, divisor) - smallest);
    // In units of 1/16, with half a unit to round, less the least one where an index is negative: halves round away
    // from zero.
    const int32_t begin = smallest * int32_t{step} + 7;
    base = static_cast<int16_t>((begin >> 4) + its_centre + 128);
    rounding = static_cast<uint8_t>(begin & 15);
    const int32_t below = FindFraction(step, rounding);
    const int32_t above = FindFraction(step, rounding + 1u);
    fraction_below = static_cast<uint8_t>(below);
    fraction_above = static_cast<uint8_t>(above);
    has_fractions = below >= 0 && above >= 0;
  }
};

// Makes each entry once, as far as they differ by their steps only: components share few of those.
class StepEntries {
 public:
  const StepEntry& Of(int32_t centre, uint32_t step) {
    StepEntry* const entry = &entries_[(step ^ step >> 7) % kPlaces];
    if (entry->its_step != step || entry->centre != centre) *entry = StepEntry(centre, step);
    return *entry;
  }

 private:
  static constexpr uint32_t kPlaces = 128;
  StepEntry entries_[kPlaces];
};

}  // namespace

StepDivisor MakeStepDivisor(uint32_t step) {
  if (step >= kFirstEmptyStep) return {0, 0};
  const uint32_t t = 31u - static_cast<uint32_t>(__builtin_clz(step - 1));
  return {static_cast<uint16_t>(((uint32_t{1} << (16 + t)) + step - 1) / step), static_cast<uint16_t>(1u << (16 - t))};
}

size_t StepTablesBytes(uint32_t components) {
  const size_t columns = StepColumns(components);
  return 6 * MemoryCarver::PieceBytes(sizeof(int16_t) * columns) + 5 * MemoryCarver::PieceBytes(columns);
}

void BuildStepTables(const SideInfo& info, uint32_t level, uint8_t* memory, StepTables* tables) {
  const uint32_t columns = StepColumns(info.components);
  MemoryCarver carver(memory);
  int16_t* const centres = carver.Take<int16_t>(columns);
  uint16_t* const halves = carver.Take<uint16_t>(columns);
  uint16_t* const factors = carver.Take<uint16_t>(columns);
  uint16_t* const scales = carver.Take<uint16_t>(columns);
  uint16_t* const steps = carver.Take<uint16_t>(columns);
  int16_t* const bases = carver.Take<int16_t>(columns);
  uint8_t* const zeros = carver.Take<uint8_t>(columns);
  uint8_t* const ranges = carver.Take<uint8_t>(columns);
  uint8_t* const roundings = carver.Take<uint8_t>(columns);
  uint8_t* const fractions_below = carver.Take<uint8_t>(columns);
  uint8_t* const fractions_above = carver.Take<uint8_t>(columns);
  bool has_fractions = true;
  StepEntries entries;
  for (uint32_t column = 0; column < columns; ++column) {
    const uint32_t j = column % info.components;
    const StepEntry& entry = entries.Of(info.ComponentCentre(j), info.ComponentStep(j) << level);
    centres[column] = entry.centre;
    halves[column] = entry.half;
    factors[column] = entry.divisor.factor;
    scales[column] = entry.divisor.scale;
    steps[column] = entry.step;
    bases[column] = entry.base;
    zeros[column] = entry.zero;
    ranges[column] = entry.range;
    roundings[column] = entry.rounding;
    fractions_below[column] = entry.fraction_below;
    fractions_above[column] = entry.fraction_above;
    has_fractions &= entry.has_fractions;
  }
  *tables = {centres, halves, factors,   scales,          steps,           bases,
             zeros,   ranges, roundings, fractions_below, fractions_above, has_fractions};
}

}  // namespace fmtc
