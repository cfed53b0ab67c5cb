// The rules of REGION.md section 4 on 16 sums (sums_*-inl.h), for several instruction sets. Included behind one of
// those.
#ifndef FMTC_REGION_KERNELS_RULES_INL_H_
#define FMTC_REGION_KERNELS_RULES_INL_H_

namespace fmtc::region {
namespace {

// What channels `first` on need of their parameters; as a function, a sum to its r.
template <class Rounding>
struct Rule;

// Beyond 16 bits the zero point does not change what comes out.
constexpr float kMostRounded = 32767.0f;

template <>
struct Rule<Float32> {
  Floats factors;

  FMTC_INLINE Rule(const Requantization& r, int32_t first) : factors(Floats::Load(r.multipliers + 4 * first)) {}
  FMTC_INLINE Sums operator()(Sums sums) const { return (Floats::Of(sums) * factors).AtMost(kMostRounded).Rounded(); }
};

// A rule where MacRow has small factors.
template <class Rounding>
struct Small;

// Products are never beyond 32 bits.
using SmallFloat32 = Small<Float32>;

template <>
struct Rule<SmallFloat32> {
  Floats factors;

  explicit FMTC_INLINE Rule(Floats all) : factors(all) {}
  FMTC_INLINE Rule(const Requantization& r, int32_t first) : Rule(Floats::Load(r.multipliers + 4 * first)) {}
  FMTC_INLINE Sums operator()(Sums sums) const { return (Floats::Of(sums) * factors).Rounded(); }
};

FMTC_INLINE Sums LoadMultipliers(const Requantization& r, int32_t first) {
  return Sums::Load(reinterpret_cast<const int32_t*>(r.multipliers) + first);
}

struct IntegerRule {
  Sums multiplier, left, right, mask, half;

  FMTC_INLINE IntegerRule(const Requantization& r, int32_t first)
      : IntegerRule(LoadMultipliers(r, first), Sums::FromSigned(r.shifts + first)) {}
  FMTC_INLINE IntegerRule(Sums multipliers, Sums shift) : multiplier(multipliers) {
    left = shift.Max(Sums::Of(0));
    right = (Sums::Of(0) - shift).Max(Sums::Of(0));
    mask = (Sums::Of(1) << right) - Sums::Of(1);
    half = mask >> Sums::Of(1);
  }
  FMTC_INLINE Sums High(Sums sums) const { return (sums << left).DoublingHighMultiply(multiplier); }
  // Greater remainders round up.
  FMTC_INLINE Sums Round(Sums high, Sums threshold) const {
    return (high >> right) + (high & mask).IsGreater(threshold);
  }
};

template <>
struct Rule<DoubleRounding> : IntegerRule {
  FMTC_INLINE Rule(int32_t multiplier, int32_t shift) : IntegerRule(Sums::Of(multiplier), Sums::Of(shift)) {}
  FMTC_INLINE Rule(const Requantization& r, int32_t first) : IntegerRule(r, first) {}
  FMTC_INLINE Sums operator()(Sums sums) const {
    const Sums high = High(sums);
    return Round(high, half + Sums::Of(0).IsGreater(high));
  }
};

template <>
struct Rule<HalfUp> : IntegerRule {
  FMTC_INLINE Rule(const Requantization& r, int32_t first) : IntegerRule(r, first) {}
  FMTC_INLINE Sums operator()(Sums sums) const { return Round(High(sums), half); }
};

template <>
struct Rule<Blocks> : IntegerRule {
  Sums is_behind;  // the whole blocks: 1, else 0

  FMTC_INLINE Rule(const Requantization& r, int32_t first) : IntegerRule(r, first) {
    is_behind = Sums::Of(r.blocks_end - first).IsAtMostIndex();
  }
  FMTC_INLINE Sums operator()(Sums sums) const {
    const Sums high = High(sums);
    return Round(high, half + (Sums::Of(0).IsGreater(high) & is_behind));
  }
};

template <>
struct Rule<Small<HalfUp>> : RoundedProduct {
  FMTC_INLINE Rule(Sums multipliers, Sums shift) : RoundedProduct(multipliers, shift) {}
  FMTC_INLINE Rule(const Requantization& r, int32_t first)
      : Rule(LoadMultipliers(r, first), Sums::FromSigned(r.shifts + first)) {}
};

// x / 2^e with halves away from zero is floor((x - (x < 0)) / 2^e + 1/2). A sum below 0 tells as well as its x, which
// may be 0: then that is right in both ways. Halving last keeps all of it within 32 bits.
struct HalvesAway {
  Sums multiplier, before_halving;

  FMTC_INLINE HalvesAway(Sums multipliers, Sums shift)
      : multiplier(multipliers), before_halving((Sums::Of(-1) - shift).Max(Sums::Of(0))) {}
  FMTC_INLINE Sums Round(Sums sums, Sums is_below) const {
    const Sums x = sums.DoublingHighMultiply(multiplier) + is_below;
    return ((x >> before_halving) + Sums::Of(1)) >> Sums::Of(1);
  }
};

template <>
struct Rule<Small<DoubleRounding>> : HalvesAway {
  FMTC_INLINE Rule(Sums multipliers, Sums shift) : HalvesAway(multipliers, shift) {}
  FMTC_INLINE Rule(const Requantization& r, int32_t first)
      : Rule(LoadMultipliers(r, first), Sums::FromSigned(r.shifts + first)) {}
  FMTC_INLINE Sums operator()(Sums sums) const { return Round(sums, sums >> Sums::Of(31)); }
};

template <>
struct Rule<Small<Blocks>> : HalvesAway {
  Sums is_behind;  // the whole blocks: -1, else 0

  FMTC_INLINE Rule(const Requantization& r, int32_t first)
      : HalvesAway(LoadMultipliers(r, first), Sums::FromSigned(r.shifts + first)),
        is_behind(Sums::Of(0) - Sums::Of(r.blocks_end - first).IsAtMostIndex()) {}
  FMTC_INLINE Sums operator()(Sums sums) const { return Round(sums, (sums >> Sums::Of(31)) & is_behind); }
};

template <class Rounding>
constexpr bool kHasRule = true;
template <>
constexpr bool kHasRule<Float64> = false;
template <>
constexpr bool kHasRule<Rndnu> = false;

template <class Rounding>
constexpr bool kHasSmallRule = kHasRule<Rounding>;

// Calls function(block, channel) for all channels.
template <class Function>
FMTC_INLINE void ForEachBlock(int32_t channels, const Function& function) {
  int32_t c = 0;
  for (; c + kChannelBlock <= channels; c += kChannelBlock) function(WholeBlock(), c);
  if (c < channels) WithPart(channels - c, [&](const auto& block) { function(block, c); });
}

}  // namespace
}  // namespace fmtc::region

#endif  // FMTC_REGION_KERNELS_RULES_INL_H_
