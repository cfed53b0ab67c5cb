// The step quantizer against its definition: every value, every centre, every step.
#include "codec/quantizer.h"

#include <cstdint>
#include <cstdlib>
#include <vector>

#include "base/features.h"
#include "codec/analysis.h"
#include "codec/synthesis.h"
#include "tests/expect.h"
#include "tests/levels.h"
#include "tests/random_inputs.h"

namespace fmtc {
namespace {

using test::OwnedCodec;
using test::SideInfoSpec;

constexpr int32_t kNumValues = 256;

// Q(d) of FORMAT.md section 4.1.
int32_t DefinedIndex(int32_t d, int32_t step) {
  const int32_t magnitude = (16 * std::abs(d) + step / 2) / step;
  return d < 0 ? -magnitude : magnitude;
}

int32_t DefinedValue(int32_t centre, int32_t index, int32_t step) {
  const int32_t distance = (std::abs(index) * step + 8) / 16;
  const int32_t value = centre + (index < 0 ? -distance : distance);
  return value < -128 ? -128 : value > 127 ? 127 : value;
}

void TestDivisors() {
  for (uint32_t level = 0; level <= kMaxLevel; ++level) {
    for (uint32_t step = kLosslessStep; step <= kMaxStep; ++step) {
      const uint32_t scaled = step << level;
      const uint16_t half = static_cast<uint16_t>(scaled / 2);
      const StepDivisor divisor = MakeStepDivisor(scaled);
      for (int32_t d = -255; d <= 255; ++d) {
        EXPECT(QuantizeDifference(d, half, divisor) == DefinedIndex(d, static_cast<int32_t>(scaled)));
      }
    }
  }
}

// The vectors' way is open to all steps that components can have of their own, whatever the centre.
void TestFractions() {
  if (kSmall) return;  // has no step tables
  test::Random random(2);
  SideInfoSpec spec;
  spec.classes = {test::RandomClass(&random)};
  spec.channels = 128 * kNumValues;
  spec.classes_of.assign(spec.channels, 0);
  spec.predictors.assign(spec.channels, 0);
  for (uint32_t code = 0; code < 128; ++code) {
    for (int32_t centre = -128; centre <= 127; ++centre) {
      spec.steps.push_back(static_cast<uint16_t>(StepOfCode(static_cast<uint8_t>(code))));
      spec.centres.push_back(static_cast<int8_t>(centre));
    }
  }
  const OwnedCodec codec(BuildSideInfo(spec));
  EXPECT(codec.status() == Status::kOk);
  EXPECT(codec.codec().steps.has_fractions);
}

// A map row with pixel x = value x in all components, and component j with centre j.
class AllValuesAndCentres {
 public:
  explicit AllValuesAndCentres(ElementType type) : type_(type), indices_(row_bytes()), output_(row_bytes()) {
    test::Random random(1);
    spec_.channels = kNumValues;
    spec_.classes = {test::RandomClass(&random)};
    spec_.classes_of.assign(kNumValues, 0);
    spec_.predictors.assign(kNumValues, 0);
    for (int32_t j = 0; j < kNumValues; ++j) {
      spec_.centres.push_back(static_cast<int8_t>(j - 128));
      input_.insert(input_.end(), kNumValues, static_cast<uint8_t>(j));
    }
  }

  void CheckStep(uint16_t step, uint32_t level) {
    spec_.step = step;
    spec_.max_level = kMaxLevel;
    const OwnedCodec codec(BuildSideInfo(spec_));
    EXPECT(codec.status() == Status::kOk);
    for (const Codec& level_codec : test::AtEveryLevel(codec.codec())) {
      Analysis analysis;
      Layout needed;
      LayOutAnalysis(level_codec, &needed, &analysis);
      memory_.resize(needed.bytes());
      Layout layout(memory_.data());
      LayOutAnalysis(level_codec, &layout, &analysis);
      InitAnalysis(level_codec, type_, level, &analysis);
      AnalyzeRow(analysis, kNumValues, input_.data(), indices_.data());
      Synthesis synthesis;
      Layout needed_for_synthesis;
      LayOutSynthesis(level_codec, &needed_for_synthesis, &synthesis);
      memory_.resize(needed_for_synthesis.bytes());
      Layout synthesis_layout(memory_.data());
      LayOutSynthesis(level_codec, &synthesis_layout, &synthesis);
      InitSynthesis(level_codec, type_, level, &synthesis);
      SynthesizeRow(synthesis, kNumValues, indices_.data(), output_.data());
      CompareWithDefinition(step << level);
    }
  }

 private:
  static size_t row_bytes() { return size_t{kNumValues} * kNumValues; }

  void CompareWithDefinition(int32_t step) const {
    const uint8_t flip = type_ == ElementType::kUInt8 ? 0x80 : 0;
    uint32_t differences = 0;
    size_t at = 0;
    int32_t index_of[2 * kNumValues];
    for (int32_t d = -255; d <= 255; ++d) index_of[d + 255] = DefinedIndex(d, step);
    for (int32_t value = 0; value < kNumValues; ++value) {
      const int32_t q = static_cast<int8_t>(value ^ flip);
      for (int32_t centre = -128; centre <= 127; ++centre, ++at) {
        const int32_t index = index_of[q - centre + 255];
        differences += indices_[at] != static_cast<uint8_t>(index);
        differences += output_[at] != (static_cast<uint8_t>(DefinedValue(centre, index, step)) ^ flip);
      }
    }
    EXPECT(differences == 0);
    if (step == static_cast<int32_t>(kLosslessStep)) EXPECT(output_ == input_);
  }

  ElementType type_;
  SideInfoSpec spec_;
  std::vector<uint8_t> input_, indices_, output_, memory_;
};

}  // namespace
}  // namespace fmtc

int main() {
  fmtc::TestDivisors();
  fmtc::TestFractions();
  fmtc::AllValuesAndCentres int8(fmtc::ElementType::kInt8);
  // The division of every step has been checked; kernels see all small ones and some of the others.
  for (uint32_t step = fmtc::kLosslessStep; step <= fmtc::kMaxStep; step += step < 64 ? 1 : 11) {
    int8.CheckStep(static_cast<uint16_t>(step), 0);
  }
  fmtc::AllValuesAndCentres uint8(fmtc::ElementType::kUInt8);
  for (uint32_t level = 0; level < fmtc::kMaxLevel; ++level) {
    for (uint32_t step = fmtc::kLosslessStep; step <= fmtc::kMaxStep; step += 127) {
      uint8.CheckStep(static_cast<uint16_t>(step), level);
    }
  }
  return 0;
}
