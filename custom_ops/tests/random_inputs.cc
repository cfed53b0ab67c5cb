#include "tests/random_inputs.h"

#include <algorithm>
#include <cmath>

#include "base/bytes.h"
#include "base/features.h"
#include "base/rounding.h"

namespace fmtc::test {
namespace {

void AddSteps(Random* random, SideInfoSpec* spec) {
  const size_t components = spec->classes_of.size();
  const bool fine = Draw(random, 0, 1) != 0;
  spec->step = static_cast<uint16_t>(Draw(random, kLosslessStep, fine ? 64 : static_cast<int32_t>(kMaxStep)));
  if (Draw(random, 0, 1) != 0) return;
  spec->step = 0;  // not used
  for (size_t j = 0; j < components; ++j) {
    const int32_t code = Draw(random, 0, fine ? 32 : static_cast<int32_t>(kMaxStepCode));
    spec->steps.push_back(static_cast<uint16_t>(StepOfCode(static_cast<uint8_t>(code))));
  }
}

void AddCentres(Random* random, SideInfoSpec* spec) {
  spec->centre = static_cast<int8_t>(Draw(random, -128, 127));
  if (Draw(random, 0, 1) != 0) return;
  for (size_t j = 0; j < spec->classes_of.size(); ++j) {
    spec->centres.push_back(static_cast<int8_t>(Draw(random, -128, 127)));
  }
}

// Elements are so small that 32-bit sums hold at every level.
MatrixSpec RandomMatrix(Random* random, size_t rows, size_t columns) {
  MatrixSpec spec;
  spec.shift = static_cast<uint8_t>(Draw(random, 1, 12));
  const int32_t limit = std::min<int32_t>(32767, static_cast<int32_t>(100000 / columns));
  for (size_t i = 0; i < rows * columns; ++i) {
    spec.matrix.push_back(static_cast<int16_t>(Draw(random, -limit, limit)));
  }
  for (size_t i = 0; i < rows; ++i) spec.bias.push_back(Draw(random, -100000, 100000));
  return spec;
}

}  // namespace

int32_t Draw(Random* random, int32_t low, int32_t high) {
  const uint32_t range = static_cast<uint32_t>(high) - static_cast<uint32_t>(low) + 1;
  return static_cast<int32_t>(static_cast<uint32_t>(low) + (*random)() % range);
}

ClassSpec RandomClass(Random* random) {
  ClassSpec spec;
  spec.offset = static_cast<uint8_t>(Draw(random, 0, 255));
  spec.constant = static_cast<uint8_t>(Draw(random, 0, 1) * Draw(random, 0, 255));
  spec.widths = {7, 7};
  const size_t tokens = static_cast<size_t>(Draw(random, 2, kMaxTokens));
  while (spec.widths.size() < tokens) {
    const size_t split = static_cast<size_t>(Draw(random, 0, static_cast<int32_t>(spec.widths.size()) - 1));
    if (spec.widths[split] == 0) continue;
    const uint8_t half = --spec.widths[split];
    spec.widths.insert(spec.widths.begin() + static_cast<long>(split), half);
  }
  spec.counts.assign(tokens, 1);
  const size_t favourite = static_cast<size_t>(Draw(random, 0, static_cast<int32_t>(tokens) - 1));
  const bool skewed = Draw(random, 0, 1) != 0;
  for (size_t left = kNumStates - tokens; left > 0; --left) {
    const size_t t = static_cast<size_t>(Draw(random, 0, static_cast<int32_t>(tokens) - 1));
    ++spec.counts[skewed && Draw(random, 0, 9) != 0 ? favourite : t];
  }
  return spec;
}

// Stores the synthesis matrix in bytes: weights, with a multiplier for each row, on the steps.
void MakeCompact(Random* random, SideInfoSpec* spec) {
  const size_t components = spec->classes_of.size();
  CompactSpec& compact = spec->compact;
  compact.expansion_shift = static_cast<uint8_t>(Draw(random, 22, 40));  // 2^7 * 2^16 * 2^12 / 2^22 fits 16 bits
  for (uint32_t i = 0; i < spec->channels; ++i) {
    compact.multipliers.push_back(static_cast<uint16_t>(Draw(random, 0, 65535)));
  }
  for (size_t i = 0; i < spec->synthesis.matrix.size(); ++i) {
    compact.weights.push_back(static_cast<int8_t>(Draw(random, -128, 127)));
    const int64_t step = spec->steps.empty() ? spec->step : spec->steps[i % components];
    const int64_t scaled = int64_t{compact.weights[i]} * compact.multipliers[i / components] * step;
    const int64_t half = int64_t{1} << (compact.expansion_shift - 1);
    spec->synthesis.matrix[i] = static_cast<int16_t>((scaled + half) >> compact.expansion_shift);
  }
}

void AddContexts(Random* random, int32_t num_classes, int32_t num_tables, SideInfoSpec* spec) {
  for (size_t j = 0; j < spec->classes_of.size(); ++j) {
    spec->contexts.one_sided.push_back(static_cast<uint8_t>(Draw(random, 0, 1)));
  }
  for (int32_t i = 0; i < num_classes * static_cast<int32_t>(kNoRowAbove + 1); ++i) {
    spec->contexts.tables.push_back(static_cast<uint8_t>(Draw(random, 0, num_tables - 1)));
  }
}

template <typename T>
void AppendBytes(T value, std::vector<uint8_t>* bytes) {
  bytes->resize(bytes->size() + sizeof(T));
  Store(bytes->data() + bytes->size() - sizeof(T), value);
}

// Puts a convolution in the place of the synthesis matrix, by any rule.
void MakeConvolution(Random* random, SideInfoSpec* spec) {
  ConvolutionSpec& made = spec->convolution;
  made.rule = static_cast<uint8_t>(Draw(random, kDoubleRounding, kRndnu));
  made.weight_zero = static_cast<int8_t>(Draw(random, 0, 1) * Draw(random, -128, 127));
  made.zero = static_cast<uint8_t>(Draw(random, 0, 255));
  made.low = static_cast<uint8_t>(Draw(random, 0, 100));
  made.high = static_cast<uint8_t>(Draw(random, 50, 255));
  for (size_t i = 0; i < spec->synthesis.matrix.size(); ++i) {
    made.weights.push_back(static_cast<int8_t>(Draw(random, -128, 127)));
  }
  for (uint32_t i = 0; i < spec->channels; ++i) {
    made.biases.push_back(Draw(random, 0, 15) == 0 ? Draw(random, -INT32_MAX, INT32_MAX) : Draw(random, -50000, 50000));
    const int32_t exponent = Draw(random, 0, 15) == 0 ? Draw(random, kMinShift, kMaxShift) : Draw(random, -12, -3);
    const int32_t mantissa = Draw(random, 1 << 30, INT32_MAX);
    const double factor = std::ldexp(mantissa, exponent - 31);
    if (made.rule == kFloat32Rule) {
      AppendBytes(static_cast<float>(factor), &made.multipliers);
    } else if (made.rule == kFloat64Rule) {
      AppendBytes(factor, &made.multipliers);
    } else {
      AppendBytes(Draw(random, 0, 15) == 0 ? 0 : mantissa, &made.multipliers);
      made.shifts.push_back(static_cast<int8_t>(exponent));
    }
  }
  spec->synthesis = {};
}

SideInfoSpec RandomSpec(Random* random, uint32_t channels, Transform transform, uint8_t max_level) {
  if (kSmall && (transform == Transform::kKlt || transform == Transform::kFolded)) transform = Transform::kStep;
  const bool is_matrix = transform == Transform::kKlt || transform == Transform::kFolded;
  const uint32_t components =
      is_matrix ? static_cast<uint32_t>(Draw(random, 1, static_cast<int32_t>(channels))) : channels;
  const int32_t num_classes = Draw(random, 1, static_cast<int32_t>(std::min(components, kMaxClasses)));
  SideInfoSpec spec;
  spec.channels = channels;
  spec.max_level = max_level;
  spec.checksum = Draw(random, 0, 1) != 0;
  if (kHasVersion2 && Draw(random, 0, 3) == 0) spec.segment_rows = static_cast<uint16_t>(Draw(random, 1, 9));
  const bool predicts = Draw(random, 0, 3) != 0;
  for (int32_t j = 0; j < static_cast<int32_t>(components); ++j) {
    spec.classes_of.push_back(static_cast<uint8_t>(j < num_classes ? j : Draw(random, 0, num_classes - 1)));
    spec.predictors.push_back(static_cast<uint8_t>(predicts ? Draw(random, 0, kNumPredictors - 1) : 0));
  }
  const bool has_contexts = kHasVersion2 && Draw(random, 0, 2) == 0;
  const int32_t num_tables = has_contexts ? Draw(random, 1, kMaxClasses) : num_classes;
  for (int32_t t = 0; t < num_tables; ++t) spec.classes.push_back(RandomClass(random));
  if (has_contexts) AddContexts(random, num_classes, num_tables, &spec);
  if (transform != Transform::kKlt) AddCentres(random, &spec);
  if (transform == Transform::kStep || transform == Transform::kFolded) AddSteps(random, &spec);
  if (transform == Transform::kKlt) spec.analysis = RandomMatrix(random, components, channels);
  if (is_matrix) spec.synthesis = RandomMatrix(random, channels, components);
  const int32_t form = transform == Transform::kFolded ? Draw(random, 0, 3) : 0;
  if (form == 1) MakeCompact(random, &spec);
  if (form > 1) MakeConvolution(random, &spec);
  if (transform != Transform::kLossless && Draw(random, 0, 1) != 0) {
    spec.lo = static_cast<int8_t>(Draw(random, -128, 0));
    spec.hi = static_cast<int8_t>(Draw(random, 0, 127));
  }
  return spec;
}

std::vector<uint8_t> RandomMap(Random* random, size_t values) {
  std::vector<uint8_t> map(values);
  const int32_t kind = Draw(random, 0, 4);
  const int32_t usual = Draw(random, 0, 255);
  int32_t smooth = usual;
  for (uint8_t& value : map) {
    const int32_t noise = Draw(random, 0, 255);
    smooth += noise % 3 - 1;
    const int32_t choices[] = {noise, usual, noise % 2 * 255, noise < 8 ? Draw(random, 0, 255) : usual, smooth};
    value = static_cast<uint8_t>(choices[kind]);
  }
  return map;
}

}  // namespace fmtc::test
