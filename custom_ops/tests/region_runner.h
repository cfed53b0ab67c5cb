// A program of a region with what it needs to run, all of it in blocks of exact size.
#ifndef FMTC_TESTS_REGION_RUNNER_H_
#define FMTC_TESTS_REGION_RUNNER_H_

#include <cstdint>
#include <random>
#include <vector>

#include "base/crc32c.h"
#include "region/kernels/dispatch.h"
#include "region/kernels/levels.h"
#include "region/region.h"
#include "region/team.h"
#include "tests/expect.h"
#include "tests/program_builder.h"

namespace fmtc::test {

// Of every level that this machine has, in both encodings where it has them, plain C++ first.
inline std::vector<const region::RowKernels*> AllRowKernels() {
  std::vector<const region::RowKernels*> all;
  for (const char* const* name = kCpuLevels; *name != nullptr; ++name) {
    CpuLevel level;
    if (FindCpuLevel(*name, &level)) all.push_back(&region::RowKernelsOf(level));
  }
#if defined(__x86_64__) && !defined(FMTC_SMALL)
  CpuLevel level;
  if (HasAvxVnni() && FindCpuLevel("avx512", &level)) all.push_back(&region::RowKernelsAvx512VlVnni());
#endif
  return all;
}

constexpr uint64_t kTeamPatience = 5'000'000'000;  // until all have come, on the busiest machine

class OwnedRegion {
 public:
  explicit OwnedRegion(const ProgramBytes& bytes) : bytes_(bytes) {
    status_ = region::OpenProgram(bytes_.data(), bytes_.size(), ExtendCrc32c, &program_);
    if (status_ != Status::kOk) return;
    memory_.resize(region::StateBytes(program_));
    state_ = region::CarveState(program_, memory_.data());
    status_ = region::CheckProgram(program_, &state_);
  }

  Status status() const { return status_; }
  Status run_status() const { return run_status_; }  // of the last run
  const region::Program& program() const { return program_; }

  std::vector<std::vector<uint8_t>> RandomInputs(int32_t batch, uint32_t seed) const {
    std::mt19937 random(seed);
    std::vector<std::vector<uint8_t>> inputs;
    for (int i = 0; i < program_.header->inputs; ++i) {
      inputs.emplace_back(ItemBytes(state_.input_tensors[i]) * static_cast<size_t>(batch));
      for (uint8_t& value : inputs.back()) value = static_cast<uint8_t>(random());
    }
    return inputs;
  }

  // The outputs. Scratch memory holds `fill` before.
  std::vector<std::vector<uint8_t>> Run(int32_t batch, const std::vector<std::vector<uint8_t>>& inputs, uint8_t fill,
                                        const region::RowKernels& kernels = region::PlainRowKernels(),
                                        const Workers& workers = {}, uint64_t patience = kTeamPatience,
                                        region::Way way = region::Way::kFastest) {
    std::vector<const uint8_t*> in;
    for (const auto& input : inputs) in.push_back(input.data());
    std::vector<std::vector<uint8_t>> outputs;
    std::vector<uint8_t*> out;
    for (int i = 0; i < program_.header->outputs; ++i) {
      outputs.emplace_back(ItemBytes(state_.output_tensors[i]) * static_cast<size_t>(batch));
    }
    for (auto& output : outputs) out.push_back(output.data());
    std::vector<uint8_t> scratch(program_.header->scratch_bytes, fill);
    const region::RunArguments arguments{in.data(), out.data(), batch, scratch.data(), nullptr};
    if (workers.run == nullptr) {
      run_status_ = region::Run(program_, kernels, arguments, &state_);
    } else {
      region::Team* team = region::MakeTeam(program_, static_cast<int>(workers.count), &state_, way);
      EXPECT(team != nullptr);
      run_status_ = region::RunInTeam(program_, kernels, arguments, workers, patience, team);
      region::FreeTeam(team);
    }
    return outputs;
  }

 private:
  size_t ItemBytes(uint16_t tensor) const { return region::ItemBytes(program_.tensors[tensor]); }

  AlignedProgram bytes_;
  std::vector<uint8_t> memory_;
  region::Program program_;
  region::State state_;
  Status status_;
  Status run_status_ = Status::kOk;
};

}  // namespace fmtc::test

#endif  // FMTC_TESTS_REGION_RUNNER_H_
