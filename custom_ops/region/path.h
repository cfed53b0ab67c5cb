// Steps of convolutions that follow one another.
#ifndef FMTC_REGION_PATH_H_
#define FMTC_REGION_PATH_H_

#include <cstring>

#include "region/prepared_row.h"

namespace fmtc::region {

inline bool IsSame(const Range& a, const Range& b) { return a.first == b.first && a.end == b.end; }

// Whether a step is the one that comes next on an op's path. `row` may be null.
inline bool IsNext(const PreparedRow* row, int32_t step, const Share& share) {
  return row != nullptr && row->path.next == step && IsSame(row->path.share.columns, share.columns) &&
         IsSame(row->path.share.channels, share.channels);
}

// Does the path's next step, with its padding columns.
inline void FollowPath(PreparedRow* row) {
  StepPath& path = row->path;
  const auto around = [](uint32_t offset, uint32_t bytes) { return offset < bytes ? offset : offset - bytes; };
  KernelRow rows[kFewKernelRows];
  uint32_t in = path.in;
  for (int i = 0; i < row->kernel_rows; ++i) {
    rows[i] = {path.in_memory + in, row->places.column_bytes};
    in = around(in + path.between, path.in_bytes);
  }
  uint8_t* const out = path.out_memory + path.out;
  row->rows = rows;
  row->out = out;
  path.next = path.next + 1 < path.end ? path.next + 1 : -1;
  path.in = around(path.in + path.in_advance, path.in_bytes);
  path.out = around(path.out + path.out_advance, path.out_bytes);
  path.function(*row);
  if (path.left_bytes > 0) memset(out - path.left_bytes, path.padding, path.left_bytes);
  if (path.right_bytes > 0) memset(out + row->columns * row->out_pixel_bytes, path.padding, path.right_bytes);
}

}  // namespace fmtc::region

#endif  // FMTC_REGION_PATH_H_
