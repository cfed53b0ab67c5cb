// Convolutions of two rows that are computed together: the same bytes as one after the other.
#include <cstdint>
#include <cstring>
#include <vector>

#include "base/bytes.h"
#include "base/features.h"
#include "region/parameters.h"
#include "region/prepared_row.h"
#include "tests/expect.h"
#include "tests/program_builder.h"
#include "tests/random_inputs.h"
#include "tests/region_runner.h"

namespace fmtc {
namespace {

using test::Draw;
using test::OwnedRegion;
using test::ProgramBytes;
using test::Random;
using Bytes = std::vector<uint8_t>;

struct Shape {
  uint16_t width, in_channels, out_channels, kernel, stride;
};

enum class Way {
  kTogether,  // a step right behind the other
  kApart,     // a reader follows each row
  kOverlaid,  // together, and the second row lies over an input row that only the first one reads
};

// Two rows of a convolution between copies.
ProgramBytes Convolution(const Shape& s, Way way, Random* random) {
  test::ProgramBuilder builder;
  const uint16_t height = static_cast<uint16_t>(2 * s.stride), width = static_cast<uint16_t>(s.width * s.stride);
  const uint16_t side = static_cast<uint16_t>(s.kernel / 2);
  const uint16_t input = builder.AddTensor(region::kInput, region::kInt8, height, width, s.in_channels);
  const uint16_t source = builder.AddTensor(region::kScratch, region::kInt8, height, width, s.in_channels);
  const uint16_t result = builder.AddTensor(region::kScratch, region::kInt8, 2, s.width, s.out_channels);
  const uint16_t output = builder.AddTensor(region::kOutput, region::kInt8, 2, s.width, s.out_channels);
  builder.tensor(source).left = builder.tensor(source).right = side;
  builder.tensor(source).padding = 77;
  region::MacParameters p{};
  p.window = {s.kernel, s.kernel, s.stride, s.stride, 1, 1, side, side};
  p.group_channels = s.in_channels;
  p.groups = 1;
  p.zero = 100;
  p.high = 250;
  const size_t entries = (s.out_channels + 15u) / 16 * 16, k = size_t{s.kernel} * s.kernel * s.in_channels;
  std::vector<int8_t> weights(entries * k);
  for (int8_t& w : weights) w = static_cast<int8_t>((*random)());
  std::vector<int32_t> biases(entries);
  for (int32_t& b : biases) b = Draw(random, -20000, 20000);
  p.weights_offset = builder.AddArray(weights, 64);
  p.biases_offset = builder.AddArray(biases);
  p.multipliers_offset = builder.AddArray(std::vector<float>(entries, 0.01f / s.kernel));
  builder.AddOp(region::kCopy, 1, {input}, source);
  builder.EndPass();
  builder.AddOp(region::kConv, kFloat32Rule, {source}, result, p, side == 0 ? 0 : size_t{s.kernel} * s.in_channels);
  if (way != Way::kApart) builder.EndPass();
  builder.AddOp(region::kCopy, 1, {result}, output);
  ProgramBytes bytes = builder.Finish();
  auto* header = reinterpret_cast<region::Header*>(bytes.data());
  auto* tensors = reinterpret_cast<region::TensorRecord*>(bytes.data() + header->tensors_offset);
  tensors[result].offset = header->scratch_bytes;
  header->scratch_bytes += RoundUp(2 * tensors[result].row_bytes, 64u);
  if (way == Way::kOverlaid) {
    tensors[source].offset = tensors[result].offset + tensors[result].row_bytes;
    header->scratch_bytes += RoundUp(height * tensors[source].row_bytes, 64u);
  }
  test::RepairChecksum(&bytes);
  return bytes;
}

struct Checked {
  test::AlignedProgram bytes;
  region::Program program;
  Bytes memory;
  region::State state;

  explicit Checked(const ProgramBytes& from) : bytes(from) {
    EXPECT(region::OpenProgram(bytes.data(), bytes.size(), ExtendCrc32c, &program) == Status::kOk);
    memory.resize(region::StateBytes(program));
    state = region::CarveState(program, memory.data());
    EXPECT(region::CheckProgram(program, &state) == Status::kOk);
  }
  bool is_pair() const { return state.ops[1].row->places.is_pair; }
};

void CheckLevels(const ProgramBytes& program, bool is_pair) {
  EXPECT(Checked(program).is_pair() == (is_pair && kHasVectors));
  OwnedRegion region(program);
  const std::vector<Bytes> inputs = region.RandomInputs(2, 1);
  const std::vector<Bytes> expected = region.Run(2, inputs, 0);
  for (const region::RowKernels* k : test::AllRowKernels()) EXPECT(region.Run(2, inputs, 255, *k) == expected);
}

void TestShapes() {
  Random random(1);
  for (uint16_t width = 1; width <= 4; ++width) {
    for (const uint16_t kernel : {uint16_t{1}, uint16_t{3}}) {
      for (const uint16_t channels : {uint16_t{64}, uint16_t{80}, uint16_t{128}}) {
        const Shape shape{width, 16, channels, kernel, static_cast<uint16_t>(Draw(&random, 1, 2))};
        CheckLevels(Convolution(shape, Way::kTogether, &random), width < 4);
        CheckLevels(Convolution(shape, Way::kApart, &random), false);
      }
    }
  }
}

void TestOverlaidRows() {
  Random random(2);
  CheckLevels(Convolution({2, 64, 128, 1, 2}, Way::kOverlaid, &random), false);
}

// A trace sees each row when its step is done.
void TestTraces() {
  Random random(3);
  Checked pair(Convolution({2, 16, 64, 3, 1}, Way::kTogether, &random));
  EXPECT(pair.is_pair() == kHasVectors);
  Bytes in(2 * 2 * 16), out(2 * 2 * 64), result, scratch(pair.program.header->scratch_bytes);
  for (uint8_t& value : in) value = static_cast<uint8_t>(random());
  for (const region::RowKernels* kernels : test::AllRowKernels()) {
    result.assign(out.size(), 0);
    const uint8_t* const inputs[] = {in.data()};
    uint8_t* const outputs[] = {out.data()};
    uint8_t* const tensors[] = {nullptr, nullptr, result.data(), nullptr};
    const region::Trace trace{tensors, nullptr, nullptr, nullptr};
    const region::RunArguments arguments{inputs, outputs, 1, scratch.data(), &trace};
    EXPECT(region::Run(pair.program, *kernels, arguments, &pair.state) == Status::kOk);
    EXPECT(result == out);
  }
}

}  // namespace
}  // namespace fmtc

int main() {
  fmtc::TestShapes();
  fmtc::TestOverlaidRows();
  fmtc::TestTraces();
  return 0;
}
