// Depthwise convolutions whose input channels serve several output channels each: pixels are laid out first with each
// value as often as it is read. Included by depthwise_rows-inl.h.
#ifndef FMTC_REGION_KERNELS_EXPANDED_PIXELS_INL_H_
#define FMTC_REGION_KERNELS_EXPANDED_PIXELS_INL_H_

namespace fmtc::region {
namespace {

constexpr int64_t kExpandedBytes = 16384;  // at a time
constexpr int32_t kExpandedRows = 32;
constexpr int32_t kExpandedAtOnce = sizeof(uint64_t);

// What lies behind may become anything, less than kExpandedAtOnce bytes of it.
FMTC_INLINE void ExpandPixel(const uint8_t* in, int32_t channels, int32_t times, uint8_t* out) {
  for (int32_t c = 0; c < channels; ++c, out += times) {
    const uint64_t values = in[c] * uint64_t{0x0101010101010101};
    for (int32_t i = 0; i < times; i += kExpandedAtOnce) Store(out + i, values);
  }
}

// function(row) of columns whose output channels have an input channel each, until all are done; false where a window
// is too large.
template <class Function>
bool ForExpandedColumns(const MacRow& row, const Function& function) {
  const int32_t pixel = row.out_channels, channels = pixel / row.multiplier;
  const int32_t window = (row.kernel_columns - 1) * row.dilation + 1;
  const int64_t room = (kExpandedBytes - kExpandedAtOnce) / (int64_t{pixel} * row.kernel_rows);  // columns
  if (room < window || row.kernel_rows > kExpandedRows) return false;
  const int32_t most = static_cast<int32_t>(room - window) / row.stride + 1;
  uint8_t expanded[kExpandedBytes];
  KernelRow rows[kExpandedRows];
  MacRow part = row;
  part.multiplier = 1;
  part.rows = rows;
  part.pixel_bytes = pixel;
  part.tap_bytes = ptrdiff_t{row.dilation} * pixel;
  for (int32_t first = 0; first < row.columns; first += most) {
    part.columns = row.columns - first < most ? row.columns - first : most;
    part.out = row.out + first * row.out_pixel_bytes;
    uint8_t* out = expanded;
    for (int i = 0; i < row.kernel_rows; ++i) {
      const bool is_padding = row.rows[i].column_bytes == 0;
      const uint8_t* in = row.rows[i].first + first * row.rows[i].column_bytes;
      rows[i] = {out, is_padding ? 0 : ptrdiff_t{row.stride} * pixel};
      const int32_t span = is_padding ? window : (part.columns - 1) * row.stride + window;
      for (int32_t x = 0; x < span; ++x, in += row.pixel_bytes, out += pixel) {
        ExpandPixel(in, channels, row.multiplier, out);
      }
    }
    function(part);
  }
  return true;
}

}  // namespace
}  // namespace fmtc::region

#endif  // FMTC_REGION_KERNELS_EXPANDED_PIXELS_INL_H_
