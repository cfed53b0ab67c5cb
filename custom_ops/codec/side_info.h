// Side information of one feature map: reading and checking (FORMAT.md section 2).
#ifndef FMTC_CODEC_SIDE_INFO_H_
#define FMTC_CODEC_SIDE_INFO_H_

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "base/features.h"
#include "base/rounding.h"
#include "base/status.h"
#include "codec/tables.h"

namespace fmtc {

constexpr int kNewestVersion = 2;
constexpr int kFormatVersion = kHasVersion2 ? kNewestVersion : 1;  // the newest one that this build reads
constexpr uint32_t kMaxClasses = 8;
constexpr uint32_t kNoRowAbove = 14;  // the context of values that have no row above; others are smaller
constexpr uint32_t kNumContexts = kNoRowAbove + 1;
constexpr uint32_t kContextStride = 16;  // of contexts in tables by class and context
constexpr uint32_t kMaxChannels = 65536;
constexpr uint32_t kMaxLevel = 5;
constexpr uint32_t kNumPredictors = 5;
constexpr uint32_t kLosslessStep = 16;  // steps are in 1/16 units
constexpr uint32_t kMaxStep = 4080;
constexpr uint32_t kMaxStepCode = 127;

// Flags of side information.
enum SideInfoFlag : uint8_t {
  kAnalysisMatrix = 1,
  kSynthesisMatrix = 2,
  kCentrePerComponent = 4,
  kStepPerComponent = 8,
  kChecksum = 16,
  kCompactSynthesis = 32,
};

// What a component code says, besides the predictor in bits 4-7.
constexpr uint8_t kClassMask = 7;
constexpr uint8_t kOneSided = 8;

// One class record, decoded except for what tables.h builds.
struct ClassRecord {
  uint8_t offset;
  uint8_t constant;
  uint8_t num_tokens;
  const uint8_t* widths;  // log2, two in a byte, low nibble first
  const uint8_t* counts;  // [num_tokens], sum 64

  uint32_t WidthLog2(uint32_t token) const { return widths[token / 2] >> (token % 2 * 4) & 15; }
};

// A step per component is stored in one byte: four bits of mantissa and three of exponent.
inline uint32_t StepOfCode(uint8_t code) { return (16u + (code & 15u)) << (code >> 4); }

// How a synthesis that is a convolution brings its sums to 8 bits; zero, low and high in the unsigned domain.
struct ConvolutionInfo {
  uint8_t rule;  // of base/rounding.h, kDoubleRounding ... kRndnu; 0: the synthesis is none, or a matrix in fixed point
  int8_t weight_zero;
  uint8_t zero, low, high;
  const uint8_t* multipliers;  // [channels] i32, or f32 or f64 of the rules in floating point
  const uint8_t* shifts;       // [channels] i8; null for the rules in floating point

  size_t MultiplierBytes() const { return rule == kFloat64Rule ? 8 : 4; }
  bool HasShifts() const { return rule != kFloat32Rule && rule != kFloat64Rule; }
};

// A checked view of side information; the pointers point into it and may be unaligned.
struct SideInfo {
  uint32_t version;
  uint32_t channels;    // of the feature map
  uint32_t components;  // that are coded
  uint32_t num_classes;
  uint32_t segment_rows;  // at most, in a segment; 0: as many as version 1 has
  uint32_t max_level;     // the constant level; 0: no levels
  bool has_analysis;      // analysis matrix
  bool has_synthesis;     // synthesis matrix
  bool has_checksum;      // in coded tensors
  int8_t lo, hi;          // limits of decoded values
  int8_t centre;          // of all components if `centres` is null
  uint16_t step;          // of all components if `steps` is null
  uint8_t analysis_shift, synthesis_shift;
  uint32_t num_context_tables;       // 0: each class has a table of its own
  const uint8_t* component_codes;    // [components] see kClassMask, kOneSided; predictor in bits 4-7
  const uint8_t* context_map;        // [num_classes][kContextStride / 2] table of each context, low nibble first
  const uint8_t* centres;            // [components] i8, or null
  const uint8_t* steps;              // [components] step codes, or null
  ClassRecord classes[kMaxClasses];  // [num_tables()]
  const uint8_t* analysis;           // [components][channels] i16, or null
  const uint8_t* analysis_bias;      // [components] i32, or null
  const uint8_t* synthesis;          // [channels][components] i16, or null; see compact_synthesis
  const uint8_t* synthesis_bias;     // [channels] i32, or null
  // A synthesis matrix in bytes: [channels][components] i8, or null. InitCodec points `synthesis` to its expansion.
  const uint8_t* compact_synthesis;
  const uint8_t* multipliers;  // [channels] u16, with compact_synthesis that is no convolution
  uint8_t expansion_shift;
  ConvolutionInfo convolution;  // its weights are compact_synthesis, its biases synthesis_bias

