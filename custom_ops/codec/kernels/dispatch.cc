#include "codec/kernels/dispatch.h"

#include "base/crc32c.h"
#include "base/features.h"
#include "codec/kernels/arm_kernels.h"
#include "codec/kernels/x86_kernels.h"
#include "codec/plain_kernels.h"
#include "codec/small_kernels.h"

namespace fmtc {
namespace {

#if defined(__x86_64__)

constexpr Kernels MakeAvx2Kernels() {
  Kernels kernels{};
  kernels.analyze_row = AnalyzeRowAvx2;
  kernels.synthesize_row = SynthesizeRowAvx2;
  kernels.decode_run = DecodeRunAvx2;
  kernels.split_run = SplitRunAvx2;
  kernels.encode_run = EncodeRunAvx2;
  kernels.planes_to_pixels = PlanesToPixelsAvx2;
  kernels.pixels_to_planes = PixelsToPlanesAvx2;
  kernels.residuals_of_row = ResidualsOfRowAvx2;
  kernels.indices_of_row = IndicesOfRowAvx2;
  kernels.tables_of_row = TablesOfRowAvx2;
  kernels.sort_row = SortRowAvx2;
  kernels.unsort_row = UnsortRowAvx2;
  kernels.extend_crc32c = ExtendCrc32cX86;
  kernels.predicts_values = true;
  return kernels;
}

constexpr Kernels MakeAvx512Kernels() {
  Kernels kernels{};
  kernels.analyze_row = AnalyzeRowAvx512;
  kernels.synthesize_row = SynthesizeRowAvx512;
  kernels.decode_run = DecodeRunAvx512;
  kernels.split_run = SplitRunAvx512;
  kernels.encode_run = EncodeRunAvx512;
  kernels.planes_to_pixels = PlanesToPixelsAvx512;
  kernels.pixels_to_planes = PixelsToPlanesAvx512;
  kernels.residuals_of_row = ResidualsOfRowAvx512;
  kernels.indices_of_row = IndicesOfRowAvx512;
  kernels.tables_of_row = TablesOfRowAvx512;
  kernels.sort_row = SortRowAvx512;
  kernels.unsort_row = UnsortRowAvx512;
  kernels.extend_crc32c = ExtendCrc32cAvx512;
  kernels.predicts_values = true;
  return kernels;
}

constexpr Kernels kAvx2Kernels = MakeAvx2Kernels();
constexpr Kernels kAvx512Kernels = MakeAvx512Kernels();

const Kernels* VectorKernels(CpuLevel level) { return level == CpuLevel::kAvx512 ? &kAvx512Kernels : &kAvx2Kernels; }

#elif defined(__aarch64__)

constexpr Kernels MakeNeonKernels(decltype(Kernels::extend_crc32c) extend_crc32c) {
  Kernels kernels{};
  kernels.analyze_row = AnalyzeRowNeon;
  kernels.synthesize_row = SynthesizeRowNeon;
  kernels.decode_run = DecodeRunNeon;
  kernels.split_run = SplitRunNeon;
  kernels.encode_run = EncodeRunNeon;
  kernels.planes_to_pixels = PlanesToPixelsNeon;
  kernels.pixels_to_planes = PixelsToPlanesNeon;
  kernels.residuals_of_row = ResidualsOfRowNeon;
  kernels.indices_of_row = IndicesOfRowNeon;
  kernels.tables_of_row = TablesOfRowNeon;
  kernels.sort_row = SortRowPlain;
  kernels.unsort_row = UnsortRowPlain;
  kernels.extend_crc32c = extend_crc32c;
  kernels.predicts_values = true;
  return kernels;
}

constexpr Kernels kNeonKernels = MakeNeonKernels(ExtendCrc32c);
constexpr Kernels kNeonCrcKernels = MakeNeonKernels(ExtendCrc32cArm);

const Kernels* VectorKernels(CpuLevel) { return HasArmCrc32() ? &kNeonCrcKernels : &kNeonKernels; }

#else

const Kernels* VectorKernels(CpuLevel) { return nullptr; }

#endif

}  // namespace

const Kernels* FindKernels(const char* level) {
  CpuLevel found;
  if (!FindCpuLevel(level, &found)) return nullptr;
  if (found == CpuLevel::kScalar) return kHasStepTables ? &PlainKernels() : &SmallKernels();
  return VectorKernels(found);
}

const KernelChoice& ChosenKernels() {
  static const KernelChoice choice{ChosenCpuLevel().name, FindKernels(ChosenCpuLevel().name)};
  return choice;
}

}  // namespace fmtc
