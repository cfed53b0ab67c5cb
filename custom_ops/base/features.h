// The build options. FMTC_SMALL: the codec with code size before speed, for microcontrollers; bytes are the same.
// FMTC_MICRO, beside it: the region executor for them, one thread and the reference kernels' rounding.
#ifndef FMTC_BASE_FEATURES_H_
#define FMTC_BASE_FEATURES_H_

namespace fmtc {

#if defined(FMTC_SMALL)
constexpr bool kSmall = true;
#else
constexpr bool kSmall = false;
#endif

// What a small build leaves out, by the names under which code asks for it.
constexpr bool kHasMatrices = !kSmall;         // without them, side information of a KLT or a folded map is refused
constexpr bool kHasVersion2 = !kSmall;         // of the format; side information of it is refused as too new
constexpr bool kHasStride = !kSmall;           // of DECODE
constexpr bool kHasViews = !kSmall;            // of DECODE
constexpr bool kHasWorkers = !kSmall;          // which begin at other groups than the first one
constexpr bool kHasInterleaving = !kSmall;     // of segments that are decoded together
constexpr bool kHasVectors = !kSmall;          // and kernels for them
constexpr bool kHasStepTables = !kSmall;       // of the quantizer; all kernels but the small ones need them
constexpr bool kHasValuePrediction = !kSmall;  // Kernels::predicts_values
constexpr bool kHasCrcTables = !kSmall;
constexpr bool kHasLibrary = !kSmall;  // more of the C library than memcpy and memset

#if defined(FMTC_MICRO)
constexpr bool kMicro = true;
#else
constexpr bool kMicro = false;
#endif

// What a micro build of the region executor leaves out.
constexpr bool kHasTeams = !kMicro;         // parts of a run, for several threads
constexpr bool kHasRegionFacts = !kMicro;   // of ops and tensors, kept in memory from the check on
constexpr bool kHasRegionCoders = !kMicro;  // ENCODE and DECODE inside
constexpr bool kHasAllRules = !kMicro;      // of kinds; without them rule 1 only, the reference kernels'

}  // namespace fmtc

// FMTC_SELDOM: before a function that runs once for a program or once for a row, in which small builds mind size rather
// than time, whatever the compiler is told; so they do in functions that only such ones of the same file call.
// FMTC_ONE_COPY: before a function of which small builds have one copy, however many places call it.
#if defined(FMTC_SMALL)
#define FMTC_SELDOM [[gnu::cold]]
#define FMTC_ONE_COPY [[gnu::noinline]]
#else
#define FMTC_SELDOM
#define FMTC_ONE_COPY
#endif

#endif  // FMTC_BASE_FEATURES_H_
