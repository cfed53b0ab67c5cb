// Pixels of 1 to 4 bytes that become pixels of 4, by shuffles of 16 bytes. Included by sums_*-inl.h.
#ifndef FMTC_REGION_KERNELS_PIXELS_INL_H_
#define FMTC_REGION_KERNELS_PIXELS_INL_H_

namespace fmtc::region {
namespace {

constexpr int32_t kShuffledPixels = 4;

// Returns how many pixels it has moved. Of the last pixel only its channels are there to be read.
FMTC_INLINE int32_t WidenPixels(const PixelRow& row) {
  const int32_t in_bytes = static_cast<int32_t>(row.in_pixel_bytes);
  alignas(16) uint8_t places[16];
  for (int32_t i = 0; i < 16; ++i) places[i] = static_cast<uint8_t>(i / 4 * in_bytes + i % 4);
  const Bytes16 index = WholeBlock().Load(places);
  int32_t x = 0;
  const Bytes16 flip = BytesOf(row.flip);
  for (; (row.columns - x - 1) * in_bytes + row.channels >= 16; x += kShuffledPixels) {
    const Bytes16 bytes = Shuffled(WholeBlock().Load(row.in + x * in_bytes), index);
    WholeBlock().Store(row.out + x * 4, Flipped(bytes, flip));
  }
  return x;
}

// The first bytes of up to 4 pixels of 4 as a word for each column.
constexpr int32_t kPackedPixel = 4;
constexpr int32_t kWordsOfPacking = 4;  // that are written at once

struct TapPacking {
  ptrdiff_t stride;  // bytes
  Bytes16 places;    // of the first bytes

  explicit FMTC_INLINE TapPacking(int32_t columns) : stride(ptrdiff_t{columns} * kPackedPixel) {
    alignas(16) constexpr uint8_t kFirsts[16] = {0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12};
    places = WholeBlock().Load(kFirsts);
  }
  // Words behind the last one may become anything, kWordsOfPacking with it.
  FMTC_INLINE void Pack(const uint8_t* in, int32_t taps, int32_t columns, uint32_t* out) const {
    for (uint32_t* const end = out + columns; out < end; ++out, in += stride) {
      if (taps == 4) {
        WholeBlock().Store(reinterpret_cast<uint8_t*>(out), Shuffled(WholeBlock().Load(in), places));
        continue;
      }
      *out = in[0];
      if (taps > 1) *out |= static_cast<uint32_t>(in[kPackedPixel]) << 8;
      if (taps > 2) *out |= static_cast<uint32_t>(in[2 * kPackedPixel]) << 16;
    }
  }
};

}  // namespace
}  // namespace fmtc::region

#endif  // FMTC_REGION_KERNELS_PIXELS_INL_H_
