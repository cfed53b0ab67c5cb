// Writes side information (FORMAT.md section 2) for tests, fuzz targets and the benchmark.
#ifndef FMTC_TESTS_SIDE_INFO_BUILDER_H_
#define FMTC_TESTS_SIDE_INFO_BUILDER_H_

#include <cstdint>
#include <vector>

#include "codec/codec.h"

namespace fmtc::test {

struct ClassSpec {
  uint8_t offset = 0;
  uint8_t constant = 0;
  std::vector<uint8_t> widths;  // log2
  std::vector<uint8_t> counts;
};

struct MatrixSpec {
  std::vector<int16_t> matrix;
  std::vector<int32_t> bias;
  uint8_t shift = 0;
};

// A synthesis matrix in bytes; its expansion, bias and shift are the spec's `synthesis`.
struct CompactSpec {
  std::vector<int8_t> weights;
  std::vector<uint16_t> multipliers;
  uint8_t expansion_shift = 0;
};

// Tables by class and context; there are none if this is empty.
struct ContextSpec {
  std::vector<uint8_t> one_sided;  // [components] 0 or 1
  std::vector<uint8_t> tables;     // [classes][kNoRowAbove + 1]
};

// A synthesis that is a convolution; absent if the rule is 0.
struct ConvolutionSpec {
  uint8_t rule = 0;
  int8_t weight_zero = 0;
  uint8_t zero = 128, low = 0, high = 255;
  std::vector<int8_t> weights;  // [channels][components]
  std::vector<int32_t> biases;
  std::vector<uint8_t> multipliers;  // bytes of the rule's type
  std::vector<int8_t> shifts;        // empty for the rules in floating point
};

struct SideInfoSpec {
  uint32_t channels = 1;
  uint8_t max_level = 0;
  uint16_t segment_rows = 0;  // other than 0: version 2
  bool checksum = true;
  int8_t lo = -128, hi = 127;
  int8_t centre = 0;
  uint16_t step = 16;
  std::vector<uint8_t> classes_of;  // [components]
  std::vector<uint8_t> predictors;  // [components]
  std::vector<int8_t> centres;      // empty or [components]
  std::vector<uint16_t> steps;      // empty or [components]
  ContextSpec contexts;
  std::vector<ClassSpec> classes;  // or, with contexts, the tables
  MatrixSpec analysis, synthesis;  // absent if the matrix is empty
  CompactSpec compact;             // absent if there are no weights
  ConvolutionSpec convolution;     // version 2
};

std::vector<uint8_t> BuildSideInfo(const SideInfoSpec& spec);

// Rewrites the checksum of side information whose bytes were changed.
void FixSideInfoChecksum(std::vector<uint8_t>* side_info);

// The least expensive class of at most 16 tokens for these counts of residuals, by dynamic programming.
ClassSpec FitClass(const uint32_t histogram[256]);

// A codec and the memory that it points into.
class OwnedCodec {
 public:
  explicit OwnedCodec(std::vector<uint8_t> side_info);
  OwnedCodec(const OwnedCodec&) = delete;
  OwnedCodec& operator=(const OwnedCodec&) = delete;
  ~OwnedCodec();

  Status status() const { return status_; }
  const Codec& codec() const { return codec_; }

 private:
  std::vector<uint8_t> side_info_;
  void* memory_ = nullptr;
  Status status_;
  Codec codec_;
};

}  // namespace fmtc::test

#endif  // FMTC_TESTS_SIDE_INFO_BUILDER_H_
