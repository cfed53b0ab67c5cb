// Contexts: which table a value has follows from the row above (FORMAT.md section 7.1). The loops over rows are among
// the kernels.
#ifndef FMTC_CODEC_CONTEXTS_H_
#define FMTC_CODEC_CONTEXTS_H_

#include <cstddef>
#include <cstdint>

#include "base/layout.h"
#include "codec/codec.h"
#include "codec/kernels.h"

namespace fmtc {

// By the sum of the neighbours' magnitudes, where 255 stands for all that is larger.
struct ContextOfSum {
  uint8_t context[256] = {};

  constexpr ContextOfSum() {
    constexpr uint8_t kLast[] = {0, 1, 2, 4, 7, 11, 15, 23, 35, 51, 79, 127, 191};  // sums of contexts 0 ... 12
    for (uint32_t sum = 0; sum < 256; ++sum) {
      for (uint8_t last : kLast) context[sum] = static_cast<uint8_t>(context[sum] + (sum > last ? 1 : 0));
    }
  }
};
constexpr ContextOfSum kContextOfSum;

// The magnitude of a residual, by the code of its component.
inline uint8_t Magnitude(uint8_t residual, uint8_t code) {
  const bool is_negative = residual >= 0x80 && (code & kOneSided) == 0;
  return is_negative ? static_cast<uint8_t>(-residual) : residual;
}

// Magnitudes of the row above, with the pixels at its ends repeated behind them; `magnitudes` is that of the value in
// question, and neighbours are at distances of `components`.
inline uint8_t ContextOf(const uint8_t* magnitudes, size_t components) {
  const uint32_t sum = magnitudes[0] * 2u + *(magnitudes - components) + magnitudes[components];
  return kContextOfSum.context[sum < 255 ? sum : 255];
}

// Repeats the pixels at the ends of a row of magnitudes.
void RepeatEnds(const ContextRow& row, uint8_t* magnitudes);

// What a reader or a writer keeps of one row.
struct ContextMemory {
  uint8_t* sorted;      // residuals, table by table
  uint8_t* tables;      // of each value
  uint8_t* magnitudes;  // scratch memory of the kernel
  uint8_t* codes;       // of each value's component
};

// Takes nothing if the codec has no contexts.
void LayOutContexts(const Codec& codec, const MapPlan& plan, Layout* layout, ContextMemory* memory);

// The shape of a row of so many pixels; fills its codes.
ContextRow InitContexts(const Codec& codec, uint32_t width, const ContextMemory& memory);

// A row of residuals in segment order, and how long its runs are, lengths[num_tables]; `above` are the residuals of the
// row above, null in the first row of a group. kValueSlack bytes must follow each row; behind the sorted one they may
// be overwritten.
void SortByTable(const Codec& codec, const ContextRow& row, const ContextMemory& memory, const uint8_t* above,
                 const uint8_t* residuals, uint8_t* sorted, uint32_t* lengths);

}  // namespace fmtc

#endif  // FMTC_CODEC_CONTEXTS_H_
