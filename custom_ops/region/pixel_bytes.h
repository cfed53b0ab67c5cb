// Copies of pixels, a few bytes each, without a call for each.
#ifndef FMTC_REGION_PIXEL_BYTES_H_
#define FMTC_REGION_PIXEL_BYTES_H_

#include <cstddef>
#include <type_traits>

#include "base/features.h"

namespace fmtc::region {

// Calls function(bytes) with a number that the compiler knows where many networks have it.
template <class Function>
void WithPixelBytes(size_t bytes, const Function& function) {
  if (kSmall) return function(bytes);
  switch (bytes) {
    case 4:
      return function(std::integral_constant<size_t, 4>());
    case 8:
      return function(std::integral_constant<size_t, 8>());
    case 16:
      return function(std::integral_constant<size_t, 16>());
    case 32:
      return function(std::integral_constant<size_t, 32>());
    default:
      return function(bytes);
  }
}

}  // namespace fmtc::region

#endif  // FMTC_REGION_PIXEL_BYTES_H_
