// Whole maps: decoding gives what the definitions of FORMAT.md say, within the capacity, and damage is survived.
#include "codec/codec.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "base/bytes.h"
#include "base/features.h"
#include "codec/geometry.h"
#include "tests/expect.h"
#include "tests/expected_output.h"
#include "tests/random_inputs.h"

namespace fmtc {
namespace {

using test::ClassSpec;
using test::Draw;
using test::OwnedCodec;
using test::Random;
using test::SideInfoSpec;
using test::Transform;

using Bytes = std::vector<uint8_t>;
constexpr Transform kTransforms[] = {Transform::kLossless, Transform::kStep, Transform::kKlt, Transform::kFolded};
constexpr uint8_t kUntouched = 0xA5;

// Encodes and decodes with buffers of exactly the sizes that are asked for.
class Subject {
 public:
  Subject(const SideInfoSpec& spec, ElementType type, int64_t batch, int64_t height, int64_t width)
      : spec_(spec), type_(type), codec_(BuildSideInfo(spec)) {
    EXPECT(codec_.status() == Status::kOk);
    EXPECT(PlanMap(codec_.codec(), batch, height, width, &plan_) == Status::kOk);
  }

  const MapPlan& plan() const { return plan_; }
  const Codec& codec() const { return codec_.codec(); }
  size_t capacity() const { return plan_.batch * plan_.item_capacity; }

  Status TryEncode(const Bytes& map, size_t capacity, Bytes* payload) const {
    Bytes workspace(EncodeWorkspaceSize(codec(), plan_));
    Bytes output(capacity + 16, kUntouched);
    size_t payload_bytes = 0;
    const Status status = Encode(codec(), plan_, type_, map.data(), map.size(), output.data(), capacity, &payload_bytes,
                                 workspace.data(), workspace.size());
    EXPECT(payload_bytes <= capacity);
    EXPECT(std::count(output.begin() + static_cast<long>(capacity), output.end(), kUntouched) == 16);
    payload->assign(output.begin(), output.begin() + static_cast<long>(payload_bytes));
    return status;
  }

  Bytes EncodeMap(const Bytes& map, size_t capacity) const {
    Bytes payload;
    EXPECT(TryEncode(map, capacity, &payload) == Status::kOk);
    return payload;
  }

  Status TryDecode(const Bytes& payload, Bytes* map) const {
    Bytes workspace(DecodeWorkspaceSize(codec(), plan_));
    map->assign(plan_.decoder_output_bytes, 0);
    return Decode(codec(), plan_, type_, payload.data(), payload.size(), map->data(), map->size(), workspace.data(),
                  workspace.size());
  }

  void CheckRoundTrip(const Bytes& map, size_t capacity) const {
    const Bytes payload = EncodeMap(map, capacity);
    Bytes decoded;
    EXPECT(TryDecode(payload, &decoded) == Status::kOk);
    const uint32_t level = payload.empty() ? 0 : payload[6];
    EXPECT(decoded == test::ExpectedOutput(spec_, type_, level, map));
  }

  Status SetStride(int64_t height, int64_t width) { return SetDecoderStride(codec(), height, width, &plan_); }

  Bytes RandomInput(Random* random) const { return test::RandomMap(random, plan_.encoder_input_bytes); }

