#include "codec/quantizer.h"

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

void LayOutStepTables(uint32_t components, Layout* layout, StepTables* tables) {
  const uint32_t columns = StepColumns(components);
  tables->centres = layout->Take<int16_t>(columns);
  tables->halves = layout->Take<uint16_t>(columns);
  tables->factors = layout->Take<uint16_t>(columns);
  tables->scales = layout->Take<uint16_t>(columns);
  tables->steps = layout->Take<uint16_t>(columns);
  tables->bases = layout->Take<int16_t>(columns);
  tables->zeros = layout->Take<uint8_t>(columns);
  tables->ranges = layout->Take<uint8_t>(columns);
  tables->roundings = layout->Take<uint8_t>(columns);
  tables->fractions_below = layout->Take<uint8_t>(columns);
  tables->fractions_above = layout->Take<uint8_t>(columns);
}

void BuildStepTables(const SideInfo& info, uint32_t level, StepTables* its_tables) {
  StepTables tables = *its_tables;
  tables.has_fractions = true;
  StepEntries entries;
  for (uint32_t column = 0; column < StepColumns(info.components); ++column) {
    const uint32_t j = column % info.components;
    const StepEntry& entry = entries.Of(info.ComponentCentre(j), info.ComponentStep(j) << level);
    tables.centres[column] = entry.centre;
    tables.halves[column] = entry.half;
    tables.factors[column] = entry.divisor.factor;
    tables.scales[column] = entry.divisor.scale;
    tables.steps[column] = entry.step;
    tables.bases[column] = entry.base;
    tables.zeros[column] = entry.zero;
    tables.ranges[column] = entry.range;
    tables.roundings[column] = entry.rounding;
    tables.fractions_below[column] = entry.fraction_below;
    tables.fractions_above[column] = entry.fraction_above;
    tables.has_fractions &= entry.has_fractions;
  }
  *its_tables = tables;
}

}  // namespace fmtc
