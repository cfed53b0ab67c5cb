#include "kernels/dispatch.h"

#include <cstdlib>
#include <cstring>

#include "core/small.h"
#include "core/small_kernels.h"
#include "kernels/arm_kernels.h"
#include "kernels/x86_kernels.h"

#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

namespace fmtc {
namespace {

#if defined(__x86_64__)

constexpr Kernels kAvx2Kernels = {
    AnalyzeRowAvx2,     SynthesizeRowAvx2,  DecodeRunAvx2,    SplitRunAvx2,    EncodeRunAvx2, PlanesToPixelsAvx2,
    PixelsToPlanesAvx2, ResidualsOfRowAvx2, IndicesOfRowAvx2, ExtendCrc32cX86, true};

constexpr Kernels kAvx512Kernels = {AnalyzeRowAvx512,
                                    SynthesizeRowAvx512,
                                    DecodeRunAvx512,
                                    SplitRunAvx512,
                                    EncodeRunAvx512,
                                    PlanesToPixelsAvx512,
                                    PixelsToPlanesAvx512,
                                    ResidualsOfRowAvx512,
                                    IndicesOfRowAvx512,
                                    ExtendCrc32cAvx512,
                                    true};

// The built-in also asks the operating system whether it saves the registers.
bool HasAvx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
         __builtin_cpu_supports("popcnt") && __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul");
}

bool HasAvx512() {
  return HasAvx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vbmi") &&
         __builtin_cpu_supports("avx512vbmi2") && __builtin_cpu_supports("avx512bitalg") &&
         __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("vpclmulqdq");
}

const Kernels* FindProcessorKernels(const char* level) {
  __builtin_cpu_init();
  if (std::strcmp(level, "avx2") == 0 && HasAvx2()) return &kAvx2Kernels;
  if (std::strcmp(level, "avx512") == 0 && HasAvx512()) return &kAvx512Kernels;
  return nullptr;
}

#elif defined(__aarch64__)

bool HasCrc32() {
#if defined(__linux__)
  constexpr unsigned long kHwcapCrc32 = 1 << 7;
  return (getauxval(AT_HWCAP) & kHwcapCrc32) != 0;
#else
  return true;  // all others have had it from their first aarch64 processor on
#endif
}

Kernels MakeNeonKernels() {
  Kernels kernels = PlainKernels();
  kernels.analyze_row = AnalyzeRowNeon;
  kernels.synthesize_row = SynthesizeRowNeon;
  kernels.decode_run = DecodeRunNeon;
  kernels.split_run = SplitRunNeon;
  kernels.encode_run = EncodeRunNeon;
  kernels.planes_to_pixels = PlanesToPixelsNeon;
  kernels.pixels_to_planes = PixelsToPlanesNeon;
  kernels.residuals_of_row = ResidualsOfRowNeon;
  kernels.indices_of_row = IndicesOfRowNeon;
  kernels.predicts_values = true;
  if (HasCrc32()) kernels.extend_crc32c = ExtendCrc32cArm;
  return kernels;
}

const Kernels* FindProcessorKernels(const char* level) {
  static const Kernels kernels = MakeNeonKernels();
  return std::strcmp(level, "neon") == 0 ? &kernels : nullptr;
}

#else

const Kernels* FindProcessorKernels(const char*) { return nullptr; }

#endif

KernelChoice Choose() {
  const char* forced = std::getenv(kCpuLevelVariable);
  if (forced != nullptr && forced[0] != '\0') return {forced, FindKernels(forced)};
  KernelChoice choice{};
  for (const char* const* level = kCpuLevels; *level != nullptr; ++level) {
    const Kernels* kernels = FindKernels(*level);
    if (kernels != nullptr) choice = {*level, kernels};
  }
  return choice;
}

}  // namespace

const char* const kCpuLevels[] = {"scalar", "neon", "avx2", "avx512", nullptr};

const Kernels* FindKernels(const char* level) {
  // The others of a small build would miss its tables.
  if (kSmall) return std::strcmp(level, "scalar") == 0 ? &SmallKernels() : nullptr;
  return std::strcmp(level, "scalar") == 0 ? &PlainKernels() : FindProcessorKernels(level);
}

const KernelChoice& ChosenKernels() {
  static const KernelChoice choice = Choose();
  return choice;
}

}  // namespace fmtc