 private:
  SideInfoSpec spec_;
  ElementType type_;
  OwnedCodec codec_;
  MapPlan plan_;
};

ElementType DrawType(Random* random) { return Draw(random, 0, 1) != 0 ? ElementType::kUInt8 : ElementType::kInt8; }

void TestRoundTripOverShapes() {
  Random random(4);
  const uint32_t channels[] = {1, 2, 3, 5, 17, 64, 65, 96, 257};
  const int64_t sizes[][2] = {{1, 1}, {1, 2}, {7, 1}, {3, 5}, {8, 8}, {31, 13}, {90, 40}};
  for (uint32_t c : channels) {
    for (const auto& size : sizes) {
      for (Transform transform : kTransforms) {
        const bool is_matrix = transform == Transform::kKlt || transform == Transform::kFolded;
        if (is_matrix && c * size[0] * size[1] > 20000) continue;
        const SideInfoSpec spec = RandomSpec(&random, c, transform, 0);
        const Subject subject(spec, DrawType(&random), Draw(&random, 1, 2), size[0], size[1]);
        subject.CheckRoundTrip(subject.RandomInput(&random), subject.capacity());
      }
    }
  }
}

// With a stride, the decoder's output is the pixels of the whole map that the stride keeps.
void TestDecoderStride() {
  Random random(11);
  for (int i = 0; i < 200; ++i) {
    const Transform transform = kTransforms[Draw(&random, 0, sizeof(kTransforms) / sizeof(kTransforms[0]) - 1)];
    const uint32_t max_level = static_cast<uint32_t>(Draw(&random, 0, 1));
    const SideInfoSpec spec = RandomSpec(&random, static_cast<uint32_t>(Draw(&random, 1, 20)), transform, max_level);
    const int64_t height = Draw(&random, 1, 60), width = Draw(&random, 1, 60);
    Subject subject(spec, DrawType(&random), Draw(&random, 1, 2), height, width);
    const Bytes map = subject.RandomInput(&random);
    const size_t capacity = max_level > 0 && Draw(&random, 0, 1) != 0 ? 64 : subject.capacity();
    const Bytes payload = subject.EncodeMap(map, capacity);
    Bytes whole, kept, expected;
    EXPECT(subject.TryDecode(payload, &whole) == Status::kOk);
    const int32_t longest = kSmall ? 1 : 4;
    const int64_t stride_height = Draw(&random, 1, longest), stride_width = Draw(&random, 1, longest);
    EXPECT(subject.SetStride(stride_height, stride_width) == Status::kOk);
    EXPECT(subject.TryDecode(payload, &kept) == Status::kOk);
    const size_t pixel = subject.codec().side_info.channels;
    for (size_t p = 0; p < whole.size() / pixel; ++p) {
      const int64_t x = static_cast<int64_t>(p) % width, y = static_cast<int64_t>(p) / width % height;
      if (x % stride_width != 0 || y % stride_height != 0) continue;
      expected.insert(expected.end(), whole.begin() + p * pixel, whole.begin() + (p + 1) * pixel);
    }
    EXPECT(kept == expected);
    if (kSmall) EXPECT(subject.SetStride(1, 2) == Status::kInvalidArgument);
    EXPECT(subject.SetStride(0, 1) == Status::kInvalidArgument);
    EXPECT(subject.SetStride(1, INT64_MAX) == Status::kInvalidArgument);
  }
}

void TestLosslessIsLossless() {
  Random random(5);
  for (int i = 0; i < 100; ++i) {
    const SideInfoSpec spec = RandomSpec(&random, static_cast<uint32_t>(Draw(&random, 1, 40)), Transform::kLossless, 0);
    const Subject subject(spec, DrawType(&random), 1, Draw(&random, 1, 30), Draw(&random, 1, 30));
    const Bytes map = subject.RandomInput(&random);
    Bytes decoded;
    EXPECT(subject.TryDecode(subject.EncodeMap(map, subject.capacity()), &decoded) == Status::kOk);
    EXPECT(decoded == map);
  }
}

// A spec whose class fits maps that are mostly one value.
SideInfoSpec SkewedSpec(uint32_t channels) {
  SideInfoSpec spec;
  spec.channels = channels;
  spec.classes_of.assign(channels, 0);
  spec.predictors.assign(channels, 0);
  spec.classes = {{0, 0, {0, 0, 1, 2, 3, 4, 5, 6, 7}, {49, 8, 1, 1, 1, 1, 1, 1, 1}}};
  return spec;
}

void TestRates() {
  const Subject subject(SkewedSpec(16), ElementType::kInt8, 2, 64, 64);
  Bytes map(subject.plan().encoder_input_bytes, 0);
  // Header, eight segments an item of one byte each, and their lengths.
  EXPECT(subject.plan().segments_per_item == 8 && subject.plan().groups_per_item == 1);
  EXPECT(subject.EncodeMap(map, subject.capacity()).size() == 16 + 16 * (4 + 1));
  Random random(6);
  for (uint8_t& value : map) value = random() % 8 == 0;
  const size_t skewed_bytes = subject.EncodeMap(map, subject.capacity()).size();
  // 7/8 log2(64/49) + 1/8 log2(64/8) = 0.712 bits a value, and 57 bytes a segment.
  EXPECT(skewed_bytes * 8 < map.size() * 74 / 100 + 16 * 57 * 8);
  subject.CheckRoundTrip(map, subject.capacity());
  for (uint8_t& value : map) value = static_cast<uint8_t>(random());
  EXPECT(subject.EncodeMap(map, subject.capacity()).size() == 16 + 16 * 4 + map.size());
  subject.CheckRoundTrip(map, subject.capacity());
}

void TestLevels() {
  Random random(7);
  for (int i = 0; i < 120; ++i) {
    const Transform transform = kTransforms[i % 4];
    const uint8_t max_level = static_cast<uint8_t>(Draw(&random, 1, kMaxLevel));
    const SideInfoSpec spec = RandomSpec(&random, static_cast<uint32_t>(Draw(&random, 1, 24)), transform, max_level);
    const Subject subject(spec, DrawType(&random), Draw(&random, 1, 2), Draw(&random, 1, 24), Draw(&random, 1, 24));
    const Bytes map = subject.RandomInput(&random);
    subject.CheckRoundTrip(map, subject.capacity());
    subject.CheckRoundTrip(map, 16);
    const int32_t most = static_cast<int32_t>(subject.capacity());
    for (int j = 0; j < 4; ++j) subject.CheckRoundTrip(map, static_cast<size_t>(Draw(&random, 16, most)));
    // The smallest capacity that level 0 fits is its payload.
    const Bytes payload = subject.EncodeMap(map, subject.capacity());
    EXPECT(payload[6] == 0 && subject.EncodeMap(map, payload.size()) == payload);
    if (payload.size() > 16) EXPECT(subject.EncodeMap(map, payload.size() - 1)[6] > 0);
    Bytes unused;
    EXPECT(subject.TryEncode(map, 15, &unused) == Status::kBufferTooSmall);
  }
}

void TestArguments() {
  const Subject subject(SkewedSpec(3), ElementType::kInt8, 1, 4, 4);
  const Codec& codec = subject.codec();
  MapPlan plan;
  EXPECT(PlanMap(codec, -1, 4, 4, &plan) == Status::kInvalidArgument);
  EXPECT(PlanMap(codec, 1, 0, 4, &plan) == Status::kInvalidArgument);
  EXPECT(PlanMap(codec, 1, 4, 0, &plan) == Status::kInvalidArgument);
  EXPECT(PlanMap(codec, 1, 4, int64_t{1} << 40, &plan) == Status::kInvalidArgument);
  EXPECT(PlanMap(codec, 1, 1 << 16, 1 << 15, &plan) == Status::kInvalidArgument);
  EXPECT(PlanMap(codec, 1 << 30, 4, 4, &plan) == Status::kInvalidArgument);
  const Bytes map(48);
  Bytes payload;
  EXPECT(subject.TryEncode(map, subject.capacity() - 1, &payload) == Status::kBufferTooSmall);
  EXPECT(subject.TryEncode(Bytes(47), subject.capacity(), &payload) == Status::kInvalidArgument);

  payload.assign(subject.capacity(), 0);
  Bytes workspace(EncodeWorkspaceSize(codec, subject.plan()));
  size_t payload_bytes = 0;
  EXPECT(Encode(codec, subject.plan(), ElementType::kInt8, map.data(), map.size(), payload.data(), payload.size(),
                &payload_bytes, workspace.data(), workspace.size() - 1) == Status::kBufferTooSmall);
  EXPECT(Encode(codec, subject.plan(), ElementType::kInt8, map.data(), map.size(), nullptr, payload.size(),
                &payload_bytes, workspace.data(), workspace.size()) == Status::kInvalidArgument);
}

void TestEmptyBatch() {
  const Subject subject(SkewedSpec(3), ElementType::kUInt8, 0, 4, 4);
  EXPECT(subject.capacity() == 0 && subject.EncodeMap({}, 0).empty());
  Bytes decoded;
  EXPECT(subject.TryDecode({}, &decoded) == Status::kOk && decoded.empty());
}

void TestHeaderIsChecked() {
  SideInfoSpec spec = SkewedSpec(4);
  spec.max_level = 2;
  spec.checksum = false;
  const Subject subject(spec, ElementType::kInt8, 1, 9, 9);
  Random random(8);
  const Bytes payload = subject.EncodeMap(subject.RandomInput(&random), subject.capacity());
  const auto status_with = [&](size_t at, uint8_t value) {
    Bytes damaged = payload;
    damaged[at] = value;
    Bytes decoded;
    return subject.TryDecode(damaged, &decoded);
  };
  EXPECT(status_with(0, 'f') == Status::kStreamCorrupt);
  EXPECT(status_with(4, 0) == Status::kStreamCorrupt);
  // Known, but not that of the side information.
  EXPECT(status_with(4, 2) == (kHasVersion2 ? Status::kStreamCorrupt : Status::kStreamVersion));
  EXPECT(status_with(4, 3) == Status::kStreamVersion);
  EXPECT(status_with(5, 1) == Status::kStreamCorrupt);
  EXPECT(status_with(5, 2) == Status::kStreamCorrupt);
  EXPECT(status_with(6, 2) == Status::kStreamCorrupt);  // the constant level has no segments
  EXPECT(status_with(6, 3) == Status::kStreamCorrupt);
  EXPECT(status_with(7, 1) == Status::kStreamCorrupt);
  EXPECT(status_with(8, static_cast<uint8_t>(payload[8] - 1)) == Status::kStreamCorrupt);
  EXPECT(status_with(11, 1) == Status::kStreamTruncated);
  EXPECT(status_with(12, 1) == Status::kStreamChecksum);
  EXPECT(status_with(19, 0xFF) == Status::kStreamCorrupt);
}

void TestBytesBehindThePayloadDoNotMatter() {
  Random random(9);
  const Subject subject(RandomSpec(&random, 17, Transform::kLossless, 0), ElementType::kInt8, 1, 20, 20);
  const Bytes map = subject.RandomInput(&random);
  Bytes payload = subject.EncodeMap(map, subject.capacity());
  for (int i = 0; i < 100; ++i) {
    payload.push_back(static_cast<uint8_t>(random()));
    Bytes decoded;
    EXPECT(subject.TryDecode(payload, &decoded) == Status::kOk && decoded == map);
  }
}

// With a checksum every change is found; without one nothing worse than wrong values may come of it.
void TestDamage(bool checksum) {
  Random random(10);
  for (Transform transform : kTransforms) {
    SideInfoSpec spec = RandomSpec(&random, 7, transform, 0);
    spec.checksum = checksum;
    spec.classes.assign(spec.classes.size(), SkewedSpec(1).classes[0]);
    const Subject subject(spec, ElementType::kInt8, 2, 11, 12);
    Bytes map(subject.plan().encoder_input_bytes);
    for (uint8_t& value : map) value = static_cast<uint8_t>(random() % 8 == 0);
    Bytes payload = subject.EncodeMap(map, subject.capacity());
    Bytes decoded;
    for (size_t i = 0; i < payload.size(); ++i) {
      for (int bit = 0; bit < 8; ++bit) {
        payload[i] ^= static_cast<uint8_t>(1 << bit);
        const Status status = subject.TryDecode(payload, &decoded);
        EXPECT(!checksum || status != Status::kOk);
        payload[i] ^= static_cast<uint8_t>(1 << bit);
      }
    }
    for (size_t length = 0; length < payload.size(); ++length) {
      const Bytes cut(payload.begin(), payload.begin() + static_cast<long>(length));
      EXPECT(subject.TryDecode(cut, &decoded) == Status::kStreamTruncated);
    }
  }
}

void TestGeometry() {
  // Height 224 with rows of 672 values: 13 rows a segment, 17 segments, 8 a group.
  const Subject subject(SkewedSpec(3), ElementType::kInt8, 1, 224, 224);
  EXPECT(subject.plan().segments_per_item == 17 && subject.plan().groups_per_item == 2);
  EXPECT(subject.plan().max_segment_rows == 14);
  EXPECT(subject.plan().item_capacity == RoundUp(16 + 4 * 17 + 224 * 224 * 3, 8));
  uint32_t rows = 0;
  uint32_t groups = 0;
  uint32_t segment = 0;
  for (SegmentWalk walk(subject.plan(), 0, 2); !walk.done(); walk.Next(), ++segment) {
    EXPECT(walk.rows() == (segment < 224 % 17 ? 14u : 13u));
    EXPECT(walk.starts_group() == (segment == 0 || segment == 9));
    if (walk.starts_group()) {
      const GroupBegin begin(subject.plan(), groups++);
      EXPECT(kSmall || (begin.segment == segment && begin.row == rows));
    }
    rows += walk.rows();
  }
  EXPECT(rows == 224 && groups == 2 && segment == 17);
}

}  // namespace
}  // namespace fmtc

int main() {
  fmtc::TestGeometry();
  fmtc::TestRoundTripOverShapes();
  fmtc::TestDecoderStride();
  fmtc::TestLosslessIsLossless();
  fmtc::TestRates();
  fmtc::TestLevels();
  fmtc::TestArguments();
  fmtc::TestEmptyBatch();
  fmtc::TestHeaderIsChecked();
  fmtc::TestBytesBehindThePayloadDoNotMatter();
  fmtc::TestDamage(true);
  fmtc::TestDamage(false);
  return 0;
}
