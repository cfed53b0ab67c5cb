#include "codec/plain_kernels.h"

#include "base/crc32c.h"

namespace fmtc {
namespace {

constexpr Kernels MakePlainKernels() {
  Kernels kernels{};
  kernels.analyze_row = AnalyzeRowPlain;
  kernels.synthesize_row = SynthesizeRowPlain;
  kernels.decode_run = DecodeRunPlain;
  kernels.split_run = SplitRunPlain;
  kernels.encode_run = EncodeRunPlain;
  kernels.planes_to_pixels = PlanesToPixelsPlain;
  kernels.pixels_to_planes = PixelsToPlanesPlain;
  kernels.residuals_of_row = ResidualsOfRowPlain;
  kernels.indices_of_row = IndicesOfRowPlain;
  kernels.tables_of_row = TablesOfRowPlain;
  kernels.sort_row = SortRowPlain;
  kernels.unsort_row = UnsortRowPlain;
  kernels.extend_crc32c = ExtendCrc32c;
  return kernels;
}

constexpr Kernels kPlainKernels = MakePlainKernels();

}  // namespace

const Kernels& PlainKernels() { return kPlainKernels; }

}  // namespace fmtc
