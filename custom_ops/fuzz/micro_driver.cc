// Gives hostile programs to the executor for microcontrollers, through its C API: valid ones, damaged, with every
// buffer a block of exact size.
//
//   fuzz_micro VECTORS [INPUTS [SEED]]
//
// VECTORS: tests/golden/region_vectors.bin or what has its layout. Each input follows from a seed of its own, from SEED
// on; the seed of one that ends the run is told, and `fuzz_micro VECTORS 1 SEED` repeats it.
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "fuzz/mutate_region.h"
#include "micro/fmtc_region.h"
#include "tests/expect.h"

// Of the sanitizers, if there are any.
extern "C" [[gnu::weak]] void __sanitizer_set_death_callback(void (*callback)());

namespace fmtc::fuzz {
namespace {

using Bytes = std::vector<uint8_t>;

constexpr uint64_t kUsualInputs = 100000;
constexpr size_t kMostScratchBytes = 1 << 20;

uint64_t seed_at = 0;
void TellSeed() { std::fprintf(stderr, "seed %" PRIu64 "\n", seed_at); }

std::vector<Bytes> ReadPrograms(const char* path) {
  std::ifstream file(path, std::ios::binary);
  const std::vector<char> content((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (content.size() < 8) return {};
  const uint8_t* const bytes = reinterpret_cast<const uint8_t*>(content.data());
  std::vector<Bytes> programs(Load<uint32_t>(bytes + 4));
  size_t at = 8;
  for (Bytes& program : programs) {
    uint32_t others = Load<uint32_t>(bytes + at + 4) + Load<uint32_t>(bytes + at + 8);
    at += 12;
    const uint32_t size = Load<uint32_t>(bytes + at);
    program.assign(bytes + at + 4, bytes + at + 4 + size);
    for (at += 4 + size; others > 0; --others) at += 4 + Load<uint32_t>(bytes + at);
  }
  return programs;
}

// A block of malloc, which aligns enough, and behind which AddressSanitizer sees what is read.
using Block = std::unique_ptr<uint8_t, decltype(&std::free)>;
Block MakeBlock(size_t bytes) {
  return Block(static_cast<uint8_t*>(std::calloc(bytes > 0 ? bytes : 1, 1)), &std::free);
}

struct Pointers {
  std::vector<Block> blocks;
  std::vector<void*> all;

  void Add(size_t bytes, uint8_t fill) {
    blocks.push_back(MakeBlock(bytes));
    all.push_back(blocks.back().get());
    std::memset(all.back(), fill, bytes);
  }
};

// Rows as a camera delivers them, each in memory of its own, and one too many.
void PushRows(fmtc_region_runner* runner, const uint8_t* input, void* const* outputs) {
  const size_t row_bytes = fmtc_region_row_bytes(runner);
  EXPECT(fmtc_region_begin(runner, outputs) == FMTC_REGION_OK);
  const int32_t rows = fmtc_region_rows(runner);
  for (int32_t y = 0; y <= rows; ++y) {
    const Block row = MakeBlock(row_bytes);
    std::memcpy(row.get(), input + static_cast<size_t>(y < rows ? y : 0) * row_bytes, row_bytes);
    EXPECT(fmtc_region_push_row(runner, row.get()) == (y < rows ? FMTC_REGION_OK : FMTC_REGION_ROW_TOO_MANY));
  }
}

// Whether the program was accepted.
bool RunProgram(Choices* choices, const Bytes& bytes) {
  const Block program = MakeBlock(bytes.size());
  if (!bytes.empty()) std::memcpy(program.get(), bytes.data(), bytes.size());
  size_t scratch_bytes = 0;
  if (fmtc_region_scratch_bytes_of(program.get(), bytes.size(), &scratch_bytes) != FMTC_REGION_OK) return false;
  if (scratch_bytes > kMostScratchBytes) return false;
  const bool is_short = scratch_bytes > 0 && choices->OneIn(64);
  if (is_short) scratch_bytes = choices->Below(scratch_bytes);
  const uint8_t fill = choices->Byte();
  const Block scratch = MakeBlock(scratch_bytes);
  std::memset(scratch.get(), fill, scratch_bytes);
  fmtc_region_runner runner;
  const int32_t status = fmtc_region_init(&runner, program.get(), bytes.size(), scratch.get(), scratch_bytes);
  EXPECT(!is_short || status == FMTC_REGION_SCRATCH_TOO_SMALL);
  region::Program opened;
  if (status != FMTC_REGION_OK) return false;
  EXPECT(region::OpenProgram(program.get(), bytes.size(), ExtendCrc32c, &opened) == Status::kOk);
  if (!IsCheap(opened)) return true;
  Pointers inputs, outputs;
  for (int32_t i = 0; i < fmtc_region_num_inputs(&runner); ++i) {
    inputs.Add(fmtc_region_bytes_of_input(&runner, i), choices->Byte());
  }
  for (int32_t i = 0; i < fmtc_region_num_outputs(&runner); ++i) {
    outputs.Add(fmtc_region_bytes_of_output(&runner, i), fill);
  }
  EXPECT(fmtc_region_invoke(&runner, inputs.all.data(), outputs.all.data()) == FMTC_REGION_OK);
  if (fmtc_region_begin(&runner, outputs.all.data()) == FMTC_REGION_OK) {
    PushRows(&runner, static_cast<const uint8_t*>(inputs.all[0]), outputs.all.data());
  }
  return true;
}

// Those of its kinds and rules.
std::vector<Bytes> AcceptedOf(const std::vector<Bytes>& programs) {
  std::vector<Bytes> accepted;
  for (const Bytes& program : programs) {
    Choices choices(1);
    if (RunProgram(&choices, program)) accepted.push_back(program);
  }
  return accepted;
}

int Run(const std::vector<Bytes>& programs, uint64_t inputs, uint64_t seed) {
  if (__sanitizer_set_death_callback != nullptr) __sanitizer_set_death_callback(TellSeed);
  uint64_t accepted = 0;
  for (seed_at = seed; seed_at < seed + inputs; ++seed_at) {
    Choices choices(seed_at);
    Bytes bytes = programs[choices.Below(programs.size())];
    MutateRegion(&choices, &bytes);
    accepted += RunProgram(&choices, bytes);
  }
  std::printf("%" PRIu64 " inputs, %" PRIu64 " refused, %" PRIu64 " accepted\n", inputs, inputs - accepted, accepted);
  return accepted > 0 || inputs == 1 ? 0 : 1;
}

}  // namespace
}  // namespace fmtc::fuzz

int main(int argc, char** argv) {
  const auto programs = fmtc::fuzz::AcceptedOf(fmtc::fuzz::ReadPrograms(argc > 1 ? argv[1] : ""));
  if (programs.empty() || argc > 4) {
    std::fprintf(stderr, "usage: %s VECTORS [INPUTS [SEED]]\n", argv[0]);
    return 2;
  }
  const uint64_t inputs = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : fmtc::fuzz::kUsualInputs;
  return fmtc::fuzz::Run(programs, inputs, argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 1);
}
