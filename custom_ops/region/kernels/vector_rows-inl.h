// Convolutions, depthwise and fully connected ops on vectors of sums (sums_*-inl.h), for several instruction sets.
// Included behind one of those.

namespace fmtc::region {
namespace {

// --- The rules of REGION.md section 4 on 16 sums: of channels `first` on, with the output's zero point.

FMTC_INLINE Sums MultiplierOf(const Requantization& r, int32_t first) {
  return Sums::Load(reinterpret_cast<const int32_t*>(r.multipliers) + first);
}

FMTC_INLINE Sums HighPart(Sums sums, const Requantization& r, int32_t first, Sums shift) {
  return (sums << shift.Max(Sums::Of(0))).DoublingHighMultiply(MultiplierOf(r, first));
}

FMTC_INLINE Sums RoundDouble(Sums sums, const Requantization& r, int32_t first) {
  const Sums shift = Sums::FromSigned(r.shifts + first);
  const Sums high = HighPart(sums, r, first, shift);
  const Sums right = (Sums::Of(0) - shift).Max(Sums::Of(0));
  const Sums mask = (Sums::Of(1) << right) - Sums::Of(1);
  const Sums threshold = (mask >> Sums::Of(1)) + Sums::Of(0).IsGreater(high);
  return (high >> right) + (high & mask).IsGreater(threshold);
}

FMTC_INLINE Sums RoundHalfUp(Sums sums, const Requantization& r, int32_t first) {
  const Sums shift = Sums::FromSigned(r.shifts + first);
  const Sums high = HighPart(sums, r, first, shift);
  const Sums right = (Sums::Of(0) - shift).Max(Sums::Of(0));
  const Sums half = high.LogicalShiftRight(right - Sums::Of(1)) & Sums::Of(1);
  return (high >> right) + half;
}

template <class Rounding>
struct RuleOf {
  static FMTC_INLINE void Store(Sums sums, const Requantization& r, int32_t first, int32_t count, uint8_t* out) {
    int32_t values[kChannelBlock];
    sums.Store(values);
    for (int32_t c = 0; c < count; ++c) out[c] = Rounding::Apply(values[c], r, first + c);
  }
};

FMTC_INLINE void AddZeroAndStore(Sums sums, const OutputRange& range, int32_t count, uint8_t* out) {
  // The sums are far from the ends of int32 where they matter: the zero point cannot make them wrap into the range.
  const Sums low = Sums::Of(range.low - range.zero), high = Sums::Of(range.high - range.zero);
  (sums.Max(low).Min(high) + Sums::Of(range.zero)).StoreBytes(out, count);
}

template <>
struct RuleOf<DoubleRounding> {
  static FMTC_INLINE void Store(Sums sums, const Requantization& r, int32_t first, int32_t count, uint8_t* out) {
    AddZeroAndStore(RoundDouble(sums, r, first), r.range, count, out);
  }
};

template <>
struct RuleOf<HalfUp> {
  static FMTC_INLINE void Store(Sums sums, const Requantization& r, int32_t first, int32_t count, uint8_t* out) {
    AddZeroAndStore(RoundHalfUp(sums, r, first), r.range, count, out);
  }
};

template <>
struct RuleOf<Blocks> {
  static FMTC_INLINE void Store(Sums sums, const Requantization& r, int32_t first, int32_t count, uint8_t* out) {
    if (first + count <= r.blocks_end) return RuleOf<HalfUp>::Store(sums, r, first, count, out);
    if (first >= r.blocks_end) return RuleOf<DoubleRounding>::Store(sums, r, first, count, out);
    int32_t values[kChannelBlock];
    sums.Store(values);
    for (int32_t c = 0; c < count; ++c) out[c] = Blocks::Apply(values[c], r, first + c);
  }
};

template <>
struct RuleOf<Float32> {
  static FMTC_INLINE void Store(Sums sums, const Requantization& r, int32_t first, int32_t count, uint8_t* out) {
    const float low = static_cast<float>(r.range.low - r.range.zero);
    const float high = static_cast<float>(r.range.high - r.range.zero);
    const Sums rounded = sums.TimesFloat(reinterpret_cast<const float*>(r.multipliers) + first, low, high);
    (rounded + Sums::Of(r.range.zero)).StoreBytes(out, count);
  }
};

// --- Convolutions.

FMTC_INLINE uint32_t LoadWord(const uint8_t* p) {
  uint32_t word;
  std::memcpy(&word, p, sizeof(word));
  return word;
}

// The last values of a tap, fewer than 4.
FMTC_INLINE uint32_t LoadPart(const uint8_t* p, int32_t count) {
  uint32_t word = 0;
  std::memcpy(&word, p, static_cast<size_t>(count));
  return word;
}

template <int kColumns>
FMTC_INLINE void AddTaps(const MacRow& row, const Taps& taps, int32_t column, ptrdiff_t group, const int8_t* weights,
                         StepSums (&sums)[kColumns]) {
  for (int i = 0; i < taps.rows; ++i) {
    const ptrdiff_t column_bytes = row.rows[i].column_bytes;
    for (int j = 0; j < taps.columns; ++j) {
      const uint8_t* in = row.rows[i].first + column * column_bytes + group + j * row.tap_bytes;
      int32_t k = 0;
      for (; k + kStepValues <= taps.bytes; k += kStepValues, weights += kChannelBlock * kStepValues) {
        const StepSums::Weights w(weights, row.weight_zero);
        for (int t = 0; t < kColumns; ++t) sums[t].Add(LoadWord(in + t * column_bytes + k), w);
      }
      if (k == taps.bytes) continue;
      const StepSums::Weights w(weights, row.weight_zero);
      for (int t = 0; t < kColumns; ++t) sums[t].Add(LoadPart(in + t * column_bytes + k, taps.bytes - k), w);
      weights += kChannelBlock * kStepValues;
    }
  }
}

// What the weights' zero point takes from each sum of a column, where Weights has not taken it off.
FMTC_INLINE int32_t ZeroPointTerm(const MacRow& row, const Taps& taps, int32_t column, ptrdiff_t group) {
  if (StepSums::kTakesZero || row.weight_zero == 0) return 0;
  uint32_t sum = 0;
  for (int i = 0; i < taps.rows; ++i) {
    for (int j = 0; j < taps.columns; ++j) {
      const uint8_t* in = row.rows[i].first + column * row.rows[i].column_bytes + group + j * row.tap_bytes;
      for (int32_t k = 0; k < taps.bytes; ++k) sum += in[k];
    }
  }
  return static_cast<int32_t>(static_cast<uint32_t>(row.weight_zero) * sum);
}

template <class Rounding, int kColumns>
FMTC_INLINE void ConvTile(const MacRow& row, const Taps& taps, int32_t column) {
  const ptrdiff_t weights_of_block = WeightsOfBlock(taps);
  const int8_t* weights = row.weights;
  int32_t first = 0;
  for (int32_t group = 0; group < row.groups; ++group) {
    const ptrdiff_t place = ptrdiff_t{group} * row.in_channels;
    int32_t terms[kColumns];
    for (int t = 0; t < kColumns; ++t) terms[t] = ZeroPointTerm(row, taps, column + t, place);
    for (int32_t c = 0; c < row.out_channels; c += kChannelBlock) {
      StepSums sums[kColumns];
      for (StepSums& sum : sums) sum = StepSums::Zero();
      AddTaps<kColumns>(row, taps, column, place, weights, sums);
      const Sums biases = Sums::Load(row.requantization.biases + first);
      const int32_t left = row.out_channels - c;
      uint8_t* out = row.out + column * row.out_pixel_bytes + group * row.out_channels + c;
      for (int t = 0; t < kColumns; ++t, out += row.out_pixel_bytes) {
        const Sums total = sums[t].Total() + biases - Sums::Of(terms[t]);
        RuleOf<Rounding>::Store(total, row.requantization, first, left < kChannelBlock ? left : kChannelBlock, out);
      }
      first += kChannelBlock;
      weights += weights_of_block;
    }
  }
}

template <class Rounding>
void ConvWith(const MacRow& row) {
  const Taps taps = JoinTaps(row);
  int32_t column = 0;
  for (; column + StepSums::kTile <= row.columns; column += StepSums::kTile) {
    ConvTile<Rounding, StepSums::kTile>(row, taps, column);
  }
  for (; column < row.columns; ++column) ConvTile<Rounding, 1>(row, taps, column);
}

void AddProductsWith(const MacRow& row, int32_t* acc) {
  const Taps taps = JoinTaps(row);
  const int8_t* weights = row.weights;
  const Sums term = Sums::Of(ZeroPointTerm(row, taps, 0, 0));
  for (int32_t first = 0; first < row.out_channels; first += kChannelBlock, weights += WeightsOfBlock(taps)) {
    StepSums sums[1] = {StepSums::Zero()};
    AddTaps<1>(row, taps, 0, 0, weights, sums);
    (Sums::Load(acc + first) + sums[0].Total() - term).Store(acc + first);
  }
}

// --- Depthwise convolutions.

template <class Rounding>
FMTC_INLINE void DepthwiseBlock(const MacRow& row, int32_t first, int32_t count) {
  const ptrdiff_t weights_of_tap = (row.out_channels + kChannelBlock - 1) / kChannelBlock * kChannelBlock;
  const Sums zero = Sums::Of(row.weight_zero);
  for (int32_t column = 0; column < row.columns; ++column) {
    Sums sums = Sums::Load(row.requantization.biases + first);
    const int8_t* weights = row.weights + first;
    for (int i = 0; i < row.kernel_rows; ++i) {
      const uint8_t* x = row.rows[i].first + column * row.rows[i].column_bytes + first;
      for (int j = 0; j < row.kernel_columns; ++j, weights += weights_of_tap, x += row.tap_bytes) {
        sums = sums + Sums::FromUnsigned(x, count).TimesLow16(Sums::FromSigned(weights) - zero);
      }
    }
    RuleOf<Rounding>::Store(sums, row.requantization, first, count, row.out + column * row.out_pixel_bytes + first);
  }
}

template <class Rounding>
void DepthwiseWith(const MacRow& row) {
  if (row.multiplier > 1) return PlainDepthwise<Rounding>(row);
  int32_t first = 0;
  for (; first + kChannelBlock <= row.out_channels; first += kChannelBlock) {
    DepthwiseBlock<Rounding>(row, first, kChannelBlock);
  }
  if (first < row.out_channels) DepthwiseBlock<Rounding>(row, first, row.out_channels - first);
}

RowKernels MakeRowKernels() {
  RowKernels k = PlainRowKernels();
  k.conv[kDoubleRounding] = ConvWith<DoubleRounding>;
  k.conv[kHalfUp] = ConvWith<HalfUp>;
  k.conv[kFloat32Rule] = ConvWith<Float32>;
  k.conv[kFloat64Rule] = ConvWith<Float64>;
  k.conv[kRndnu] = ConvWith<Rndnu>;
  k.depthwise[kDoubleRounding] = DepthwiseWith<DoubleRounding>;
  k.depthwise[kHalfUp] = DepthwiseWith<HalfUp>;
  k.depthwise[kFloat32Rule] = DepthwiseWith<Float32>;
  k.depthwise[kFloat64Rule] = DepthwiseWith<Float64>;
  k.depthwise[kRndnu] = DepthwiseWith<Rndnu>;
  k.depthwise[kBlocksRule] = DepthwiseWith<Blocks>;
  k.add_products = AddProductsWith;
  return k;
}

}  // namespace
}  // namespace fmtc::region
