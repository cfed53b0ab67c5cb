// Puts programs of regions (REGION.md) together.
#ifndef FMTC_TESTS_PROGRAM_BUILDER_H_
#define FMTC_TESTS_PROGRAM_BUILDER_H_

#include <cstdint>
#include <cstdlib>
#include <vector>

#include "region/program.h"
#include "tests/program_checksum.h"

namespace fmtc::test {

// Records may be changed until Finish, which places tensors in scratch memory, none over another, and finds the steps.
class ProgramBuilder {
 public:
  uint16_t AddTensor(uint8_t place, uint8_t type, uint32_t height, uint32_t width, uint32_t channels);
  region::TensorRecord& tensor(uint16_t index) { return tensors_[index]; }
  size_t num_tensors() const { return tensors_.size(); }

  // Its offset.
  uint32_t AddArray(const void* data, size_t bytes, uint32_t alignment = 4);
  template <typename T>
  uint32_t AddArray(const std::vector<T>& values, uint32_t alignment = 4) {
    return AddArray(values.data(), values.size() * sizeof(T), alignment);
  }

  template <typename T>
  void AddOp(uint8_t kind, uint8_t rule, const std::vector<uint16_t>& inputs, uint16_t output, const T& parameters,
             size_t memory_bytes = 0) {
    AddOpRecord(kind, rule, inputs, output, AddArray(&parameters, sizeof(T)), sizeof(T), memory_bytes);
  }
  void AddOp(uint8_t kind, uint8_t rule, const std::vector<uint16_t>& inputs, uint16_t output) {
    AddOpRecord(kind, rule, inputs, output, AddArray(nullptr, 0), 0, 0);
  }
  void AddOpWithMemory(uint8_t kind, uint8_t rule, uint16_t input, uint16_t output, size_t memory_bytes) {
    AddOpRecord(kind, rule, {input}, output, AddArray(nullptr, 0), 0, memory_bytes);
  }

  // A pass ends behind the ops so far, unless the program is in strips. What later passes read stays, and what a pass
  // leaves lies over what it reads of the one before as far as that is read by then.
  void EndPass() {
    if (!ops_.empty() && (pass_ends_.empty() || pass_ends_.back() < ops_.size())) pass_ends_.push_back(ops_.size());
  }

  // In column strips, as many as the outputs have columns at most. `windowed`: tensors hold a strip's columns only.
  ProgramBytes Finish(uint32_t strips = 1, bool windowed = false);

 private:
  void AddOpRecord(uint8_t kind, uint8_t rule, const std::vector<uint16_t>& inputs, uint16_t output,
                   uint32_t parameters, uint32_t parameter_bytes, size_t memory_bytes);
  region::Program View() const;
  void MakeRing(uint16_t tensor);
  void Place(uint32_t strips);
  std::vector<region::Window> WindowsOf(uint32_t strip, uint32_t strips) const;
  bool IsInOnePass(uint16_t tensor) const;
  bool IsReadBehind(uint16_t tensor, size_t ops) const;
  std::vector<std::vector<uint16_t>> StepsOf() const;
  void Overlay(const std::vector<std::vector<uint16_t>>& steps);
  bool Spares(const std::vector<uint16_t>& steps, uint16_t read, uint16_t written) const;

  ProgramBytes content_ = ProgramBytes(sizeof(region::Header));
  std::vector<region::TensorRecord> tensors_;
  std::vector<region::OpRecord> ops_;
  std::vector<size_t> pass_ends_;
  uint16_t num_inputs_ = 0, num_outputs_ = 0;
  uint32_t scratch_bytes_ = 0;
};

// A copy at a multiple of kProgramAlignment, as OpenProgram wants it.
class AlignedProgram {
 public:
  explicit AlignedProgram(const ProgramBytes& bytes);
  AlignedProgram(const AlignedProgram&) = delete;
  AlignedProgram& operator=(const AlignedProgram&) = delete;
  ~AlignedProgram() { std::free(memory_); }

  const uint8_t* data() const { return memory_; }
  size_t size() const { return size_; }

 private:
  uint8_t* memory_;
  size_t size_;
};

}  // namespace fmtc::test

#endif  // FMTC_TESTS_PROGRAM_BUILDER_H_
