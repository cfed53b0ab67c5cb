#include "codec/view.h"

#include "base/bytes.h"
#include "codec/geometry.h"

namespace fmtc {
namespace {

constexpr uint64_t kMostItemBytes = INT32_MAX;  // runtimes count bytes of tensors in int
constexpr int kRows = 0, kColumns = 1, kChannels = 2;

void Remap(const uint8_t* table, uint8_t* values, size_t n) {
  for (size_t i = 0; i < n; ++i) values[i] = table[values[i]];
}

bool IsPermutation(const uint8_t* order) {
  unsigned seen = 0;
  for (int i = 0; i < kViewAxes; ++i) seen |= order[i] < kViewAxes ? 1u << order[i] : 0;
  return seen == (1u << kViewAxes) - 1;
}

// Its places exist on an axis of this size.
bool FitsAxis(const ViewAxis& axis, uint32_t size) {
  return axis.step >= 1 && axis.count >= 1 && axis.begin < size &&
         uint64_t{axis.count - 1} * axis.step <= size - 1 - axis.begin;
}

}  // namespace

View WholeView(uint32_t height, uint32_t width, uint32_t channels) {
  return {
      {{0, 1, height, 0, 0}, {0, 1, width, 0, 0}, {0, 1, channels, 0, 0}}, {kRows, kColumns, kChannels}, 0, nullptr};
}

size_t ViewItemBytes(const Codec& codec, const MapPlan& plan, const View& view) {
  if (!IsPermutation(view.order)) return 0;
  const uint32_t sizes[kViewAxes] = {OutputHeight(plan), OutputWidth(plan), codec.side_info.channels};
  uint64_t bytes = 1;
  for (int i = 0; i < kViewAxes; ++i) {
    if (!FitsAxis(view.axes[i], sizes[view.order[i]]) || ViewSize(view.axes[i]) > kMostItemBytes) return 0;
    bytes *= ViewSize(view.axes[i]);
    if (bytes > kMostItemBytes) return 0;
  }
  return static_cast<size_t>(bytes);
}

ViewWriter::ViewWriter(const Codec& codec, const MapPlan& plan, const View& view)
    : border_(view.border),
      table_(view.table),
      first_(0),
      item_bytes_(ViewItemBytes(codec, plan, view)),
      channels_(codec.side_info.channels) {
  size_t stride = 1;
  has_border_ = false;
  bool keeps_order = true;
  for (int i = kViewAxes - 1; i >= 0; --i) {
    const ViewAxis& axis = view.axes[i];
    axes_[view.order[i]] = axis;
    stride_[view.order[i]] = stride;
    first_ += axis.before * stride;
    stride *= static_cast<size_t>(ViewSize(axis));
    has_border_ |= axis.before + axis.after > 0;
    keeps_order &= view.order[i] == i;
  }
  const ViewAxis& columns = axes_[kColumns];
  const ViewAxis& channels = axes_[kChannels];
  const bool has_pixels = channels.count == channels_ && channels.before + channels.after == 0;
  const bool has_rows = axes_[kRows].count == OutputHeight(plan);
  is_in_place_ = keeps_order && has_pixels && has_rows && columns.count == OutputWidth(plan);
}

bool ViewWriter::Has(uint32_t row) const {
  const ViewAxis& rows = axes_[kRows];
  return row >= rows.begin && (row - rows.begin) % rows.step == 0 && (row - rows.begin) / rows.step < rows.count;
}

size_t ViewWriter::Place(uint32_t row) const {
  return first_ + (row - axes_[kRows].begin) / axes_[kRows].step * stride_[kRows];
}

void ViewWriter::FinishRow(uint32_t row, uint8_t* item) const {
  const ViewAxis& columns = axes_[kColumns];
  const size_t pixel = channels_;
  const size_t before = columns.before * pixel, values = columns.count * pixel, after = columns.after * pixel;
  uint8_t* const out = item + Place(row);
  uint8_t* const behind = out + values;
  if (table_ != nullptr) Remap(table_, out, values);
  uint8_t* const begin = row == 0 ? item : out - before;
  uint8_t* const end = row + 1 == axes_[kRows].count ? item + item_bytes_ : behind + after;
  memset(begin, border_, static_cast<size_t>(out - begin));
  memset(behind, border_, static_cast<size_t>(end - behind));
}

void ViewWriter::WritePixel(const uint8_t* values, uint8_t* out) const {
  const ViewAxis& channels = axes_[kChannels];
  const uint8_t* const from = values + channels.begin;
  if (stride_[kChannels] == 1 && channels.step == 1 && table_ == nullptr) {
    MoveBytes(out, from, channels.count);
    return;
  }
  for (uint32_t i = 0; i < channels.count; ++i) {
    const uint8_t value = from[size_t{i} * channels.step];
    out[i * stride_[kChannels]] = table_ == nullptr ? value : table_[value];
  }
}

void ViewWriter::WriteRow(uint32_t row, const uint8_t* values, uint8_t* item) const {
  const ViewAxis& columns = axes_[kColumns];
  uint8_t* out = item + Place(row);
  for (uint32_t i = 0; i < columns.count; ++i, out += stride_[kColumns]) {
    WritePixel(values + (columns.begin + size_t{i} * columns.step) * channels_, out);
  }
}

}  // namespace fmtc
