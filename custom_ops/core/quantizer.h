// The step quantizer's index function in exact integer arithmetic (FORMAT.md section 4.1).
#ifndef FMTC_CORE_QUANTIZER_H_
#define FMTC_CORE_QUANTIZER_H_

#include <cstdint>

namespace fmtc {

constexpr uint32_t kReciprocalShift = 35;

// For n * step < 2^35: floor(n / step) = n * StepReciprocal(step) >> 35, since the reciprocal is too large by less than
// step / 2^35. The largest n is 16 * 255 + step / 2 and the largest step 4080 * 2^5, a product of 2^33.1.
inline uint32_t StepReciprocal(uint32_t step) {
  return static_cast<uint32_t>((uint64_t{1} << kReciprocalShift) / step) + 1;
}

// Q(d) = sgn(d) * floor((16 |d| + floor(step / 2)) / step) for |d| <= 255.
inline int32_t QuantizeDifference(int32_t d, uint32_t step, uint32_t reciprocal) {
  const uint32_t magnitude = static_cast<uint32_t>(d < 0 ? -d : d);
  const uint64_t n = 16 * magnitude + step / 2;
  const int32_t index = static_cast<int32_t>(n * reciprocal >> kReciprocalShift);
  return d < 0 ? -index : index;
}

}  // namespace fmtc

#endif  // FMTC_CORE_QUANTIZER_H_
