// What the processor at hand can do, and what it may: the one place that asks it and the environment.
#ifndef FMTC_CPU_LEVELS_H_
#define FMTC_CPU_LEVELS_H_

namespace fmtc {

// Sets of instructions that loops are written for.
enum class CpuLevel {
  kScalar,       // plain C++
  kNeon,         // which every aarch64 processor has
  kNeonDotprod,  // kNeon, and its dot products of bytes
  kAvx2,         // with BMI, BMI2, SSE4.2 and PCLMULQDQ
  kAvxVnni,      // kAvx2, and dot products of bytes in vectors of 256 bits, of AVX-VNNI or AVX-512
  kAvx512,       // kAvx2, and AVX-512 with VBMI, VBMI2, BITALG, VNNI and VPCLMULQDQ
};

// The environment variable that forces a level.
constexpr char kCpuLevelVariable[] = "FMTC_CPU_LEVEL";

// Names of the levels from the slowest to the fastest; the last one is null.
extern const char* const kCpuLevels[];

// The level of this name; false if there is none, or the processor, the operating system or this build lacks it.
bool FindCpuLevel(const char* name, CpuLevel* level);

struct CpuChoice {
  const char* name;   // as forced, or of the fastest level that is available
  bool is_available;  // false: the forced level is not
  CpuLevel level;     // if it is
};

// Made at the first call.
const CpuChoice& ChosenCpuLevel();

// AVX-VNNI: dot products of bytes as processors without AVX-512 have them.
bool HasAvxVnni();

// The CRC32 extension of aarch64.
bool HasArmCrc32();

}  // namespace fmtc

#endif  // FMTC_CPU_LEVELS_H_
