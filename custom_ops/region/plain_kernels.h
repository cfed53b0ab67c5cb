// The entries of the plain table.
#ifndef FMTC_REGION_PLAIN_KERNELS_H_
#define FMTC_REGION_PLAIN_KERNELS_H_

#include "region/kernels.h"

namespace fmtc::region {

template <class Rounding>
void PlainConv(const MacRow& row);
template <class Rounding>
void PlainDepthwise(const MacRow& row);
template <class Rounding>
void PlainRequantize(const int32_t* acc, const Requantization& r, int32_t channels, uint8_t* out);

void PlainAddDoubleRounding(const AddRow& row);
void PlainAddFixedPoint(const AddRow& row);
void PlainAddShiftedFirst(const AddRow& row);
void PlainAddShiftedLast(const AddRow& row);
void PlainSubtract(const AddRow& row);
void PlainSubtractFromSecond(const AddRow& row);

void PlainMultiplyDoubleRounding(const PairRow& row, const MultiplyParameters& parameters);
void PlainMultiplyFloat32(const PairRow& row, const MultiplyParameters& parameters);
void PlainMultiplyRndnu(const PairRow& row, const MultiplyParameters& parameters);
void PlainLarger(const PairRow& row);
void PlainSmaller(const PairRow& row);
void PlainPrelu(const PairRow& row, const PreluParameters& parameters);

void PlainBilinearReference(const BilinearRow& row);
void PlainBilinearFixedPoint(const BilinearRow& row);
void PlainBilinearFloatInTurn(const BilinearRow& row);
void PlainBilinearFloatPaired(const BilinearRow& row);

void PlainAddProducts(const MacRow& row, int32_t* acc);
void PlainAddColumns(const uint8_t* in, ptrdiff_t pixel_bytes, int32_t columns, int32_t channels, int32_t* acc);
void PlainAverage(const PoolRow& row);
void PlainMaximum(const PoolRow& row);
void PlainAddWindows(const PoolRow& row, int32_t* sums);
void PlainRaiseMaxima(const PoolRow& row, uint8_t* maxima);
void PlainQuantizeDivided(const QuantizeRun& run);
void PlainQuantizeVectors(const QuantizeRun& run);
void PlainQuantizeFloat32(const QuantizeRun& run);
void PlainQuantizeFloat64(const QuantizeRun& run);
void PlainMovePixels(const PixelRow& row);
void PlainLookUp(const uint8_t* table, const uint8_t* in, ptrdiff_t count, uint8_t* out);

}  // namespace fmtc::region

#endif  // FMTC_REGION_PLAIN_KERNELS_H_
