#include "cpu/levels.h"

#include <cstdlib>
#include <cstring>

#include "base/features.h"

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

namespace fmtc {
namespace {

#if defined(__x86_64__)

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

bool HasDotProducts() {
  return HasAvxVnni() || (HasAvx2() && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni"));
}

bool HasVectors(CpuLevel level) {
  __builtin_cpu_init();
  switch (level) {
    case CpuLevel::kAvx2:
      return HasAvx2();
    case CpuLevel::kAvxVnni:
      return HasDotProducts();
    case CpuLevel::kAvx512:
      return HasAvx512();
    default:
      return false;
  }
}

#elif defined(__aarch64__)

bool HasDotProducts() {
#if defined(__linux__)
  constexpr unsigned long kHwcapDotProducts = 1 << 20;
  return (getauxval(AT_HWCAP) & kHwcapDotProducts) != 0;
#elif defined(__ARM_FEATURE_DOTPROD)
  return true;  // the build takes it for granted
#else
  return false;
#endif
}

bool HasVectors(CpuLevel level) {
  return level == CpuLevel::kNeon || (level == CpuLevel::kNeonDotprod && HasDotProducts());
}

#else

bool HasVectors(CpuLevel) { return false; }

#endif

CpuChoice Choose() {
  CpuChoice choice{};
  const char* forced = std::getenv(kCpuLevelVariable);
  if (forced != nullptr && forced[0] != '\0') {
    choice.name = forced;
    choice.is_available = FindCpuLevel(forced, &choice.level);
    return choice;
  }
  for (const char* const* name = kCpuLevels; *name != nullptr; ++name) {
    if (FindCpuLevel(*name, &choice.level)) choice.name = *name;
  }
  choice.is_available = FindCpuLevel(choice.name, &choice.level);
  return choice;
}

}  // namespace

// In the order of CpuLevel.
const char* const kCpuLevels[] = {"scalar", "neon", "neon_dotprod", "avx2", "avx_vnni", "avx512", nullptr};

bool FindCpuLevel(const char* name, CpuLevel* level) {
  for (int i = 0; kCpuLevels[i] != nullptr; ++i) {
    if (std::strcmp(name, kCpuLevels[i]) != 0) continue;
    *level = static_cast<CpuLevel>(i);
    return *level == CpuLevel::kScalar || (kHasVectors && HasVectors(*level));
  }
  return false;
}

const CpuChoice& ChosenCpuLevel() {
  static const CpuChoice choice = Choose();
  return choice;
}

bool HasAvxVnni() {
#if defined(__x86_64__)
  constexpr unsigned kAvxVnni = 1 << 4;  // CPUID leaf 7, subleaf 1, EAX; built-ins of older compilers do not know it
  unsigned a = 0, b = 0, c = 0, d = 0;
  __builtin_cpu_init();
  return HasAvx2() && __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a & kAvxVnni) != 0;
#else
  return false;
#endif
}

bool HasArmCrc32() {
#if defined(__aarch64__) && defined(__linux__)
  constexpr unsigned long kHwcapCrc32 = 1 << 7;
  return (getauxval(AT_HWCAP) & kHwcapCrc32) != 0;
#elif defined(__aarch64__)
  return true;  // all others have had it from their first aarch64 processor on
#else
  return false;
#endif
}

}  // namespace fmtc
