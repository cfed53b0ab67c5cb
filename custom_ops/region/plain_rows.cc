// All loops over a row that are no convolution, in plain C++.
#include "region/plain_kernels.h"

namespace fmtc::region {
namespace {

// The loops for microcontrollers leave them what is unusual.
template <int32_t (*kSum)(const AddParameters&, int32_t, int32_t)>
FMTC_SELDOM void AddEach(const AddRow& row) {
  const AddParameters& p = *row.parameters;
  const OutputRange range{p.zero, p.low, p.high};
  for (int32_t column = 0; column < row.columns; ++column) {
    const uint8_t* a = row.a + column * row.a_pixel_bytes;
    const uint8_t* b = row.b + column * row.b_pixel_bytes;
    uint8_t* out = row.out + column * row.out_pixel_bytes;
    for (int32_t c = 0; c < row.channels; ++c) {
      out[c] = AddZeroAndClamp(kSum(p, a[c] - p.zero_a, b[c] - p.zero_b), range);
    }
  }
}

// Both operands' signs are 1 or -1.
template <int32_t kSignA, int32_t kSignB>
int32_t SumDoubleRounding(const AddParameters& p, int32_t a, int32_t b) {
  constexpr int32_t kLeftShift = 20;
  const int32_t sum = kSignA * MultiplyDoubleRounding(ShiftLeft(a, kLeftShift), p.multiplier_a, p.shift_a) +
                      kSignB * MultiplyDoubleRounding(ShiftLeft(b, kLeftShift), p.multiplier_b, p.shift_b);
  return MultiplyDoubleRounding(sum, p.multiplier_sum, p.shift_sum);
}

// a * 2^shift, rounded down; -31 <= shift <= 20 and |a| <= 255 * 2^20 or less.
int32_t Shifted(int32_t a, int32_t shift) { return shift < 0 ? a >> -shift : ShiftLeft(a, shift); }

// The built-in kernels' blocks: the operands' shifts round down or are part of the left shift.
template <bool kShiftFirst>
int32_t SumOfBlocks(const AddParameters& p, int32_t a, int32_t b) {
  constexpr int32_t kLeftShift = 20;
  int32_t sum;
  if (kShiftFirst) {
    sum = DoublingHighMultiply(Shifted(a, kLeftShift + p.shift_a), p.multiplier_a) +
          DoublingHighMultiply(Shifted(b, kLeftShift + p.shift_b), p.multiplier_b);
  } else {
    sum = Shifted(DoublingHighMultiply(ShiftLeft(a, kLeftShift), p.multiplier_a), p.shift_a) +
          Shifted(DoublingHighMultiply(ShiftLeft(b, kLeftShift), p.multiplier_b), p.shift_b);
  }
  return MultiplyDoubleRounding(sum, p.multiplier_sum, p.shift_sum);
}

int32_t SumFixedPoint(const AddParameters& p, int32_t a, int32_t b) {
  return (a * p.multiplier_a + b * p.multiplier_b + (1 << (p.shift - 1))) >> p.shift;
}

// Columns of the input under the window of an output column, as offsets from the rows' pointers.
struct Under {
  ptrdiff_t first, end;
};

Under ColumnsUnder(const PoolRow& row, int32_t column) {
  const int32_t first = row.first_column + column * row.stride;
  const int32_t end = first + row.kernel_columns;
  return {ptrdiff_t{first < 0 ? 0 : first} - row.rows_column,
          ptrdiff_t{end > row.width ? row.width : end} - row.rows_column};
}

template <int32_t (*kFold)(int32_t, int32_t)>
FMTC_ONE_COPY int32_t FoldWindow(const PoolRow& row, const Under& under, int32_t c, int32_t folded) {
  for (int32_t i = 0; i < row.num_rows; ++i) {
    for (ptrdiff_t x = under.first; x < under.end; ++x) folded = kFold(folded, row.rows[i][x * row.pixel_bytes + c]);
  }
  return folded;
}

int32_t Plus(int32_t a, int32_t b) { return static_cast<int32_t>(static_cast<uint32_t>(a) + static_cast<uint32_t>(b)); }
int32_t Greater(int32_t a, int32_t b) { return a > b ? a : b; }

template <int32_t (*kFold)(int32_t, int32_t), int32_t (*kFinish)(int32_t, int32_t, int32_t)>
void Pool(const PoolRow& row) {
  for (int32_t column = 0; column < row.columns; ++column) {
    const Under under = ColumnsUnder(row, column);
    const int32_t count = row.num_rows * static_cast<int32_t>(under.end - under.first);
    uint8_t* out = row.out + column * row.out_pixel_bytes;
    for (int32_t c = 0; c < row.channels; ++c) {
      const int32_t folded = FoldWindow<kFold>(row, under, c, 0);
      out[c] = AddZeroAndClamp(kFinish(folded, count, row.range.zero), row.range);
    }
  }
}

// Adds what is under each window to the values so far.
template <int32_t (*kFold)(int32_t, int32_t), typename T>
void FoldInto(const PoolRow& row, T* values) {
  for (int32_t column = 0; column < row.columns; ++column) {
    const Under under = ColumnsUnder(row, column);
    for (int32_t c = 0; c < row.channels; ++c, ++values) {
      *values = static_cast<T>(FoldWindow<kFold>(row, under, c, *values));
    }
  }
}

int32_t Largest(int32_t value, int32_t, int32_t) { return value; }

// The four input values of an output value, less their zero point: [row][column].
template <typename T, int32_t (*kCombine)(const T (*)[2], const T*, const T*)>
void Bilinear(const BilinearRow& row) {
  const OutputRange range{row.offset, 0, 255};
  T p[2], q[2];
  memcpy(p, row.row->weights, sizeof(p));
  for (int32_t column = 0; column < row.num_columns; ++column) {
    const BilinearEntry& entry = row.columns[column];
    memcpy(q, entry.weights, sizeof(q));
    const ptrdiff_t left = (ptrdiff_t{static_cast<int32_t>(entry.first)} - row.rows_column) * row.pixel_bytes;
    const ptrdiff_t right = (ptrdiff_t{static_cast<int32_t>(entry.second)} - row.rows_column) * row.pixel_bytes;
    uint8_t* out = row.out + column * row.out_pixel_bytes;
    for (int32_t c = 0; c < row.channels; ++c) {
      T v[2][2];
      for (int i = 0; i < 2; ++i) {
        v[i][0] = static_cast<T>(row.rows[i][left + c] - row.offset);
        v[i][1] = static_cast<T>(row.rows[i][right + c] - row.offset);
      }
      out[c] = AddZeroAndClamp(kCombine(v, p, q), range);
    }
  }
}

int64_t WeightedSum(const int32_t (*v)[2], const int32_t* p, const int32_t* q) {
  int64_t sum = 0;
  for (int i = 0; i < 2; ++i) {
    for (int j = 0; j < 2; ++j) sum += int64_t{v[i][j]} * p[i] * q[j];
  }
  return sum;
}

int32_t CombineReference(const int32_t (*v)[2], const int32_t* p, const int32_t* q) {
  constexpr int64_t kOne = 1 << 20;
  const int64_t sum = WeightedSum(v, p, q);
  return static_cast<int32_t>((sum > 0 ? sum + kOne / 2 : sum - kOne / 2) / kOne);
}

int32_t CombineFixedPoint(const int32_t (*v)[2], const int32_t* p, const int32_t* q) {
  return static_cast<int32_t>((WeightedSum(v, p, q) + (1 << 21)) >> 22);
}

int32_t CombineFloatInTurn(const float (*v)[2], const float* p, const float* q) {
  float sum = v[0][0] * p[0] * q[0] + v[1][0] * p[1] * q[0];
  sum = sum + v[0][1] * p[0] * q[1];
  sum = sum + v[1][1] * p[1] * q[1];
  return static_cast<int32_t>(sum + 0.5f);
}

int32_t CombineFloatPaired(const float (*v)[2], const float* p, const float* q) {
  float sum = v[0][0] * (p[0] * q[0]) + v[0][1] * (p[0] * q[1]);
  sum = sum + v[1][0] * (p[1] * q[0]);
  sum = sum + v[1][1] * (p[1] * q[1]);
  return static_cast<int32_t>(sum + 0.5f);
}

}  // namespace

void PlainAddDoubleRounding(const AddRow& row) { AddEach<SumDoubleRounding<1, 1>>(row); }
void PlainAddFixedPoint(const AddRow& row) { AddEach<SumFixedPoint>(row); }
void PlainAddShiftedFirst(const AddRow& row) { AddEach<SumOfBlocks<true>>(row); }
void PlainAddShiftedLast(const AddRow& row) { AddEach<SumOfBlocks<false>>(row); }

void PlainSubtract(const AddRow& row) { AddEach<SumDoubleRounding<1, -1>>(row); }
void PlainSubtractFromSecond(const AddRow& row) { AddEach<SumDoubleRounding<-1, 1>>(row); }

void PlainAverage(const PoolRow& row) { Pool<Plus, MeanHalfAway>(row); }
void PlainMaximum(const PoolRow& row) { Pool<Greater, Largest>(row); }

void PlainAddWindows(const PoolRow& row, int32_t* sums) { FoldInto<Plus>(row, sums); }
void PlainRaiseMaxima(const PoolRow& row, uint8_t* maxima) { FoldInto<Greater>(row, maxima); }

void PlainBilinearReference(const BilinearRow& row) { Bilinear<int32_t, CombineReference>(row); }
void PlainBilinearFixedPoint(const BilinearRow& row) { Bilinear<int32_t, CombineFixedPoint>(row); }
void PlainBilinearFloatInTurn(const BilinearRow& row) { Bilinear<float, CombineFloatInTurn>(row); }
void PlainBilinearFloatPaired(const BilinearRow& row) { Bilinear<float, CombineFloatPaired>(row); }

void PlainAddColumns(const uint8_t* in, ptrdiff_t pixel_bytes, int32_t columns, int32_t channels, int32_t* acc) {
  for (int32_t column = 0; column < columns; ++column, in += pixel_bytes) {
    for (int32_t c = 0; c < channels; ++c) {
      acc[c] = static_cast<int32_t>(static_cast<uint32_t>(acc[c]) + in[c]);
    }
  }
}

template <class Rounding>
void PlainRequantize(const int32_t* acc, const Requantization& r, int32_t channels, uint8_t* out) {
  for (int32_t c = 0; c < channels; ++c) out[c] = Rounding::Apply(acc[c], r, c);
}
template void PlainRequantize<DoubleRounding>(const int32_t*, const Requantization&, int32_t, uint8_t*);
template void PlainRequantize<HalfUp>(const int32_t*, const Requantization&, int32_t, uint8_t*);
template void PlainRequantize<Float32>(const int32_t*, const Requantization&, int32_t, uint8_t*);
template void PlainRequantize<Float64>(const int32_t*, const Requantization&, int32_t, uint8_t*);
template void PlainRequantize<Rndnu>(const int32_t*, const Requantization&, int32_t, uint8_t*);

}  // namespace fmtc::region
