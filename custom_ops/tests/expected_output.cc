#include "tests/expected_output.h"

#include <algorithm>
#include <cstdlib>

#include "base/bytes.h"
#include "base/rounding.h"

namespace fmtc::test {
namespace {

using Pixel = std::vector<int64_t>;

int64_t CentreOf(const SideInfoSpec& spec, size_t j) { return spec.centres.empty() ? spec.centre : spec.centres[j]; }
int64_t StepOf(const SideInfoSpec& spec, size_t j) { return spec.steps.empty() ? spec.step : spec.steps[j]; }

int64_t Quantize(int64_t d, int64_t step) {
  const int64_t index = (16 * std::abs(d) + step / 2) / step;
  return d < 0 ? -index : index;
}

int64_t Row(const MatrixSpec& spec, size_t row, const Pixel& input) {
  int64_t sum = spec.bias[row];
  for (size_t i = 0; i < input.size(); ++i) sum += spec.matrix[row * input.size() + i] * input[i];
  return sum;
}

// Rounds half up.
int64_t ShiftDown(int64_t value, uint32_t shift) { return (value + (int64_t{1} << (shift - 1))) >> shift; }

Pixel Analyze(const SideInfoSpec& spec, uint32_t level, const Pixel& q) {
  Pixel k(spec.classes_of.size());
  for (size_t j = 0; j < k.size(); ++j) {
    if (spec.analysis.matrix.empty()) {
      k[j] = Quantize(q[j] - CentreOf(spec, j), StepOf(spec, j) << level);
    } else {
      k[j] = std::clamp<int64_t>(ShiftDown(Row(spec.analysis, j, q), spec.analysis.shift + level), -128, 127);
    }
  }
  return k;
}

int64_t Requantized(const ConvolutionSpec& spec, int32_t sum, size_t i) {
  const uint8_t* const multiplier = spec.multipliers.data() + i * (spec.rule == kFloat64Rule ? 8 : 4);
  if (spec.rule == kFloat32Rule) return MultiplyFloat32(sum, Load<float>(multiplier));
  if (spec.rule == kFloat64Rule) return MultiplyFloat64(sum, Load<double>(multiplier));
  const auto multiply = spec.rule == kDoubleRounding ? MultiplyDoubleRounding
                        : spec.rule == kHalfUp       ? MultiplyHalfUp
                                                     : MultiplyRndnu;
  return multiply(sum, Load<int32_t>(multiplier), spec.shifts[i]);
}

// FORMAT.md section 4.4, on the rules that rounding_test holds against REGION.md.
Pixel Convolve(const ConvolutionSpec& spec, const Pixel& q) {
  Pixel made(spec.biases.size());
  for (size_t i = 0; i < made.size(); ++i) {
    int64_t sum = spec.biases[i];
    for (size_t j = 0; j < q.size(); ++j) sum += (q[j] + 128) * (spec.weights[i * q.size() + j] - spec.weight_zero);
    const int64_t r = Requantized(spec, static_cast<int32_t>(static_cast<uint32_t>(sum)), i);
    made[i] = std::min<int64_t>(std::max<int64_t>(r + spec.zero, spec.low), spec.high) - 128;
  }
  return made;
}

Pixel Synthesize(const SideInfoSpec& spec, uint32_t level, Pixel k) {
  const bool is_convolution = spec.convolution.rule != 0;
  Pixel q(is_convolution ? k.size() : spec.channels);
  for (int64_t& index : k) index *= spec.synthesis.matrix.empty() ? 1 : 1 << level;
  for (size_t i = 0; i < q.size(); ++i) {
    if (spec.synthesis.matrix.empty()) {
      const int64_t distance = (std::abs(k[i]) * (StepOf(spec, i) << level) + 8) / 16;
      q[i] = CentreOf(spec, i) + (k[i] < 0 ? -distance : distance);
    } else {
      q[i] = ShiftDown(Row(spec.synthesis, i, k), spec.synthesis.shift);
    }
    q[i] = std::clamp<int64_t>(q[i], spec.lo, spec.hi);
  }
  return is_convolution ? Convolve(spec.convolution, q) : q;
}

}  // namespace

std::vector<uint8_t> ExpectedOutput(const SideInfoSpec& spec, ElementType type, uint32_t level,
                                    const std::vector<uint8_t>& map) {
  const uint8_t flip = type == ElementType::kUInt8 ? 0x80 : 0;
  Pixel input(spec.analysis.matrix.empty() ? spec.classes_of.size() : spec.channels);
  std::vector<uint8_t> output;
  for (size_t at = 0; at < map.size(); at += input.size()) {
    for (size_t i = 0; i < input.size(); ++i) input[i] = static_cast<int8_t>(map[at + i] ^ flip);
    Pixel k = Analyze(spec, level, input);
    if (spec.max_level > 0 && level == spec.max_level) std::fill(k.begin(), k.end(), 0);
    for (int64_t value : Synthesize(spec, level, k)) output.push_back(static_cast<uint8_t>(value) ^ flip);
  }
  return output;
}

}  // namespace fmtc::test
