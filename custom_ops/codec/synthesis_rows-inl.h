// Synthesis of a row, in plain C++ that compilers turn into vector operations. Included by every file that compiles it
// for some processor: by codec/plain_rows.cc, and in codec/kernels between FMTC_BEGIN_TARGET_* and FMTC_END_TARGET,
// where no header can be included but those for several targets; those files include what is needed here.
#ifndef FMTC_CODEC_SYNTHESIS_ROWS_INL_H_
#define FMTC_CODEC_SYNTHESIS_ROWS_INL_H_

namespace fmtc {
namespace {

inline int32_t Clamp(int32_t value, int32_t lo, int32_t hi) { return value < lo ? lo : value > hi ? hi : value; }

// Limits for unsigned bytes, which are signed bytes plus 128, and the XOR that makes output of them.
struct UnsignedLimits {
  uint8_t lo, hi, flip;

  explicit UnsignedLimits(const Synthesis& synthesis)
      : lo(static_cast<uint8_t>(synthesis.codec->side_info.lo + 128)),
        hi(static_cast<uint8_t>(synthesis.codec->side_info.hi + 128)),
        flip(synthesis.flip ^ 0x80) {}

  uint8_t Limit(uint8_t value) const {
    const uint8_t raised = value < lo ? lo : value;
    return raised > hi ? hi : raised;
  }
  uint8_t Apply(uint8_t value) const { return static_cast<uint8_t>(Limit(value) ^ flip); }
};

inline void AddCentre(UnsignedLimits limits, int32_t centre, size_t n, const uint8_t* __restrict indices,
                      uint8_t* __restrict values) {
  const uint8_t offset = static_cast<uint8_t>(centre + 128);
  for (size_t i = 0; i < n; ++i) values[i] = limits.Apply(static_cast<uint8_t>(indices[i] + offset));
}

inline void AddCentres(UnsignedLimits limits, const uint8_t* __restrict centres, uint32_t n,
                       const uint8_t* __restrict indices, uint8_t* __restrict values) {
  for (uint32_t j = 0; j < n; ++j) values[j] = limits.Apply(static_cast<uint8_t>(indices[j] + centres[j] + 128));
}

// What the index whose byte is given is above the smallest one, and at most as much as the largest one is.
inline uint8_t LiftIndex(uint8_t byte, uint8_t zero, uint8_t range) {
  const uint8_t lifted = static_cast<uint8_t>(byte + zero);
  return lifted < range ? lifted : range;
}

// The unsigned value of an index, without limits.
inline uint8_t DequantizedValue(const StepTables& steps, uint32_t j, uint8_t index) {
  const uint8_t lifted = LiftIndex(index, steps.zeros[j], steps.ranges[j]);
  const int32_t rounding = steps.roundings[j] + (lifted < steps.zeros[j] ? 0 : 1);
  return static_cast<uint8_t>(Clamp(((lifted * int32_t{steps.steps[j]} + rounding) >> 4) + steps.bases[j], 0, 255));
}

inline void DequantizePixel(const Synthesis& synthesis, uint32_t n, const uint8_t* __restrict indices,
                            uint8_t* __restrict values) {
  const StepTables& steps = synthesis.steps;
  const UnsignedLimits limits(synthesis);
  for (uint32_t j = 0; j < n; ++j) values[j] = limits.Apply(DequantizedValue(steps, j, indices[j]));
}

// A pixel of signed indices times 2^level.
inline void ScaleIndices(const Synthesis& synthesis, uint32_t n, const uint8_t* __restrict indices,
                         int16_t* __restrict pixel) {
  const int32_t scale = 1 << synthesis.level;
  if (synthesis.codec->side_info.has_analysis) {
    for (uint32_t j = 0; j < n; ++j) pixel[j] = static_cast<int16_t>(static_cast<int8_t>(indices[j]) * scale);
    return;
  }
  const uint8_t* __restrict zeros = synthesis.steps.zeros;
  const uint8_t* __restrict ranges = synthesis.steps.ranges;
  for (uint32_t j = 0; j < n; ++j) {
    pixel[j] = static_cast<int16_t>((LiftIndex(indices[j], zeros[j], ranges[j]) - zeros[j]) * scale);
  }
}

// A pixel of unsigned values, which a convolution reads.
inline void UnsignedPixel(const Synthesis& synthesis, uint32_t n, const uint8_t* __restrict indices,
                          int16_t* __restrict pixel) {
  const UnsignedLimits limits(synthesis);
  for (uint32_t j = 0; j < n; ++j) pixel[j] = limits.Limit(DequantizedValue(synthesis.steps, j, indices[j]));
}

// Bias and products of output i.
inline uint32_t SumOfOutput(const SideInfo& info, uint32_t i, const int16_t* pixel) {
  const uint8_t* const row = info.synthesis + 2 * size_t{i} * info.components;
  uint32_t sum = Load<uint32_t>(info.synthesis_bias + 4 * size_t{i});
  for (uint32_t j = 0; j < info.components; ++j) sum += ElementProduct(row + 2 * size_t{j}, pixel[j]);
  return sum;
}

inline void TransformPixel(const Synthesis& synthesis, const uint8_t* indices, uint8_t* values) {
  const SideInfo& info = synthesis.codec->side_info;
  ScaleIndices(synthesis, info.components, indices, synthesis.pixels);
  const uint32_t half = 1u << (info.synthesis_shift - 1);
  for (uint32_t i = 0; i < info.channels; ++i) {
    const int32_t sum = static_cast<int32_t>(SumOfOutput(info, i, synthesis.pixels) + half);
    values[i] = static_cast<uint8_t>(Clamp(sum >> info.synthesis_shift, info.lo, info.hi)) ^ synthesis.flip;
  }
}

// Calls function(policy) with the policy of a convolution's rule.
template <typename Function>
inline void WithRule(uint8_t rule, const Function& function) {
  switch (rule) {
    case kDoubleRounding:
      return function(DoubleRounding());
    case kHalfUp:
      return function(HalfUp());
    case kFloat32Rule:
      return function(Float32());
    case kFloat64Rule:
      return function(Float64());
    default:
      return function(Rndnu());
  }
}

inline void ConvolvePixel(const Synthesis& synthesis, const uint8_t* indices, uint8_t* values) {
  const Codec& codec = *synthesis.codec;
  const SideInfo& info = codec.side_info;
  UnsignedPixel(synthesis, info.components, indices, synthesis.pixels);
  WithRule(info.convolution.rule, [&](auto policy) {
    for (uint32_t i = 0; i < info.channels; ++i) {
      const int32_t sum = static_cast<int32_t>(SumOfOutput(info, i, synthesis.pixels));
      const uint8_t value = decltype(policy)::Apply(sum, codec.requantization, static_cast<int>(i));
      values[i] = static_cast<uint8_t>(value ^ 0x80) ^ synthesis.flip;
    }
  });
}

inline void SynthesizeRowHere(const Synthesis& synthesis, uint32_t width, const uint8_t* indices, uint8_t* row) {
  const Codec& codec = *synthesis.codec;
  const SideInfo& info = codec.side_info;
  const uint32_t n = info.components;
  const bool add_only = AddsCentresOnly(codec, synthesis.level);
  const UnsignedLimits limits(synthesis);
  if (add_only && info.centres == nullptr) {
    AddCentre(limits, info.centre, size_t{width} * n, indices, row);
    return;
  }
  for (uint32_t x = 0; x < width; ++x, indices += n, row += info.channels) {
    if (add_only) {
      AddCentres(limits, info.centres, n, indices, row);
    } else if (info.is_convolution()) {
      ConvolvePixel(synthesis, indices, row);
    } else if (info.has_synthesis) {
      TransformPixel(synthesis, indices, row);
    } else {
      DequantizePixel(synthesis, n, indices, row);
    }
  }
}

}  // namespace
}  // namespace fmtc

#endif  // FMTC_CODEC_SYNTHESIS_ROWS_INL_H_
