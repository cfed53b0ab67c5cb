// The one build option of the core: FMTC_SMALL, code size before speed, for microcontrollers. Bytes are the same.
#ifndef FMTC_BASE_FEATURES_H_
#define FMTC_BASE_FEATURES_H_

namespace fmtc {

// If small: the kernels of small_kernels.h, a segment at a time, a CRC without tables, and neither matrices nor the
// stride of folded maps, so that side information with a KLT is refused.
#if defined(FMTC_SMALL)
constexpr bool kSmall = true;
#else
constexpr bool kSmall = false;
#endif

}  // namespace fmtc

#endif  // FMTC_BASE_FEATURES_H_
