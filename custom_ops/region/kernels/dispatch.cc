#include "region/kernels/dispatch.h"

#include "region/kernels/levels.h"

namespace fmtc::region {

const RowKernels& RowKernelsOf(CpuLevel level) {
#if defined(FMTC_SMALL)
  (void)level;  // nobody asks a small build for vectors
#elif defined(__x86_64__)
  if (level == CpuLevel::kAvx2) return RowKernelsAvx2();
  if (level == CpuLevel::kAvxVnni) return HasAvxVnni() ? RowKernelsAvxVnni() : RowKernelsAvx512VlVnni();
  if (level == CpuLevel::kAvx512) return RowKernelsAvx512();
#elif defined(__aarch64__)
  if (level == CpuLevel::kNeon) return RowKernelsNeon();
  if (level == CpuLevel::kNeonDotprod) return RowKernelsNeonDotprod();
#else
  (void)level;
#endif
  return PlainRowKernels();
}

const RowKernels& ChosenRowKernels() {
  const CpuChoice& choice = ChosenCpuLevel();
  return choice.is_available ? RowKernelsOf(choice.level) : PlainRowKernels();
}

}  // namespace fmtc::region
