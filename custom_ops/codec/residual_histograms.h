// Statistics from which the converter chooses predictors and builds class tables.
#ifndef FMTC_CODEC_RESIDUAL_HISTOGRAMS_H_
#define FMTC_CODEC_RESIDUAL_HISTOGRAMS_H_

#include <cstddef>
#include <cstdint>

#include "codec/codec.h"

namespace fmtc {

// Adds the residuals of one map, at level 0, to histograms[components][kNumPredictors][256]: what each component's
// residuals would be under each predictor. The codec's own choice of predictors does not matter. Needs
// EncodeWorkspaceSize bytes of workspace.
Status AddResidualHistograms(const Codec& codec, const MapPlan& plan, ElementType type, const uint8_t* input,
                             size_t input_bytes, uint32_t* histograms, size_t histogram_entries, uint8_t* workspace,
                             size_t workspace_bytes);

// Adds the residuals of one map, at level 0, to histograms[num_classes][kNumContexts][256]: by class and context, under
// the codec's predictors. The codec must have contexts; what tables they lead to does not matter.
Status AddContextHistograms(const Codec& codec, const MapPlan& plan, ElementType type, const uint8_t* input,
                            size_t input_bytes, uint32_t* histograms, size_t histogram_entries, uint8_t* workspace,
                            size_t workspace_bytes);

}  // namespace fmtc

#endif  // FMTC_CODEC_RESIDUAL_HISTOGRAMS_H_
