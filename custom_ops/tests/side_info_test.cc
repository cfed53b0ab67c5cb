// Side information: what is written is read, and every kind of damage is refused.
#include <cstdint>
#include <vector>

#include "base/features.h"
#include "codec/codec.h"
#include "tests/expect.h"
#include "tests/random_inputs.h"

namespace fmtc {
namespace {

using test::Random;
using test::SideInfoSpec;
using test::Transform;

using Bytes = std::vector<uint8_t>;
constexpr Transform kTransforms[] = {Transform::kLossless, Transform::kStep, Transform::kKlt, Transform::kFolded};

Status StatusOf(const Bytes& side_info) { return test::OwnedCodec(side_info).status(); }

// A spec with 5 components in 2 classes of 3 tokens, for changes of known bytes.
SideInfoSpec SmallSpec() {
  SideInfoSpec spec;
  spec.channels = 5;
  spec.classes_of = {0, 1, 0, 1, 0};
  spec.predictors = {0, 1, 2, 3, 4};
  spec.classes = {{128, 0, {7, 6, 6}, {32, 16, 16}}, {0, 1, {6, 6, 7}, {1, 62, 1}}};
  return spec;
}

void TestFieldsAreRead() {
  SideInfoSpec spec = SmallSpec();
  spec.centres = {-128, -1, 0, 1, 127};
  spec.steps = {16, 17, 304, 3840, 3968};
  spec.lo = -100;
  spec.hi = 90;
  spec.max_level = 3;
  const Bytes bytes = BuildSideInfo(spec);
  SideInfo info;
  SideInfoSizes sizes;
  EXPECT(ParseSideInfo(bytes.data(), bytes.size(), &sizes, &info) == Status::kOk);
  EXPECT(info.channels == 5 && info.components == 5 && info.num_classes == 2 && info.max_level == 3);
  EXPECT(info.lo == -100 && info.hi == 90 && info.has_checksum && !info.has_analysis && !info.has_synthesis);
  for (uint32_t j = 0; j < 5; ++j) {
    EXPECT(info.ComponentClass(j) == spec.classes_of[j] && info.ComponentPredictor(j) == spec.predictors[j]);
    EXPECT(info.ComponentCentre(j) == spec.centres[j] && info.ComponentStep(j) == spec.steps[j]);
  }
  EXPECT(info.classes[1].WidthLog2(2) == 7 && info.classes[1].counts[1] == 62 && info.classes[1].constant == 1);
}

void TestEveryByteMatters() {
  Random random(2);
  for (Transform transform : kTransforms) {
    Bytes bytes = BuildSideInfo(RandomSpec(&random, 9, transform, 0));
    EXPECT(StatusOf(bytes) == Status::kOk);
    for (size_t i = 0; i < bytes.size(); ++i) {
      bytes[i] ^= 1u << i % 8;
      EXPECT(StatusOf(bytes) != Status::kOk);
      bytes[i] ^= 1u << i % 8;
    }
    for (size_t length = 0; length < bytes.size(); ++length) {
      EXPECT(StatusOf(Bytes(bytes.begin(), bytes.begin() + static_cast<long>(length))) == Status::kSideInfoTruncated);
    }
    bytes.resize(bytes.size() + 16);
    EXPECT(StatusOf(bytes) == Status::kSideInfoCorrupt);
  }
}

// Bytes that are consistent except for one.
void ExpectRefused(const SideInfoSpec& spec, size_t at, uint8_t value, Status expected = Status::kSideInfoCorrupt) {
  Bytes bytes = BuildSideInfo(spec);
  EXPECT(StatusOf(bytes) == Status::kOk);
  EXPECT(bytes[at] != value);
  bytes[at] = value;
  test::FixSideInfoChecksum(&bytes);
  EXPECT(StatusOf(bytes) == expected);
}

void TestHeaderIsChecked() {
  SideInfoSpec spec = SmallSpec();
  spec.lo = 10;
  spec.hi = 20;
  ExpectRefused(spec, 0, 'X');
  ExpectRefused(spec, 4, 0);
  const Status left_out_status = kSmall ? Status::kSideInfoUnsupported : Status::kSideInfoCorrupt;
  ExpectRefused(spec, 4, 2, left_out_status);  // without an extension
  ExpectRefused(spec, 4, 3, Status::kSideInfoVersion);
  ExpectRefused(spec, 5, 16 | 32);                  // unknown flag
  ExpectRefused(spec, 5, 16 | 1, left_out_status);  // analysis without synthesis
  ExpectRefused(spec, 5, 16 | 2, left_out_status);  // synthesis with shift 0
  ExpectRefused(spec, 6, 0);                        // classes
  ExpectRefused(spec, 6, 1);
  ExpectRefused(spec, 6, 9);
  ExpectRefused(spec, 7, 6);   // levels
  ExpectRefused(spec, 16, 4);  // channels below and above the components
  ExpectRefused(spec, 16, 6);
  ExpectRefused(spec, 18, 2);
  ExpectRefused(spec, 25, 9);   // hi below lo
  ExpectRefused(spec, 27, 1);   // shifts without a matrix
  ExpectRefused(spec, 28, 15);  // steps 15 and 4112
  ExpectRefused(spec, 29, 16);
  ExpectRefused(spec, 30, 1);
  ExpectRefused(spec, 31, 1);
}

void TestExtensionIsChecked() {
  SideInfoSpec spec = SmallSpec();
  spec.segment_rows = 259;
  const Bytes bytes = BuildSideInfo(spec);
  if (!kHasVersion2) {
    EXPECT(StatusOf(bytes) == Status::kSideInfoUnsupported);
    return;
  }
  SideInfo info;
  SideInfoSizes sizes;
  EXPECT(ParseSideInfo(bytes.data(), bytes.size(), &sizes, &info) == Status::kOk);
  EXPECT(info.version == 2 && info.segment_rows == 259);
  ExpectRefused(spec, 4, 1);
  for (size_t at = 35; at < 48; ++at) ExpectRefused(spec, at, 1);
  ExpectRefused(spec, 48, 8);  // a one-sided component without contexts

  spec.contexts.one_sided = {1, 0, 0, 1, 0};
  for (uint8_t i = 0; i < 2 * (kNoRowAbove + 1); ++i) spec.contexts.tables.push_back(i % 3);
  spec.classes.push_back(spec.classes[0]);
  EXPECT(StatusOf(BuildSideInfo(spec)) == Status::kOk);
  ExpectRefused(spec, 34, 0);
  ExpectRefused(spec, 34, 2);
  ExpectRefused(spec, 34, 9);
  constexpr size_t kMap = 48 + 5;
  ExpectRefused(spec, kMap, 3);                // a fourth table
  ExpectRefused(spec, kMap + 15, 1 | 1 << 4);  // of a context that there is not
}

// What only decoders read is version 2 of side information alone; coded tensors stay as they are.
void TestConvolutionsAreChecked() {
  if (kSmall) return;
  SideInfoSpec spec = SmallSpec();
  spec.convolution.rule = kHalfUp;
  spec.convolution.weight_zero = -3;
  spec.convolution.weights.assign(25, 1);
  spec.convolution.biases.assign(5, 1000);
  for (int i = 0; i < 5; ++i) spec.convolution.multipliers.insert(spec.convolution.multipliers.end(), {0, 0, 0, 64});
  spec.convolution.shifts.assign(5, -31);
  const Bytes bytes = BuildSideInfo(spec);
  SideInfo info;
  SideInfoSizes sizes;
  EXPECT(ParseSideInfo(bytes.data(), bytes.size(), &sizes, &info) == Status::kOk);
  EXPECT(info.version == 2 && info.StreamVersion() == 1 && info.is_convolution() && info.has_synthesis);
  EXPECT(info.convolution.weight_zero == -3 && info.ExpandedSynthesis(4, 4) == 4 && info.EncoderChannels() == 5);
  ExpectRefused(spec, 5, 16);      // no synthesis
  ExpectRefused(spec, 5, 16 | 2);  // not in bytes
  ExpectRefused(spec, 30, 1);      // shifts of other syntheses
  ExpectRefused(spec, 31, 1);
  ExpectRefused(spec, 35, 6);  // no such rule here
  const size_t shifts = bytes.size() - 16;
  const size_t multipliers = shifts - 32;
  ExpectRefused(spec, multipliers - 12, 1);    // behind the fields
  ExpectRefused(spec, multipliers + 3, 63);    // below 2^30
  ExpectRefused(spec, multipliers + 3, 0xC0);  // below 0
  ExpectRefused(spec, multipliers + 20, 1);    // padding
  ExpectRefused(spec, shifts, 0xE0);           // -32
  ExpectRefused(spec, shifts, 31);
  spec.convolution.rule = kFloat32Rule;  // of 2.0
  spec.convolution.shifts.clear();
  ExpectRefused(spec, multipliers + 3, 0x80);  // -0
  ExpectRefused(spec, multipliers + 3, 0xC0);  // -2
}

void TestComponentsAndClassesAreChecked() {
  const SideInfoSpec spec = SmallSpec();
  ExpectRefused(spec, 32, 2);         // class 2 of 2
  ExpectRefused(spec, 32, 0x50);      // predictor 5
  constexpr size_t kRecord = 32 + 5;  // the first class
  ExpectRefused(spec, kRecord + 2, 1);
  ExpectRefused(spec, kRecord + 2, 17);
  ExpectRefused(spec, kRecord + 3, 0x77);  // widths sum to 320
  ExpectRefused(spec, kRecord + 3, 0x68);  // width 2^8
  ExpectRefused(spec, kRecord + 4, 0x16);  // the nibble of a fourth width
  ExpectRefused(spec, kRecord + 5, 31);    // counts sum to 63
  ExpectRefused(spec, kRecord + 5, 0);
  ExpectRefused(spec, kRecord + 16, 1);  // padding

  SideInfoSpec unused_class = spec;
  unused_class.classes_of.assign(5, 0);
  EXPECT(StatusOf(BuildSideInfo(unused_class)) == Status::kSideInfoCorrupt);
  SideInfoSpec full_count = spec;
  full_count.classes[0] = {0, 0, {7, 7}, {64, 0}};
  EXPECT(StatusOf(BuildSideInfo(full_count)) == Status::kSideInfoCorrupt);
  SideInfoSpec coarse_step = spec;
  coarse_step.steps = {16, 16, 4081, 16, 16};
  EXPECT(StatusOf(BuildSideInfo(coarse_step)) == Status::kSideInfoCorrupt);
}

SideInfoSpec IdentityTransform() {
  SideInfoSpec spec = SmallSpec();
  spec.analysis.shift = spec.synthesis.shift = 1;
  spec.analysis.matrix.assign(25, 0);
  spec.analysis.bias.assign(5, 0);
  for (size_t j = 0; j < 5; ++j) spec.analysis.matrix[6 * j] = 2;
  spec.synthesis = spec.analysis;
  return spec;
}

void TestCompactSynthesis() {
  if (kSmall) return;
  SideInfoSpec spec = SmallSpec();
  spec.steps.clear();
  spec.centres.clear();
  spec.step = 32;
  spec.synthesis.shift = 1;
  spec.synthesis.matrix.assign(25, 0);  // not written, but tells that there is one
  spec.synthesis.bias.assign(5, 0);
  spec.compact.weights.assign(25, -128);
  spec.compact.multipliers.assign(5, 65535);
  spec.compact.expansion_shift = 13;  // (-128 * 65535 * 32 + 2^12) >> 13 = -32767
  EXPECT(StatusOf(BuildSideInfo(spec)) == Status::kOk);
  const test::OwnedCodec codec(BuildSideInfo(spec));
  EXPECT(codec.status() == Status::kOk && codec.codec().side_info.ExpandedSynthesis(4, 4) == -32767);
  SideInfoSpec wrong = spec;
  wrong.compact.expansion_shift = 12;  // does not fit 16 bits
  EXPECT(StatusOf(BuildSideInfo(wrong)) == Status::kSideInfoCorrupt);
  wrong.compact.expansion_shift = 0;
  EXPECT(StatusOf(BuildSideInfo(wrong)) == Status::kSideInfoCorrupt);
  wrong.compact.expansion_shift = 41;
  EXPECT(StatusOf(BuildSideInfo(wrong)) == Status::kSideInfoCorrupt);
  ExpectRefused(spec, 5, 16 | 32);           // compact, and no matrix
  ExpectRefused(spec, 5, 1 | 2 | 16 | 32);   // beside an analysis matrix
  ExpectRefused(spec, 5, 64 | 2 | 16 | 32);  // unknown flag
}

void TestSumsAreBounded() {
  SideInfoSpec spec = IdentityTransform();
  if (kSmall) {
    EXPECT(StatusOf(BuildSideInfo(spec)) == Status::kSideInfoUnsupported);
    return;
  }
  // 128 * 2 + bias + 2^1 < 2^31 and 255 * 2 + bias + 2^1 < 2^31.
  spec.analysis.bias[4] = INT32_MAX - 258;
  spec.synthesis.bias[0] = -(INT32_MAX - 512);
  EXPECT(StatusOf(BuildSideInfo(spec)) == Status::kOk);
  SideInfoSpec large = spec;
  ++large.analysis.bias[4];
  EXPECT(StatusOf(BuildSideInfo(large)) == Status::kSideInfoCorrupt);
  large = spec;
  --large.synthesis.bias[0];
  EXPECT(StatusOf(BuildSideInfo(large)) == Status::kSideInfoCorrupt);
  large = spec;
  large.max_level = 1;
  EXPECT(StatusOf(BuildSideInfo(large)) == Status::kSideInfoCorrupt);

  spec = IdentityTransform();
  spec.analysis.shift = 26;
  spec.max_level = 4;
  EXPECT(StatusOf(BuildSideInfo(spec)) == Status::kOk);
  spec.max_level = 5;
  EXPECT(StatusOf(BuildSideInfo(spec)) == Status::kSideInfoCorrupt);
  spec.max_level = 0;
  spec.centre = 1;
  EXPECT(StatusOf(BuildSideInfo(spec)) == Status::kSideInfoCorrupt);
}

void TestCallerMemoryIsChecked() {
  const Bytes bytes = BuildSideInfo(SmallSpec());
  size_t needed = 0;
  EXPECT(CodecMemorySize(bytes.data(), bytes.size(), &needed) == Status::kOk);
  EXPECT(CodecMemorySize(nullptr, 64, &needed) == Status::kInvalidArgument);
  EXPECT(CodecMemorySize(bytes.data(), 31, &needed) == Status::kSideInfoTruncated);
  alignas(64) static uint8_t memory[1 << 16];
  Codec codec;
  EXPECT(InitCodec(bytes.data(), bytes.size(), memory, needed, &codec) == Status::kOk);
  EXPECT(InitCodec(bytes.data(), bytes.size(), memory, needed - 1, &codec) == Status::kBufferTooSmall);
  EXPECT(InitCodec(bytes.data(), bytes.size(), memory + 1, needed, &codec) == Status::kInvalidArgument);
  EXPECT(InitCodec(bytes.data(), bytes.size(), nullptr, needed, &codec) == Status::kInvalidArgument);
}

}  // namespace
}  // namespace fmtc

int main() {
  fmtc::TestFieldsAreRead();
  fmtc::TestEveryByteMatters();
  fmtc::TestHeaderIsChecked();
  fmtc::TestExtensionIsChecked();
  fmtc::TestConvolutionsAreChecked();
  fmtc::TestComponentsAndClassesAreChecked();
  fmtc::TestCompactSynthesis();
  fmtc::TestSumsAreBounded();
  fmtc::TestCallerMemoryIsChecked();
  return 0;
}
