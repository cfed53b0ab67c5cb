#include "codec/residual_histograms.h"

#include <utility>

#include "base/bytes.h"
#include "codec/analysis.h"
#include "codec/contexts.h"
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

// Rows of indices of a map in a workspace.
struct IndexRows {
  uint8_t* rows[2];
  Analysis analysis;

  void LayOut(const Codec& codec, const MapPlan& plan, Layout* layout) {
    for (uint8_t*& row : rows) row = layout->TakeBytes(plan.row_values + kValueSlack);
    LayOutAnalysis(codec, layout, &analysis);
  }
};

// Calls function(row, above) for the indices of every row of a map; `above` is null in the first row of a group.
template <typename Function>
void ForEachRow(const Codec& codec, const MapPlan& plan, const uint8_t* input, IndexRows* rows,
                const Function& function) {
  uint8_t* row = rows->rows[0];
  uint8_t* above = rows->rows[1];
  for (SegmentWalk walk(plan, 0, TotalGroups(plan)); !walk.done(); walk.Next()) {
    for (uint32_t y = 0; y < walk.rows(); ++y) {
      AnalyzeRow(rows->analysis, plan.width, input, row);
      function(row, walk.starts_group() && y == 0 ? nullptr : above);
      input += size_t{plan.width} * codec.side_info.EncoderChannels();
      std::swap(row, above);
    }
  }
}

// What the contexts of a row need: residuals of it and of the row above.
struct ContextRows {
  uint8_t* residuals[2];
  ContextMemory memory;
  ContextRow row;

  void LayOut(const Codec& codec, const MapPlan& plan, Layout* layout) {
    for (uint8_t*& own : residuals) own = layout->TakeBytes(plan.row_values + kValueSlack);
    LayOutContexts(codec, plan, layout, &memory);
  }

  // Adds the row whose residuals are residuals[0]; those of the row above are residuals[1], unless it is a group's
  // first.
  void Count(bool is_first, uint32_t* histograms) const {
    uint8_t* const first = memory.magnitudes + row.components;
    for (size_t i = 0; i < row.values && !is_first; ++i) first[i] = Magnitude(residuals[1][i], row.codes[i]);
    if (!is_first) RepeatEnds(row, memory.magnitudes);
    for (size_t i = 0; i < row.values; ++i) {
      const uint32_t context = is_first ? kNoRowAbove : ContextOf(first + i, row.components);
      ++histograms[((row.codes[i] & kClassMask) * kNumContexts + context) * 256 + residuals[0][i]];
    }
  }
};

}  // namespace

Status AddResidualHistograms(const Codec& codec, const MapPlan& plan, ElementType type, const uint8_t* input,
                             size_t input_bytes, uint32_t* histograms, size_t histogram_entries, uint8_t* workspace,
                             size_t workspace_bytes) {
  const uint32_t components = codec.side_info.components;
  if (input_bytes != plan.encoder_input_bytes || histograms == nullptr) return Status::kInvalidArgument;
  if (histogram_entries != components * kEntriesPerComponent) return Status::kInvalidArgument;
  if (plan.batch == 0) return Status::kOk;
  if (input == nullptr || workspace == nullptr) return Status::kInvalidArgument;
  IndexRows rows;
  Layout needed;
  rows.LayOut(codec, plan, &needed);
  if (workspace_bytes < EncodeWorkspaceSize(codec, plan) || workspace_bytes < needed.bytes()) {
    return Status::kBufferTooSmall;
  }
  Layout layout(workspace);
  rows.LayOut(codec, plan, &layout);
  InitAnalysis(codec, type, 0, &rows.analysis);
  ForEachRow(codec, plan, input, &rows, [&](const uint8_t* row, const uint8_t* above) {
    CountRow({row, above, components}, plan.width, histograms);
  });
  return Status::kOk;
}

Status AddContextHistograms(const Codec& codec, const MapPlan& plan, ElementType type, const uint8_t* input,
                            size_t input_bytes, uint32_t* histograms, size_t histogram_entries, uint8_t* workspace,
                            size_t workspace_bytes) {
  const SideInfo& info = codec.side_info;
  if (input_bytes != plan.encoder_input_bytes || histograms == nullptr) return Status::kInvalidArgument;
  if (!info.has_contexts() || histogram_entries != size_t{info.num_classes} * kNumContexts * 256) {
    return Status::kInvalidArgument;
  }
  if (plan.batch == 0) return Status::kOk;
  if (input == nullptr || workspace == nullptr) return Status::kInvalidArgument;
  IndexRows rows;
  ContextRows contexts;
  const auto lay_out = [&](Layout* layout) {
    rows.LayOut(codec, plan, layout);
    contexts.LayOut(codec, plan, layout);
  };
  Layout needed;
  lay_out(&needed);
  if (workspace_bytes < EncodeWorkspaceSize(codec, plan) || workspace_bytes < needed.bytes()) {
    return Status::kBufferTooSmall;
  }
  Layout layout(workspace);
  lay_out(&layout);
  InitAnalysis(codec, type, 0, &rows.analysis);
  contexts.row = InitContexts(codec, plan.width, contexts.memory);
  const RowShape shape{plan.width, info.components, 0};
  ForEachRow(codec, plan, input, &rows, [&](const uint8_t* row, const uint8_t* above) {
    codec.kernels->residuals_of_row(shape, info.component_codes, above, row, contexts.residuals[0]);
    contexts.Count(above == nullptr, histograms);
    std::swap(contexts.residuals[0], contexts.residuals[1]);
  });
  return Status::kOk;
}

}  // namespace fmtc
