#include "fuzz/hostile_region.h"

#include "fuzz/mutate_region.h"
#include "tests/region_runner.h"

namespace fmtc::fuzz {

using Bytes = std::vector<uint8_t>;
using region::RowKernels;

bool RunRegion(Choices choices, const Bytes& bytes) {
  test::OwnedRegion region(bytes);
  if (region.status() != Status::kOk) return false;
  if (!IsCheap(region.program())) return true;
  const int32_t batch = 1 + static_cast<int32_t>(choices.Below(2));
  const std::vector<Bytes> inputs = region.RandomInputs(batch, choices.Below(1 << 16));
  const uint8_t fill = choices.Byte();
  for (const RowKernels* kernels : test::AllRowKernels()) region.Run(batch, inputs, fill, *kernels);
  return true;
}

}  // namespace fmtc::fuzz
