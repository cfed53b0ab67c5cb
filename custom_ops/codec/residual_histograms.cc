#include "codec/residual_histograms.h"

#include "base/bytes.h"
#include "codec/analysis.h"
#include "codec/geometry.h"
#include "codec/predict.h"

namespace fmtc {
namespace {

constexpr size_t kEntriesPerComponent = size_t{kNumPredictors} * 256;

// One component of a row of pixels.
void CountComponent(const Neighbours& neighbours, uint32_t j, uint32_t width, uint32_t* histograms) {
  const uint32_t step = neighbours.components;
  const auto count = [histograms](uint32_t p, uint8_t value, uint8_t prediction) {
    ++histograms[p * 256 + static_cast<uint8_t>(value - prediction)];
  };
  uint8_t predictions[kNumPredictors];
  neighbours.PredictAll(j, predictions);
  for (uint32_t p = 0; p < kNumPredictors; ++p) count(p, neighbours.row[j], predictions[p]);
  const uint8_t* row = neighbours.row + j;
  // Without a row above, predictors 1 to 4 give the left neighbour, as they do if all three neighbours are equal.
  const uint8_t* above = neighbours.above == nullptr ? nullptr : neighbours.above + j;
  for (uint32_t x = 1; x < width; ++x, row += step) {
    const uint8_t left = row[0], value = row[step];
    uint8_t up = left, up_left = left;
    if (above != nullptr) {
      up_left = above[0];
      up = above[step];
      above += step;
    }
    count(0, value, 0);
    count(1, value, left);
    count(2, value, up);
    count(3, value, Average(left, up));
    count(4, value, Gradient(left, up, up_left));
  }
}

// Component by component, as the histograms of all exceed the caches.
void CountRow(const Neighbours& neighbours, uint32_t width, uint32_t* histograms) {
  for (uint32_t j = 0; j < neighbours.components; ++j) {
    CountComponent(neighbours, j, width, histograms + j * kEntriesPerComponent);
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
  const auto lay_out = [&](Layout* layout, uint8_t** rows, Analysis* analysis) {
    rows[0] = layout->TakeBytes(plan.row_values);
    rows[1] = layout->TakeBytes(plan.row_values);
    LayOutAnalysis(codec, layout, analysis);
  };
  uint8_t* rows[2];
  Analysis analysis;
  Layout needed;
  lay_out(&needed, rows, &analysis);
  if (workspace_bytes < EncodeWorkspaceSize(codec, plan) || workspace_bytes < needed.bytes()) {
    return Status::kBufferTooSmall;
  }
  Layout layout(workspace);
  lay_out(&layout, rows, &analysis);
  InitAnalysis(codec, type, 0, &analysis);
  uint8_t* row = rows[0];
  uint8_t* above = rows[1];
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
