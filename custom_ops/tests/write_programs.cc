// Writes random programs of regions to stdout, for tools/make_region_vectors.py: each as its bytes (u32) and itself.
//
//   write_programs FIRST_SEED COUNT
#include <cstdio>
#include <cstdlib>

#include "tests/random_program.h"

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const uint32_t first = static_cast<uint32_t>(std::strtoul(argv[1], nullptr, 10));
  const uint32_t count = static_cast<uint32_t>(std::strtoul(argv[2], nullptr, 10));
  for (uint32_t seed = first; seed < first + count; ++seed) {
    const fmtc::test::ProgramBytes program = fmtc::test::RandomProgram(seed);
    const uint32_t bytes = static_cast<uint32_t>(program.size());
    if (std::fwrite(&bytes, sizeof(bytes), 1, stdout) != 1) return 1;
    if (std::fwrite(program.data(), 1, program.size(), stdout) != program.size()) return 1;
  }
  return 0;
}
