// Runs a fuzz target on mutations of its seeds, the same in every run: what the normal tests keep of fuzzing.
//
//   <target> [iterations]
#include <algorithm>
#include <cstdlib>
#include <random>

#include "fuzz/fuzz_target.h"

namespace {

using Bytes = std::vector<uint8_t>;

constexpr uint32_t kNumSeeds = 64;
constexpr long kDefaultIterations = 12000;

void Mutate(std::mt19937* random, const Bytes& other, Bytes* bytes) {
  const auto place = [&](size_t size) { return static_cast<long>((*random)() % (size + 1)); };
  switch ((*random)() % 6) {
    case 0:  // flip a bit
      if (!bytes->empty()) (*bytes)[(*random)() % bytes->size()] ^= static_cast<uint8_t>(1u << (*random)() % 8);
      break;
    case 1:  // set a byte
      if (!bytes->empty()) (*bytes)[(*random)() % bytes->size()] = static_cast<uint8_t>((*random)());
      break;
    case 2:  // cut the end off
      bytes->resize(static_cast<size_t>(place(bytes->size())));
      break;
    case 3:  // remove a piece
      bytes->erase(bytes->begin() + place(bytes->size() / 2), bytes->end() - place(bytes->size() / 2));
      break;
    case 4:  // insert bytes
      bytes->insert(bytes->begin() + place(bytes->size()), 1 + (*random)() % 9, static_cast<uint8_t>((*random)()));
      break;
    case 5:  // continue with another input
      bytes->resize(std::min(bytes->size(), static_cast<size_t>(place(other.size()))));
      bytes->insert(bytes->end(), other.begin() + static_cast<long>(bytes->size()), other.end());
      break;
  }
}

}  // namespace

int main(int argc, char** argv) {
  const long iterations = argc > 1 ? std::strtol(argv[1], nullptr, 10) : kDefaultIterations;
  std::vector<Bytes> seeds;
  for (uint32_t i = 0; i < kNumSeeds; ++i) seeds.push_back(fmtc::fuzz::MakeSeed(i));
  std::mt19937 random(1);
  for (long i = 0; i < iterations; ++i) {
    Bytes input = seeds[random() % kNumSeeds];
    // One in eight as it is: the seeds themselves must pass, too.
    for (uint32_t mutations = random() % 8; mutations > 0; --mutations) {
      Mutate(&random, seeds[random() % kNumSeeds], &input);
    }
    LLVMFuzzerTestOneInput(input.data(), input.size());
  }
  return 0;
}
