// Programs of regions: valid ones run and give the same whatever scratch memory held, in however many strips and with
// the kernels of every level; others are refused.
#include "region/region.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "base/crc32c.h"
#include "region/kind.h"
#include "region/parameters.h"
#include "tests/expect.h"
#include "tests/random_coders.h"
#include "tests/random_program.h"
#include "tests/region_runner.h"

namespace fmtc {
namespace {

using test::OwnedRegion;
using test::ProgramBytes;
using Bytes = std::vector<uint8_t>;

void TestRandomProgramsRun() {
  std::set<int> kinds;
  for (uint32_t seed = 0; seed < 3000; ++seed) {
    const ProgramBytes bytes = test::RandomProgram(seed);
    OwnedRegion region(bytes);
    if (region.status() != Status::kOk) {
      std::fprintf(stderr, "seed %u: %s\n", seed, StatusMessage(region.status()));
    }
    EXPECT(region.status() == Status::kOk);
    for (int i = 0; i < region.program().header->ops; ++i) kinds.insert(region.program().ops[i].kind);
    const std::vector<Bytes> inputs = region.RandomInputs(2, seed);
    const std::vector<Bytes> outputs = region.Run(2, inputs, 0x00);
    for (const region::RowKernels* kernels : test::AllRowKernels()) {
      EXPECT(region.Run(2, inputs, 0xFF, *kernels) == outputs);
    }
    for (uint32_t strips = 1; strips <= 3; ++strips) {
      OwnedRegion other(test::RandomProgram(seed, strips, seed % 2 == 0));
      EXPECT(other.Run(2, inputs, 0xA5) == outputs);
    }
  }
  for (int kind = 0; kind < 256; ++kind) {
    EXPECT((kinds.count(kind) != 0) == (region::FindKind(static_cast<uint8_t>(kind)) != nullptr));
  }
}

void TestHeaderIsChecked() {
  const ProgramBytes good = test::RandomProgram(7);
  EXPECT(OwnedRegion(good).status() == Status::kOk);
  const auto status_with = [&good](size_t offset, uint8_t value, bool repair) {
    ProgramBytes bytes = good;
    bytes[offset] = value;
    if (repair) test::RepairChecksum(&bytes);
    return OwnedRegion(bytes).status();
  };
  EXPECT(status_with(0, 'f', true) == Status::kProgramCorrupt);
  EXPECT(status_with(4, 2, true) == Status::kProgramVersion);
  EXPECT(status_with(4, 0, true) == Status::kProgramCorrupt);
  EXPECT(status_with(7, 1, true) == Status::kProgramCorrupt);
  EXPECT(status_with(70, static_cast<uint8_t>(good[70] ^ 1), false) == Status::kProgramChecksum);
  EXPECT(OwnedRegion(ProgramBytes(good.begin(), good.end() - 16)).status() == Status::kProgramTruncated);
  EXPECT(OwnedRegion(ProgramBytes(good.begin(), good.begin() + 32)).status() == Status::kProgramTruncated);
  ProgramBytes longer = good;
  longer.resize(longer.size() + 16);
  EXPECT(OwnedRegion(longer).status() == Status::kProgramCorrupt);

  region::Program program;
  EXPECT(region::OpenProgram(nullptr, 64, ExtendCrc32c, &program) == Status::kInvalidArgument);
  alignas(16) uint8_t memory[80] = {};
  EXPECT(region::OpenProgram(memory + 1, 64, ExtendCrc32c, &program) == Status::kProgramUnaligned);
}

// A map times a second operand of another shape.
Status StatusOfProduct(uint32_t height, uint32_t width, uint32_t channels, uint8_t rule, int8_t shift) {
  test::ProgramBuilder builder;
  const auto copied_input = [&builder](uint32_t rows, uint32_t columns, uint32_t depth) {
    const uint16_t input = builder.AddTensor(region::kInput, region::kUInt8, rows, columns, depth);
    const uint16_t copy = builder.AddTensor(region::kScratch, region::kUInt8, rows, columns, depth);
    builder.AddOp(region::kCopy, 1, {input}, copy);
    return copy;
  };
  const uint16_t a = copied_input(4, 6, 8);
  const uint16_t b = copied_input(height, width, channels);
  const uint16_t product = builder.AddTensor(region::kScratch, region::kUInt8, 4, 6, 8);
  const uint16_t output = builder.AddTensor(region::kOutput, region::kUInt8, 4, 6, 8);
  region::MultiplyParameters p{};
  p.high = 255;
  p.scale = 1 << 30;
  p.shift = shift;
  builder.AddOp(region::kMultiply, rule, {a, b}, product, p);
  builder.AddOp(region::kCopy, 1, {product}, output);
  return OwnedRegion(builder.Finish()).status();
}

void TestSecondOperandsAreChecked() {
  EXPECT(StatusOfProduct(4, 6, 8, kDoubleRounding, -8) == Status::kOk);
  EXPECT(StatusOfProduct(1, 1, 8, kDoubleRounding, -8) == Status::kOk);
  EXPECT(StatusOfProduct(4, 6, 1, kDoubleRounding, -8) == Status::kOk);
  EXPECT(StatusOfProduct(2, 6, 8, kDoubleRounding, -8) == Status::kProgramInvalid);
  EXPECT(StatusOfProduct(4, 3, 8, kDoubleRounding, -8) == Status::kProgramInvalid);
  EXPECT(StatusOfProduct(4, 6, 16, kDoubleRounding, -8) == Status::kProgramInvalid);
  EXPECT(StatusOfProduct(1, 1, 8, kDoubleRounding, 31) == Status::kProgramInvalid);
  EXPECT(StatusOfProduct(1, 1, 8, kFloat32Rule, -8) == Status::kProgramInvalid);
  EXPECT(StatusOfProduct(1, 1, 8, kHalfUp, -8) == Status::kProgramUnsupported);
}

// Two copies through a ring of one row.
ProgramBytes Copies(const std::vector<uint16_t>& steps) {
  test::ProgramBuilder builder;
  const uint16_t input = builder.AddTensor(region::kInput, region::kInt8, 2, 3, 5);
  const uint16_t ring = builder.AddTensor(region::kScratch, region::kInt8, 2, 3, 5);
  const uint16_t output = builder.AddTensor(region::kOutput, region::kUInt8, 2, 3, 5);
  builder.AddOp(region::kCopy, 1, {input}, ring);
  builder.AddOp(region::kCopy, 1, {ring}, output);
  ProgramBytes bytes = builder.Finish();
  const auto* header = reinterpret_cast<const region::Header*>(bytes.data());
  EXPECT(header->steps == 4);
  std::memcpy(bytes.data() + header->steps_offset, steps.data(), steps.size() * sizeof(uint16_t));
  test::RepairChecksum(&bytes);
  return bytes;
}

void TestScheduleIsPlayed() {
  EXPECT(OwnedRegion(Copies({0, 1, 0, 1})).status() == Status::kOk);
  const std::vector<std::vector<uint16_t>> wrong = {
      {1, 0, 0, 1},  // reads a row before it is written
      {0, 0, 1, 1},  // or after another one took its place
      {0, 1, 0, 0},  // a step too many, and one too few
      {0, 1, 2, 1},  // no such op
  };
  for (const std::vector<uint16_t>& steps : wrong) {
    EXPECT(OwnedRegion(Copies(steps)).status() == Status::kProgramSchedule);
  }
}

test::SideInfoSpec Storable(test::Transform transform, uint32_t seed = 5, uint32_t channels = 5) {
  test::Random random(seed);
  return test::RandomStorable(&random, channels, transform);
}

// A copy of the input through segments.
struct Coders {
  ProgramBytes bytes;
  region::TensorRecord* tensors;  // input, copy, segments, decoded map, output
  region::OpRecord* ops;          // COPY, ENCODE, DECODE, COPY