  // That coded tensors have: what only decoders read does not change them.
  uint32_t StreamVersion() const { return kHasVersion2 && (segment_rows > 0 || has_contexts()) ? 2 : 1; }
  bool is_convolution() const { return kHasMatrices && convolution.rule != 0; }
  uint32_t ComponentClass(uint32_t j) const { return component_codes[j] & kClassMask; }
  bool has_contexts() const { return kHasVersion2 && num_context_tables > 0; }
  uint32_t num_tables() const { return has_contexts() ? num_context_tables : num_classes; }
  // Of a class in a context.
  uint32_t TableOf(uint32_t j, uint32_t context) const {
    return context_map[j * (kContextStride / 2) + context / 2] >> (context % 2 * 4) & 15;
  }
  uint32_t ComponentPredictor(uint32_t j) const { return component_codes[j] >> 4; }
  int32_t ComponentCentre(uint32_t j) const { return centres == nullptr ? centre : static_cast<int8_t>(centres[j]); }
  // Element (i, j) of the expansion of `compact_synthesis`.
  int64_t ExpandedSynthesis(uint32_t i, uint32_t j) const {
    const int64_t weight = static_cast<int8_t>(compact_synthesis[size_t{i} * components + j]);
    if (is_convolution()) return weight - convolution.weight_zero;
    const int64_t scaled = weight * Load<uint16_t>(multipliers + 2 * size_t{i}) * ComponentStep(j);
    return (scaled + (int64_t{1} << (expansion_shift - 1))) >> expansion_shift;
  }
  uint32_t ComponentStep(uint32_t j) const { return steps == nullptr ? step : StepOfCode(steps[j]); }
  // Last dimension of ENCODE's input: a folded map arrives as components.
  uint32_t EncoderChannels() const { return kHasMatrices && has_analysis ? channels : components; }
};

// What the header, and its extension, say about sizes, as far as it can be trusted without the checksum.
struct SideInfoSizes {
  uint32_t channels;
  uint32_t components;
  uint32_t num_classes;
  uint8_t version;
  uint8_t num_context_tables;
  uint8_t requantization_rule;
  uint8_t flags;

  uint32_t num_tables() const { return num_context_tables > 0 ? num_context_tables : num_classes; }

  bool has_analysis() const { return kHasMatrices && (flags & kAnalysisMatrix) != 0; }
  bool has_synthesis() const { return kHasMatrices && (flags & kSynthesisMatrix) != 0; }
  bool has_compact_synthesis() const { return kHasMatrices && (flags & kCompactSynthesis) != 0; }
};

// Checks magic, version and the fields that sizes follow from.
Status ReadSideInfoSizes(const uint8_t* data, size_t bytes, SideInfoSizes* sizes);

// Checks everything that FORMAT.md asks for. `sizes` are those of `info`.
Status ParseSideInfo(const uint8_t* data, size_t bytes, SideInfoSizes* sizes, SideInfo* info);

}  // namespace fmtc

#endif  // FMTC_CODEC_SIDE_INFO_H_
