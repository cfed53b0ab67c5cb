// Runs the fuzz targets on inputs that follow from a seed, at every level of kernels, without libFuzzer.
//
//   fuzz_driver [--target NAME] [--level NAME] [--inputs N] [--seed N] [--artifacts FOLDER]
//   fuzz_driver --target NAME [--level NAME] --replay FILE
//   fuzz_driver --targets
//
// --inputs are in total, as many for each target and level. Each pair runs in a process of its own: if that dies, the
// input that it was at is written to a file, which --replay takes, and the others go on. Exit code 1 if any died.
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "fuzz/target.h"
#include "tests/levels.h"

// Of AddressSanitizer, if there is one: blocks are small and live for one input, so that few need to stay poisoned.
extern "C" const char* __asan_default_options();
const char* __asan_default_options() { return "quarantine_size_mb=1:thread_local_quarantine_size_kb=64"; }

namespace fmtc::fuzz {
namespace {

// Of which few share the time that a case takes to build.
constexpr uint32_t kInputsOfSmallCase = 256;
constexpr uint32_t kInputsOfLargeCase = 4;
constexpr unsigned kMaxSecondsOfCase = 300;  // else it hangs

struct Options {
  const char* target = nullptr;
  const char* level = nullptr;
  uint64_t inputs = 300000;
  uint32_t seed = 1;
  const char* artifacts = ".";
  const char* replay = nullptr;
};

// What the process that runs inputs tells the one that waits for it.
struct Progress {
  uint64_t inputs, accepted;
  double seconds;  // of processor time
  uint32_t case_number, input_seed;
};

double ProcessorSeconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

struct TargetAtLevel {
  const Target* target;
  KernelChoice level;
};

// Seeds stand for different cases, so that runs with different ones add up.
void RunInputs(const TargetAtLevel& pair, uint32_t seed, uint64_t inputs, Progress* progress) {
  const double start = ProcessorSeconds();
  for (progress->case_number = seed * 1000003; progress->inputs < inputs; ++progress->case_number) {
    alarm(kMaxSecondsOfCase);
    progress->input_seed = 0;
    const FuzzCase c(progress->case_number);
    const uint32_t of_case = FuzzCase::IsLarge(c.number()) ? kInputsOfLargeCase : kInputsOfSmallCase;
    for (; progress->input_seed < of_case && progress->inputs < inputs; ++progress->input_seed) {
      const Input input = MakeInput(*pair.target, c, progress->input_seed);
      progress->accepted += RunInput(*pair.target, c, pair.level.kernels, input);
      ++progress->inputs;
    }
  }
  progress->seconds = ProcessorSeconds() - start;
}

void WriteArtifact(const TargetAtLevel& pair, const Options& options, const Progress& progress) {
  const FuzzCase c(progress.case_number);
  const Bytes bytes = WriteInput(MakeInput(*pair.target, c, progress.input_seed));
  const std::string path = std::string(options.artifacts) + "/" + pair.target->name + "-" + pair.level.level + "-" +
                           std::to_string(progress.case_number) + "-" + std::to_string(progress.input_seed);
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  std::printf("FAILED: seed %" PRIu32 ", case %" PRIu32 ", input %" PRIu32
              "; replay with\n  fuzz_driver --target %s --level %s --replay %s\n",
              options.seed, progress.case_number, progress.input_seed, pair.target->name, pair.level.level,
              path.c_str());
}

// False if the run died.
bool Supervise(const TargetAtLevel& pair, const Options& options, uint64_t inputs, uint64_t* total) {
  void* const shared = mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) std::abort();
  Progress* const progress = new (shared) Progress{};
  std::fflush(stdout);
  const pid_t child = fork();
  if (child < 0) std::abort();
  if (child == 0) {
    RunInputs(pair, options.seed, inputs, progress);
    std::exit(0);
  }
  int status = 0;
  const bool passed = waitpid(child, &status, 0) == child && status == 0;
  *total += progress->inputs;
  std::printf("%-14s %-6s %10" PRIu64 " inputs, %10" PRIu64 " refused, %10" PRIu64 " accepted, %7.0f inputs/s\n",
              pair.target->name, pair.level.level, progress->inputs, progress->inputs - progress->accepted,
              progress->accepted, passed ? static_cast<double>(progress->inputs) / progress->seconds : 0);
  if (!passed) WriteArtifact(pair, options, *progress);
  munmap(shared, sizeof(Progress));
  return passed;
}

int Replay(const TargetAtLevel& pair, const char* path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    std::fprintf(stderr, "cannot read %s\n", path);
    return 2;
  }
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const Input input = ReadInput(reinterpret_cast<const uint8_t*>(text.data()), text.size());
  const FuzzCase c(input.case_number);
  std::printf("%s\n", RunInput(*pair.target, c, pair.level.kernels, input) ? "accepted" : "refused");
  return 0;
}

bool Matches(const char* wanted, const char* name) { return wanted == nullptr || std::strcmp(wanted, name) == 0; }

std::vector<TargetAtLevel> ChosenPairs(const Options& options) {
  std::vector<TargetAtLevel> pairs;
  for (const Target& target : kTargets) {
    std::vector<KernelChoice> levels = test::AllLevels();
    if (!target.has_levels) levels = {{options.level != nullptr ? options.level : "any", nullptr}};
    for (const KernelChoice& level : levels) {
      if (Matches(options.target, target.name) && Matches(options.level, level.level))
        pairs.push_back({&target, level});
    }
  }
  return pairs;
}

int Run(const Options& options) {
  const std::vector<TargetAtLevel> pairs = ChosenPairs(options);
  if (pairs.empty()) {
    std::fprintf(stderr, "there is no such target, or this machine has no such level\n");
    return 2;
  }
  if (options.replay != nullptr) return Replay(pairs[0], options.replay);
  bool passed = true;
  uint64_t total = 0;
  for (const TargetAtLevel& pair : pairs) {
    passed &= Supervise(pair, options, (options.inputs + pairs.size() - 1) / pairs.size(), &total);
  }
  std::printf("%" PRIu64 " inputs\n", total);
  return passed ? 0 : 1;
}

bool ReadOptions(int argc, char** argv, Options* options) {
  for (int i = 1; i < argc; i += 2) {
    const std::string name = argv[i];
    if (i + 1 == argc) return false;
    const char* const value = argv[i + 1];
    if (name == "--target") {
      options->target = value;
    } else if (name == "--level") {
      options->level = value;
    } else if (name == "--inputs") {
      options->inputs = std::strtoull(value, nullptr, 10);
    } else if (name == "--seed") {
      options->seed = static_cast<uint32_t>(std::strtoul(value, nullptr, 10));
    } else if (name == "--artifacts") {
      options->artifacts = value;
    } else if (name == "--replay") {
      options->replay = value;
    } else {
      return false;
    }
  }
  return options->replay == nullptr || options->target != nullptr;
}

}  // namespace
}  // namespace fmtc::fuzz

int main(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "--targets") == 0) {
    for (const fmtc::fuzz::Target& target : fmtc::fuzz::kTargets) std::puts(target.name);
    return 0;
  }
  fmtc::fuzz::Options options;
  if (fmtc::fuzz::ReadOptions(argc, argv, &options)) return fmtc::fuzz::Run(options);
  std::fprintf(stderr,
               "usage: %s [--target NAME] [--level NAME] [--inputs N] [--seed N] [--artifacts FOLDER]\n"
               "       %s --target NAME [--level NAME] --replay FILE\n"
               "       %s --targets\n",
               argv[0], argv[0], argv[0]);
  return 2;
}