  explicit Coders(uint32_t groups = 1, const test::SideInfoSpec& spec = Storable(test::Transform::kLossless)) {
    test::Random random(5);
    test::ProgramBuilder builder;
    const uint16_t input = builder.AddTensor(region::kInput, region::kInt8, 8, 6, 5);
    const uint16_t copy = builder.AddTensor(region::kScratch, region::kInt8, 8, 6, 5);
    builder.AddOp(region::kCopy, 1, {input}, copy);
    const uint16_t decoded = test::AddCoders(&random, &builder, copy, {3, groups}, spec);
    builder.AddOp(region::kCopy, 1, {decoded}, builder.AddTensor(region::kOutput, region::kInt8, 8, 6, 5));
    bytes = builder.Finish();
    const auto* header = reinterpret_cast<const region::Header*>(bytes.data());
    tensors = reinterpret_cast<region::TensorRecord*>(bytes.data() + header->tensors_offset);
    ops = reinterpret_cast<region::OpRecord*>(bytes.data() + header->ops_offset);
  }

  region::EncodeParameters* parameters() {
    return reinterpret_cast<region::EncodeParameters*>(bytes.data() + ops[1].parameters_offset);
  }
};

void TestCodersAreChecked() {
  const auto status_with = [](auto change) {
    Coders coders;
    change(&coders);
    test::RepairChecksum(&coders.bytes);
    return OwnedRegion(coders.bytes).status();
  };
  EXPECT(status_with([](Coders*) {}) == Status::kOk);
  EXPECT(status_with([](Coders* c) { c->ops[1].rule = 2; }) == Status::kProgramUnsupported);
  EXPECT(status_with([](Coders* c) { --c->tensors[2].channels; }) == Status::kOk);  // there is a little more room
  EXPECT(status_with([](Coders* c) { c->tensors[2].channels = 3 * 6 * 5 + 3; }) == Status::kProgramInvalid);
  EXPECT(status_with([](Coders* c) { c->tensors[2].type = region::kInt8; }) == Status::kProgramInvalid);
  EXPECT(status_with([](Coders* c) { c->tensors[2].height = 9; }) != Status::kOk);
  EXPECT(status_with([](Coders* c) { c->ops[1].memory_bytes = 16; }) == Status::kProgramInvalid);
  EXPECT(status_with([](Coders* c) { c->ops[2].memory_bytes = 16; }) == Status::kProgramInvalid);
  EXPECT(status_with([](Coders* c) { c->parameters()->side_info_bytes -= 16; }) == Status::kProgramUnsupported ||
         status_with([](Coders* c) { c->parameters()->side_info_bytes -= 16; }) == Status::kSideInfoTruncated);
  EXPECT(status_with([](Coders* c) { c->parameters()->side_info_offset += 16; }) != Status::kOk);
  EXPECT(status_with([](Coders* c) { c->parameters()->side_info_offset += 4; }) == Status::kProgramInvalid);
  EXPECT(status_with([](Coders* c) { c->parameters()->reserved[0] = 1; }) == Status::kProgramInvalid);
  // Groups of columns.
  const auto status_with_ends = [](std::vector<uint16_t> ends) {
    Coders coders(static_cast<uint32_t>(ends.size()));
    EXPECT(OwnedRegion(coders.bytes).status() == Status::kOk);
    std::memcpy(coders.bytes.data() + coders.parameters()->column_ends_offset, ends.data(), ends.size() * 2);
    test::RepairChecksum(&coders.bytes);
    return OwnedRegion(coders.bytes).status();
  };
  EXPECT(status_with_ends({1, 2, 3, 4, 5, 6}) == Status::kOk);
  EXPECT(status_with_ends({1, 2, 3, 3, 5, 6}) == Status::kProgramInvalid);
  EXPECT(status_with_ends({1, 2, 3, 4, 6, 5}) == Status::kProgramInvalid);
  EXPECT(status_with_ends({1, 2, 3, 4, 5, 7}) == Status::kProgramInvalid);
  EXPECT(status_with_ends({0, 6}) == Status::kProgramInvalid);
  EXPECT(status_with([](Coders* c) { c->parameters()->column_ends_offset = c->ops[1].inputs_offset | 1; }) ==
         Status::kProgramInvalid);
  EXPECT(status_with([](Coders* c) { c->parameters()->column_ends_offset = 0xFFFFFFFE; }) == Status::kProgramInvalid);
  EXPECT(status_with([](Coders* c) { c->tensors[2].width = 2; }) != Status::kOk);
  // A map that is not the one that was encoded.
  EXPECT(status_with([](Coders* c) { std::swap(c->tensors[3].width, c->tensors[3].height); }) != Status::kOk);
}

void TestSideInformationOfCodersIsChecked() {
  const auto status_with = [](auto change) {
    test::SideInfoSpec spec = Storable(test::Transform::kStep);
    change(&spec);
    return OwnedRegion(Coders(1, spec).bytes).status();
  };
  EXPECT(status_with([](test::SideInfoSpec*) {}) == Status::kOk);
  EXPECT(status_with([](test::SideInfoSpec* s) { s->checksum = true; }) == Status::kProgramUnsupported);
  EXPECT(status_with([](test::SideInfoSpec* s) { s->max_level = 1; }) == Status::kProgramUnsupported);
  EXPECT(status_with([](test::SideInfoSpec* s) { s->segment_rows = 1; }) == Status::kProgramUnsupported);
  EXPECT(status_with([](test::SideInfoSpec* s) {
           s->synthesis = {std::vector<int16_t>(25), std::vector<int32_t>(5), 1};
         }) == Status::kProgramUnsupported);
  EXPECT(status_with([](test::SideInfoSpec* s) { *s = Storable(test::Transform::kStep, 5, 4); }) ==
         Status::kProgramInvalid);
}

// Through segments of a region a map becomes what it becomes through coded tensors.
void TestSegmentsHaveTheCodecsValues() {
  for (uint32_t seed = 0; seed < 40; ++seed) {
    const test::SideInfoSpec spec = Storable(seed % 4 == 0 ? test::Transform::kLossless : test::Transform::kStep, seed);
    OwnedRegion region(Coders(1 + seed % 3, spec).bytes);
    EXPECT(region.status() == Status::kOk);
    const std::vector<Bytes> inputs = region.RandomInputs(2, seed);
    const test::OwnedCodec codec(test::BuildSideInfo(spec));
    MapPlan plan;
    EXPECT(PlanMap(codec.codec(), 2, 8, 6, &plan) == Status::kOk);
    Bytes coded(plan.batch * plan.item_capacity), workspace(EncodeWorkspaceSize(codec.codec(), plan));
    size_t coded_bytes = 0;
    EXPECT(Encode(codec.codec(), plan, ElementType::kInt8, inputs[0].data(), inputs[0].size(), coded.data(),
                  coded.size(), &coded_bytes, workspace.data(), workspace.size()) == Status::kOk);
    Bytes expected(plan.decoder_output_bytes);
    workspace.resize(DecodeWorkspaceSize(codec.codec(), plan));
    EXPECT(Decode(codec.codec(), plan, ElementType::kInt8, coded.data(), coded_bytes, expected.data(), expected.size(),
                  workspace.data(), workspace.size()) == Status::kOk);
    EXPECT(region.Run(2, inputs, 0xFF)[0] == expected);
  }
}

// A program that puts something over its segments gets a status, and nothing else happens.
void TestDamagedSegmentsAreFound() {
  Coders coders;
  // All segments are encoded first, and the first decoded row lies over the second one.
  coders.tensors[2].depth = coders.tensors[2].height;
  coders.tensors[3].offset = coders.tensors[2].offset + coders.tensors[2].row_bytes;
  const std::vector<uint16_t> steps = {0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 1, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3};
  const auto* header = reinterpret_cast<const region::Header*>(coders.bytes.data());
  EXPECT(header->steps == steps.size());
  std::memcpy(coders.bytes.data() + header->steps_offset, steps.data(), steps.size() * sizeof(uint16_t));
  test::RepairChecksum(&coders.bytes);
  OwnedRegion region(coders.bytes);
  EXPECT(region.status() == Status::kOk);
  const std::vector<Bytes> inputs = region.RandomInputs(2, 1);
  region.Run(2, inputs, 0x00);
  EXPECT(region.run_status() == Status::kStreamCorrupt);

  Coders good;
  test::RepairChecksum(&good.bytes);
  OwnedRegion copies(good.bytes);
  EXPECT(copies.Run(2, inputs, 0xFF) == inputs);
  EXPECT(copies.run_status() == Status::kOk);
}

// A 2x2 convolution between copies, in two strips, with one of its records or parameters changed.
struct Parts {
  region::Header* header;
  region::TensorRecord* tensors;  // input, source, result, output
  region::OpRecord* ops;          // copy, convolution, copy
  region::PassRecord* passes;
  region::Window* windows;  // of the second pass
  region::MacParameters* convolution;
};

Status StatusWith(void (*change)(const Parts&)) {
  test::ProgramBuilder builder;
  const uint16_t input = builder.AddTensor(region::kInput, region::kInt8, 4, 6, 4);
  const uint16_t source = builder.AddTensor(region::kScratch, region::kInt8, 4, 6, 4);
  const uint16_t result = builder.AddTensor(region::kScratch, region::kInt8, 4, 6, 16);
  const uint16_t output = builder.AddTensor(region::kOutput, region::kInt8, 4, 6, 16);
  builder.tensor(source).right = 1;
  region::MacParameters p{};
  p.window = {2, 2, 1, 1, 1, 1, 0, 0};
  p.group_channels = 4;
  p.groups = 1;
  p.high = 255;
  p.weights_offset = builder.AddArray(std::vector<int8_t>(16 * 16, 1), 64);
  p.biases_offset = builder.AddArray(std::vector<int32_t>(16));
  p.multipliers_offset = builder.AddArray(std::vector<int32_t>(16, 1 << 30));
  p.shifts_offset = builder.AddArray(std::vector<int8_t>(16, -8));
  builder.AddOp(region::kCopy, 1, {input}, source);
  builder.AddOp(region::kConv, 1, {source}, result, p, 8);
  builder.AddOp(region::kCopy, 1, {result}, output);
  ProgramBytes bytes = builder.Finish(2);
  uint8_t* const b = bytes.data();
  auto* header = reinterpret_cast<region::Header*>(b);
  auto* ops = reinterpret_cast<region::OpRecord*>(b + header->ops_offset);
  auto* passes = reinterpret_cast<region::PassRecord*>(b + header->passes_offset);
  change({header, reinterpret_cast<region::TensorRecord*>(b + header->tensors_offset), ops, passes,
          reinterpret_cast<region::Window*>(b + passes[1].windows_offset),
          reinterpret_cast<region::MacParameters*>(b + ops[1].parameters_offset)});
  test::RepairChecksum(&bytes);
  return OwnedRegion(bytes).status();
}

void TestUnknownIsRefused() {
  EXPECT(StatusWith([](const Parts&) {}) == Status::kOk);
  EXPECT(StatusWith([](const Parts& p) { p.ops[0].kind = 200; }) == Status::kProgramUnsupported);
  EXPECT(StatusWith([](const Parts& p) { p.ops[0].kind = 0; }) == Status::kProgramUnsupported);
  EXPECT(StatusWith([](const Parts& p) { p.ops[1].rule = 6; }) == Status::kProgramUnsupported);
  EXPECT(StatusWith([](const Parts& p) { p.convolution->layout = 2; }) == Status::kProgramUnsupported);
  EXPECT(StatusWith([](const Parts& p) { p.tensors[1].form = 1; }) == Status::kProgramUnsupported);
}

void TestContradictionsAreRefused() {
  void (*const kChanges[])(const Parts&) = {
      [](const Parts& p) { p.tensors[1].offset = p.header->scratch_bytes; },
      [](const Parts& p) { p.tensors[1].offset += 8; },
      [](const Parts& p) { p.tensors[1].phase = p.tensors[1].depth; },
      [](const Parts& p) { p.tensors[1].between = p.tensors[1].depth; },
      [](const Parts& p) { p.tensors[0].between = 1; },
      [](const Parts& p) { p.tensors[1].row_bytes = 16; },
      [](const Parts& p) { p.tensors[1].pixel_bytes = 3; },
      [](const Parts& p) { p.tensors[1].width = 0; },
      [](const Parts& p) { p.tensors[0].row_bytes += 1; },
      [](const Parts& p) { p.tensors[0].number = 1; },
      [](const Parts& p) { p.tensors[3].type = region::kFloat32; },
      [](const Parts& p) { p.tensors[2].place = 3; },
      [](const Parts& p) { p.ops[1].output = 1; },
      [](const Parts& p) { p.ops[1].output = 9; },
      [](const Parts& p) { p.ops[1].inputs = 2; },
      [](const Parts& p) { p.ops[1].parameter_bytes = 60; },
      [](const Parts& p) { p.ops[1].memory_bytes = 0; },
      [](const Parts& p) { p.ops[1].memory_offset = p.header->scratch_bytes; },
      [](const Parts& p) { p.convolution->groups = 0; },
      [](const Parts& p) { p.convolution->group_channels = 5; },
      [](const Parts& p) { p.ops[1].parameters_offset = p.header->bytes; },
      // Of one input channel, whose weights' room is asked for before anything is checked.
      [](const Parts& p) {
        p.convolution->group_channels = 1, p.convolution->weight_zero = 0, p.tensors[2].channels = 0;
      },
      [](const Parts& p) { p.convolution->group_channels = 1, p.convolution->weights_offset = p.header->bytes - 64; },
      [](const Parts& p) { p.convolution->window.row_stride = 0; },
      [](const Parts& p) { p.convolution->window.kernel_rows = 257; },
      [](const Parts& p) { p.convolution->window.above = 2; },
      [](const Parts& p) { p.convolution->weights_offset += 4; },
      [](const Parts& p) { p.convolution->weights_offset = p.header->bytes - 64; },
      [](const Parts& p) { p.convolution->biases_offset = p.header->bytes; },
      [](const Parts& p) { p.convolution->shifts_offset = p.convolution->weights_offset - 32; },
  };
  for (const auto change : kChanges) EXPECT(StatusWith(change) == Status::kProgramInvalid);
}

void TestWindowsAreChecked() {
  void (*const kChanges[])(const Parts&) = {
      [](const Parts& p) { p.windows[2].first = p.windows[2].end; },
      [](const Parts& p) { p.windows[2].end = 7; },
      [](const Parts& p) { p.windows[2].first += 1; },
      [](const Parts& p) { p.windows[0].end -= 1; },
      [](const Parts& p) { p.tensors[1].right = 0; },
      [](const Parts& p) { p.passes[1].windows_offset = p.header->bytes; },
      [](const Parts& p) { p.passes[1].first_step += 1; },
      [](const Parts& p) { p.passes[1].first_op = 1; },
      [](const Parts& p) { p.passes[1].ops = 4; },
      [](const Parts& p) { p.header->passes = 1; },
  };
  for (const auto change : kChanges) EXPECT(StatusWith(change) == Status::kProgramSchedule);
}

void TestCopiesChangeSigns() {
  OwnedRegion region(Copies({0, 1, 0, 1}));
  const std::vector<Bytes> inputs = region.RandomInputs(3, 1);
  Bytes expected = inputs[0];
  for (uint8_t& value : expected) value ^= 0x80;
  EXPECT(region.Run(3, inputs, 0)[0] == expected);
}

}  // namespace
}  // namespace fmtc

int main() {
  fmtc::TestRandomProgramsRun();
  fmtc::TestSecondOperandsAreChecked();
  fmtc::TestHeaderIsChecked();
  fmtc::TestCodersAreChecked();
  fmtc::TestSideInformationOfCodersIsChecked();
  fmtc::TestSegmentsHaveTheCodecsValues();
  fmtc::TestDamagedSegmentsAreFound();
  fmtc::TestScheduleIsPlayed();
  fmtc::TestUnknownIsRefused();
  fmtc::TestContradictionsAreRefused();
  fmtc::TestWindowsAreChecked();
  fmtc::TestCopiesChangeSigns();
  return 0;
}
