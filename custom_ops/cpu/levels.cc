#include "cpu/levels.h"

#include <cstdint>
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

// What the compilers' built-ins would tell; where libgcc is not linked (zig), they find nothing. Bits of CPUID and
// XGETBV as Intel's Software Developer's Manual has them, volume 2, CPUID.
struct Features {
  uint32_t leaf1_ecx = 0, leaf7_ebx = 0, leaf7_ecx = 0, leaf7_1_eax = 0;
  uint32_t saved_registers = 0;  // XCR0: what the operating system saves
};

constexpr uint32_t Bits() { return 0; }

template <typename... Rest>
constexpr uint32_t Bits(int bit, Rest... rest) {
  return (uint32_t{1} << bit) | Bits(rest...);
}

constexpr bool HasAll(uint32_t found, uint32_t wanted) { return (found & wanted) == wanted; }

constexpr uint32_t kBase = Bits(1, 20, 23, 27, 28);               // PCLMULQDQ, SSE4.2, POPCNT, OSXSAVE, AVX
constexpr uint32_t kIntegers = Bits(3, 5, 8);                     // BMI1, AVX2, BMI2
constexpr uint32_t kAvx512Base = Bits(16, 17, 28, 30, 31);        // AVX512 F, DQ, CD, BW, VL
constexpr uint32_t kAvx512More = Bits(1, 6, 10, 11, 12);          // AVX512 VBMI, VBMI2, VPCLMULQDQ, VNNI, BITALG
constexpr uint32_t kAvx512Vl = Bits(31), kAvx512Vnni = Bits(11);  // of leaf 7: EBX, ECX
constexpr uint32_t kAvxVnni = Bits(4);
constexpr uint32_t kYmm = Bits(1, 2), kZmm = Bits(1, 2, 5, 6, 7);

Features ReadFeatures() {
  Features f;
  uint32_t a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid(1, &a, &b, &f.leaf1_ecx, &d) == 0) return f;
  if (__get_cpuid_count(7, 0, &a, &f.leaf7_ebx, &f.leaf7_ecx, &d) == 0) return f;
  if (a >= 1) __get_cpuid_count(7, 1, &f.leaf7_1_eax, &b, &c, &d);
  if (HasAll(f.leaf1_ecx, Bits(27))) __asm__("xgetbv" : "=a"(f.saved_registers), "=d"(d) : "c"(0));
  return f;
}

const Features& Found() {
  static const Features features = ReadFeatures();
  return features;
}

bool HasAvx2() {
  const Features& f = Found();
  return HasAll(f.leaf1_ecx, kBase) && HasAll(f.leaf7_ebx, kIntegers) && HasAll(f.saved_registers, kYmm);
}

bool HasAvx512() {
  const Features& f = Found();
  return HasAvx2() && HasAll(f.leaf7_ebx, kAvx512Base) && HasAll(f.leaf7_ecx, kAvx512More) &&
         HasAll(f.saved_registers, kZmm);
}

bool HasDotProducts() {
  const Features& f = Found();
  return HasAvxVnni() || (HasAvx2() && HasAll(f.leaf7_ebx, kAvx512Vl) && HasAll(f.leaf7_ecx, kAvx512Vnni) &&
                          HasAll(f.saved_registers, kZmm));
}

bool HasVectors(CpuLevel level) {
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
  return HasAvx2() && HasAll(Found().leaf7_1_eax, kAvxVnni);
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
