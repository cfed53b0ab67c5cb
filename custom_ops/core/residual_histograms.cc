#include "core/residual_histograms.h"

#include "core/analysis.h"
#include "core/bytes.h"
#include "core/geometry.h"
#include "core/predict.h"

namespace fmtc {
namespace {

constexpr size_t kEntriesPerComponent = size_t{kNumPredictors} * 256;

void CountRow(const Neighbours& neighbours, uint32_t width, uint32_t* histograms) {
  size_t at = 0;
  for (uint32_t x = 0; x < width; ++x) {
    uint32_t* histogram = histograms;
    for (uint32_t j = 0; j < neighbours.components; ++j, ++at) {
      uint8_t predictions[kNumPredictors];
      neighbours.PredictAll(at, predictions);
      for (uint32_t p = 0; p < kNumPredictors; ++p, histogram += 256) {
        ++histogram[static_cast<uint8_t>(neighbours.row[at] - predictions[p])];
      }
    }
  }
}

}  // namespace

Status AddResidualHistograms(const Codec& codec, const MapPlan& plan, ElementType type, const uint8_t* input,
                             size_t input_bytes, uint32_t* histograms, size_t histogram_entries, uint8_t* workspace,
                             size_t workspace_bytes) {
  const uint32_t components = codec.side_info.components;
  if (input_bytes != plan.encoder_input_bytes || histograms == nullptr) return Status::kInvalidArgument;
  if (histogram_entries != components * kEntriesPerComponent) return Status::kInvalidArgument;
  if (plan.batch == 0) return Status::kOk;
  if (input == nullptr || workspace == nullptr) return Status::kInvalidArgument;
  if (workspace_bytes < EncodeWorkspaceSize(codec, plan)) return Status::kBufferTooSmall;

  uint8_t* row = workspace;
  uint8_t* above = row + plan.row_values;
  Analysis analysis;
  InitAnalysis(codec, type, 0, above + plan.row_values, &analysis);
  for (SegmentWalk walk(plan, 0, TotalGroups(plan)); !walk.done(); walk.Next()) {
    for (uint32_t y = 0; y < walk.rows(); ++y) {
      AnalyzeRow(analysis, plan.width, input, row);
      const bool first_row = walk.starts_group() && y == 0;
      CountRow({row, first_row ? nullptr : above, components}, plan.width, histograms);
      input += size_t{plan.width} * codec.side_info.EncoderChannels();
      uint8_t* const free_row = above;
      above = row;
      row = free_row;
    }
  }
  return Status::kOk;
}

}  // namespace fmtc
