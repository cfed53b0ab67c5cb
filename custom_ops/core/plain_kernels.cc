#include "core/plain_kernels.h"

#include "core/crc32c.h"

namespace fmtc {

const Kernels& PlainKernels() {
  static constexpr Kernels kKernels = {
      AnalyzeRowPlain,     SynthesizeRowPlain,  DecodeRunPlain,    SplitRunPlain, EncodeRunPlain, PlanesToPixelsPlain,
      PixelsToPlanesPlain, ResidualsOfRowPlain, IndicesOfRowPlain, ExtendCrc32c,  false};
  return kKernels;
}

}  // namespace fmtc
