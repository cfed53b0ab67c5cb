// The entries of the plain table.
#ifndef FMTC_REGION_PLAIN_KERNELS_H_
#define FMTC_REGION_PLAIN_KERNELS_H_

#include "region/kernels.h"

namespace fmtc::region {

void ConvFloat(const ConvRow& row);
void ConvHalfAway(const ConvRow& row);
void ConvHalfUp(const ConvRow& row);
void ConvRoundOnce(const ConvRow& row);

void DepthwiseFloat(const ConvRow& row);
void DepthwiseHalfAway(const ConvRow& row);
void DepthwiseHalfUp(const ConvRow& row);
void DepthwiseRoundOnce(const ConvRow& row);

}  // namespace fmtc::region

#endif  // FMTC_REGION_PLAIN_KERNELS_H_
