// Copies of pixels, a few bytes each, without a call for each.
#ifndef FMTC_REGION_PIXEL_BYTES_H_
#define FMTC_REGION_PIXEL_BYTES_H_

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "base/features.h"

namespace fmtc::region {

struct TwoWords {
  uint64_t low, high;

  TwoWords operator^(const TwoWords& o) const { return {low ^ o.low, high ^ o.high}; }
};

// A pixel of a word: its bytes, some bits of each flipped.
template <class Word>
struct WordPixel {
  Word flips;

  void operator()(uint8_t* to, const uint8_t* from) const { Store<Word>(to, Word(Load<Word>(from) ^ flips)); }
};

// A pixel of more than a word and at most two, which may overlap: both are read before one is written.
template <class Word>
struct TwoWordPixel {
  size_t behind;  // bytes from the first word to the second
  Word flips;

  void operator()(uint8_t* to, const uint8_t* from) const {
    const Word first = Load<Word>(from), last = Load<Word>(from + behind);
    Store<Word>(to, Word(first ^ flips));
    Store<Word>(to + behind, Word(last ^ flips));
  }
};

// Calls function(move), where move(to, from) moves a pixel of so many bytes, with these bits of each flipped: 0 where
// there are more than 32 bytes.
template <class Function>
void WithPixelMove(size_t bytes, uint8_t flip, const Function& function) {
  const auto any = [bytes](uint8_t* to, const uint8_t* from) { MoveBytes(to, from, bytes); };
  if (kSmall || bytes > 32) return function(any);
  const uint64_t flips = flip * uint64_t{0x0101010101010101};
  const uint16_t flips2 = static_cast<uint16_t>(flips);
  const uint32_t flips4 = static_cast<uint32_t>(flips);
  if (bytes == 1) return function(WordPixel<uint8_t>{flip});
  if (bytes < 4) return function(TwoWordPixel<uint16_t>{bytes - 2, flips2});
  if (bytes == 4) return function(WordPixel<uint32_t>{flips4});
  if (bytes < 8) return function(TwoWordPixel<uint32_t>{bytes - 4, flips4});
  if (bytes == 8) return function(WordPixel<uint64_t>{flips});
  if (bytes < 16) return function(TwoWordPixel<uint64_t>{bytes - 8, flips});
  if (bytes == 16) return function(WordPixel<TwoWords>{{flips, flips}});
  function(TwoWordPixel<TwoWords>{bytes - 16, {flips, flips}});
}

// By value, as what is written might lie over whatever has an address.
template <class Move>
void MoveEach(Move move, const uint8_t* in, ptrdiff_t in_bytes, int32_t columns, uint8_t* out, ptrdiff_t out_bytes) {
  for (; columns > 0; --columns, in += in_bytes, out += out_bytes) move(out, in);
}

// Copies pixels of `channels` bytes; the rows may overlay each other.
inline void CopyPixels(const uint8_t* in, ptrdiff_t in_bytes, int32_t columns, size_t channels, uint8_t* out,
                       ptrdiff_t out_bytes) {
  const size_t row = static_cast<size_t>(columns - 1) * channels;
  const ptrdiff_t pixel = static_cast<ptrdiff_t>(channels);
  if (in_bytes == pixel && out_bytes == pixel) return MoveBytes(out, in, row + channels);
  WithPixelMove(channels, 0, [=](auto move) { MoveEach(move, in, in_bytes, columns, out, out_bytes); });
}

}  // namespace fmtc::region

#endif  // FMTC_REGION_PIXEL_BYTES_H_
