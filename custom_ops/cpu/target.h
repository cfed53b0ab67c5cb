// Compiles the functions of a file for a processor that the rest of the library need not run on. Attributes rather than
// compiler flags, so that inline functions of headers that are shared with other files stay plain.
//
// After all #includes: FMTC_BEGIN_TARGET_AVX2, _AVX512VL_VNNI, _AVX512 or _NEON_DOTPROD; at the end of the
// file: FMTC_END_TARGET.
#ifndef FMTC_CPU_TARGET_H_
#define FMTC_CPU_TARGET_H_

#define FMTC_AVX2_FEATURES "avx,avx2,bmi,bmi2,lzcnt,popcnt"
#define FMTC_AVX512VL_VNNI_FEATURES FMTC_AVX2_FEATURES ",avx512f,avx512vl,avx512vnni"
#define FMTC_AVX512_FEATURES \
  FMTC_AVX2_FEATURES         \
  ",avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,avx512bitalg,avx512vnni,vpclmulqdq"
#define FMTC_NEON_DOTPROD_FEATURES "arch=armv8.2-a+dotprod"

#define FMTC_PRAGMA(text) _Pragma(#text)
#if defined(__clang__)
#define FMTC_BEGIN_TARGET(features) \
  FMTC_PRAGMA(clang attribute push(__attribute__((target(features))), apply_to = function))
#define FMTC_END_TARGET _Pragma("clang attribute pop")
#else
// GCC 12 takes the undefined operands of its own intrinsics for mistakes (GCC bug 105593).
#define FMTC_BEGIN_TARGET(features)                                                                                 \
  _Pragma("GCC diagnostic ignored \"-Wuninitialized\"") _Pragma("GCC diagnostic ignored \"-Wmaybe-uninitialized\"") \
      _Pragma("GCC push_options") FMTC_PRAGMA(GCC target(features))
#define FMTC_END_TARGET _Pragma("GCC pop_options")
#endif
#define FMTC_BEGIN_TARGET_AVX2 FMTC_BEGIN_TARGET(FMTC_AVX2_FEATURES)
#define FMTC_BEGIN_TARGET_AVX512VL_VNNI FMTC_BEGIN_TARGET(FMTC_AVX512VL_VNNI_FEATURES)
#define FMTC_BEGIN_TARGET_AVX512 FMTC_BEGIN_TARGET(FMTC_AVX512_FEATURES)
#define FMTC_BEGIN_TARGET_NEON_DOTPROD FMTC_BEGIN_TARGET(FMTC_NEON_DOTPROD_FEATURES)

#define FMTC_INLINE inline __attribute__((always_inline))

// Before a short loop of constant bounds: writes out its steps.
#if defined(__clang__)
#define FMTC_UNROLL FMTC_PRAGMA(clang loop unroll(full))
#else
#define FMTC_UNROLL FMTC_PRAGMA(GCC unroll 16)
#endif

#endif  // FMTC_CPU_TARGET_H_
