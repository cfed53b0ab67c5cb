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

// Float32 with factors below 1, whose products are never beyond 32 bits.
struct SmallFloat32;

template <>
struct Rule<SmallFloat32> {
  Floats factors;

  FMTC_INLINE Rule(const Requantization& r, int32_t first) : factors(Floats::Load(r.multipliers + 4 * first)) {}
  FMTC_INLINE Sums operator()(Sums sums) const { return (Floats::Of(sums) * factors).Rounded(); }
};

struct IntegerRule {
  Sums multiplier, left, right, mask, half;

  FMTC_INLINE IntegerRule(const Requantization& r, int32_t first)
      : IntegerRule(Sums::Load(reinterpret_cast<const int32_t*>(r.multipliers) + first),
                    Sums::FromSigned(r.shifts + first)) {}
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

template <class Rounding>
constexpr bool kHasRule = true;
template <>
constexpr bool kHasRule<Float64> = false;
template <>
constexpr bool kHasRule<Rndnu> = false;

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
