// Random views of a map, and what they are, value by value.
#ifndef FMTC_TESTS_RANDOM_VIEW_H_
#define FMTC_TESTS_RANDOM_VIEW_H_

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "codec/view.h"
#include "tests/flex_map.h"
#include "tests/random_inputs.h"

namespace fmtc::test {

inline ViewAxis RandomViewAxis(Random* random, uint32_t size, bool is_whole, bool has_border) {
  ViewAxis axis{0, 1, size, 0, 0};
  if (!is_whole) {
    axis.begin = static_cast<uint32_t>(Draw(random, 0, static_cast<int32_t>(size) - 1));
    axis.step = static_cast<uint32_t>(Draw(random, 1, 3));
    axis.count = static_cast<uint32_t>(Draw(random, 1, static_cast<int32_t>((size - 1 - axis.begin) / axis.step + 1)));
  }
  if (has_border) {
    axis.before = static_cast<uint32_t>(Draw(random, 0, 3));
    axis.after = static_cast<uint32_t>(Draw(random, 0, 3));
  }
  return axis;
}

// Mostly what networks have: rows and columns around the map. `table`: null or 256 bytes.
inline View RandomView(Random* random, uint32_t height, uint32_t width, uint32_t channels, const uint8_t* table) {
  View view = WholeView(height, width, channels);
  const uint32_t sizes[kViewAxes] = {height, width, channels};
  const bool is_common = Draw(random, 0, 1) == 0;
  if (!is_common) std::shuffle(view.order, view.order + kViewAxes, *random);
  for (int i = 0; i < kViewAxes; ++i) {
    const bool is_whole = is_common || Draw(random, 0, 1) == 0;
    view.axes[i] = RandomViewAxis(random, sizes[view.order[i]], is_whole, is_common ? i < 2 : Draw(random, 0, 1) == 0);
  }
  view.border = static_cast<uint8_t>(Draw(random, 0, 255));
  view.table = table;
  return view;
}

// The options of a view in the shape that its axes have.
inline void SetViewOptions(const View& view, const std::string& type, FlexMap* options) {
  const std::string names[kViewAxes] = {"height", "width", "channels"};
  for (int i = 0; i < kViewAxes; ++i) {
    const ViewAxis& axis = view.axes[i];
    options->Set("begin_" + names[i], axis.begin);
    options->Set("step_" + names[i], axis.step);
    options->Set("count_" + names[i], axis.count);
    options->Set("before_" + names[i], axis.before);
    options->Set("after_" + names[i], axis.after);
    options->Set("axis_of_" + names[i], view.order[i] + 1);
    options->Set("view_" + names[i], static_cast<int64_t>(ViewSize(axis)));
  }
  options->Set("border", view.border);
  options->Set("view_type", type);
  options->Set("format_version", 2);
}

// The view of a batch of maps [height, width, channels].
inline std::vector<uint8_t> ApplyView(const View& view, uint32_t height, uint32_t width, uint32_t channels,
                                      const std::vector<uint8_t>& maps) {
  const size_t item = size_t{height} * width * channels;
  std::vector<uint8_t> out;
  for (size_t begin = 0; begin < maps.size(); begin += item) {
    uint32_t place[kViewAxes] = {};  // of the output
    const auto value = [&] {
      uint32_t from[kViewAxes] = {};
      for (int i = 0; i < kViewAxes; ++i) {
        const ViewAxis& axis = view.axes[i];
        if (place[i] < axis.before || place[i] >= axis.before + axis.count) return view.border;
        from[view.order[i]] = axis.begin + (place[i] - axis.before) * axis.step;
      }
      const uint8_t byte = maps[begin + (size_t{from[0]} * width + from[1]) * channels + from[2]];
      return view.table == nullptr ? byte : view.table[byte];
    };
    for (place[0] = 0; place[0] < ViewSize(view.axes[0]); ++place[0]) {
      for (place[1] = 0; place[1] < ViewSize(view.axes[1]); ++place[1]) {
        for (place[2] = 0; place[2] < ViewSize(view.axes[2]); ++place[2]) out.push_back(value());
      }
    }
  }
  return out;
}

}  // namespace fmtc::test

#endif  // FMTC_TESTS_RANDOM_VIEW_H_
