// What DECODE writes in the place of a map: the map seen through operators that only move its values or remap each of
// them (FORMAT.md section 9), such as padding before a convolution. No other buffer of a map's size is needed for it.
#ifndef FMTC_CODEC_VIEW_H_
#define FMTC_CODEC_VIEW_H_

#include <cstddef>
#include <cstdint>

#include "codec/codec.h"

namespace fmtc {

constexpr int kViewAxes = 3;  // rows, columns, channels
constexpr size_t kViewTableBytes = 256;

// An axis of the output: `before` places of the border, `count` of the map's (every `step`-th from `begin` on), `after`
// of the border.
struct ViewAxis {
  uint32_t begin, step, count, before, after;
};

inline uint64_t ViewSize(const ViewAxis& axis) { return uint64_t{axis.before} + axis.count + axis.after; }

struct View {
  ViewAxis axes[kViewAxes];  // of the output
  uint8_t order[kViewAxes];  // which axis of the map each of them is
  uint8_t border;            // byte of the output
  const uint8_t* table;      // output byte of each byte of the map, [kViewTableBytes]; null: values stay as they are
};

// All of the map, as it is.
View WholeView(uint32_t height, uint32_t width, uint32_t channels);

// Bytes of a batch item of the output. 0 if the view does not fit what the plan decodes, or is too large.
size_t ViewItemBytes(const Codec& codec, const MapPlan& plan, const View& view);

// Where the values of a view go, row by row of the map. The output of each item has ViewItemBytes bytes.
class ViewWriter {
 public:
  ViewWriter(const Codec& codec, const MapPlan& plan, const View& view);

  // Whether all rows are decoded in their places, row_stride() bytes from one to the next. Else they are decoded
  // elsewhere, and the output is filled with the border first if there is one.
  bool is_in_place() const { return is_in_place_; }
  bool fills_first() const { return !is_in_place_ && has_border_; }
  size_t row_stride() const { return stride_[0]; }
  size_t item_bytes() const { return item_bytes_; }

  // Whether the view has this row of the map, and if so, where in an item's output its first value goes.
  bool Has(uint32_t row) const;
  size_t Place(uint32_t row) const;

  // In place: remaps a decoded row and writes the border beside it and, at the item's first and last row, above and
  // below.
  void FinishRow(uint32_t row, uint8_t* item) const;

  // Not in place: writes what the view has of a decoded row.
  void WriteRow(uint32_t row, const uint8_t* values, uint8_t* item) const;

 private:
  void WritePixel(const uint8_t* values, uint8_t* out) const;

  const uint8_t border_;
  const uint8_t* const table_;
  ViewAxis axes_[kViewAxes];  // as axes of the map
  size_t stride_[kViewAxes];  // bytes of the output from one place on an axis of the map to the next
  size_t first_;              // of the map's first value that is written, in an item
  size_t item_bytes_;
  uint32_t channels_;  // of the map
  bool has_border_;
  bool is_in_place_;
};

}  // namespace fmtc

#endif  // FMTC_CODEC_VIEW_H_
