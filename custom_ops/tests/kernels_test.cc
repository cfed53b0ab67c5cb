// Every kernel of every level against plain C++, at all tail lengths.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "base/crc32c.h"
#include "base/features.h"
#include "codec/codec.h"
#include "codec/entropy.h"
#include "codec/kernels/dispatch.h"
#include "codec/small_kernels.h"
#include "tests/expect.h"
#include "tests/levels.h"
#include "tests/random_inputs.h"

namespace fmtc {
namespace {

using Bytes = std::vector<uint8_t>;

Bytes RandomBytes(test::Random* random, size_t bytes, uint32_t values) {
  Bytes data(bytes);
  for (uint8_t& byte : data) byte = static_cast<uint8_t>((*random)() % values);
  return data;
}

void TestDispatch() {
  EXPECT(FindKernels("scalar") == (kSmall ? &SmallKernels() : &PlainKernels()));
  EXPECT(FindKernels("") == nullptr);
  EXPECT(FindKernels("avx1024") == nullptr);
  EXPECT(ChosenKernels().kernels == FindKernels(ChosenKernels().level));
}

bool HasAll(const Kernels& k) {
  return k.analyze_row != nullptr && k.synthesize_row != nullptr && k.decode_run != nullptr && k.split_run != nullptr &&
         k.encode_run != nullptr && k.planes_to_pixels != nullptr && k.pixels_to_planes != nullptr &&
         k.residuals_of_row != nullptr && k.indices_of_row != nullptr && k.extend_crc32c != nullptr &&
         kHasVersion2 == (k.tables_of_row != nullptr) && kHasVersion2 == (k.sort_row != nullptr) &&
         kHasVersion2 == (k.unsort_row != nullptr);
}

void TestCrc(const Kernels& kernels) {
  test::Random random(1);
  const Bytes data = RandomBytes(&random, 5000, 256);
  for (size_t bytes = 0; bytes <= data.size(); bytes += bytes < 200 ? 1 : 97) {
    const uint8_t* const begin = data.data() + data.size() - bytes;
    EXPECT(kernels.extend_crc32c(7, begin, bytes) == ExtendCrc32c(7, begin, bytes));
  }
}

void TestPlanes(const Kernels& kernels) {
  test::Random random(2);
  for (uint32_t components = 1; components <= 70; components += components < 40 ? 1 : 7) {
    std::vector<uint32_t> place(components);
    for (uint32_t j = 0; j < components; ++j) place[j] = j;
    std::shuffle(place.begin(), place.end(), random);
    for (size_t plane_bytes = 1; plane_bytes <= 140; ++plane_bytes) {
      const PlaneShape shape{components, plane_bytes};
      const size_t bytes = components * plane_bytes;
      const Bytes pixels = RandomBytes(&random, bytes + kValueSlack, 256);
      Bytes expected(pixels.size());
      Bytes planes(pixels.size());
      Bytes back(pixels.size());
      PlainKernels().pixels_to_planes(shape, place.data(), pixels.data(), expected.data());
      kernels.pixels_to_planes(shape, place.data(), pixels.data(), planes.data());
      kernels.planes_to_pixels(shape, place.data(), planes.data(), back.data());
      EXPECT(planes == expected);
      EXPECT(std::equal(pixels.begin(), pixels.begin() + static_cast<long>(bytes), back.begin()));
    }
  }
}

Bytes Plus(const Bytes& bytes, uint8_t offset) {
  Bytes sums(bytes);
  for (uint8_t& byte : sums) byte = static_cast<uint8_t>(byte + offset);
  return sums;
}

// Rows with an offset have the residuals of those without.
void TestPrediction(const Kernels& kernels, uint8_t offset) {
  test::Random random(3);
  for (uint32_t components = 1; components <= 200; ++components) {
    const RowShape plain_shape{1 + components % 5, components, 0};
    const RowShape shape{plain_shape.width, components, offset};
    const size_t row_bytes = size_t{shape.width} * components;
    Bytes codes(components);
    for (uint8_t& code : codes) code = static_cast<uint8_t>(random() % kNumPredictors << 4 | random() % 8);
    const Bytes plain_above = RandomBytes(&random, row_bytes + kValueSlack, 256);
    const Bytes plain_row = RandomBytes(&random, row_bytes + kValueSlack, 256);
    const Bytes above = Plus(plain_above, offset);
    const Bytes row = Plus(plain_row, offset);
    for (const bool is_first : {false, true}) {
      Bytes expected(row.size());
      Bytes residuals(row.size());
      Bytes indices(row.size());
      PlainKernels().residuals_of_row(plain_shape, codes.data(), is_first ? nullptr : plain_above.data(),
                                      plain_row.data(), expected.data());
      const uint8_t* const neighbours = is_first ? nullptr : above.data();
      kernels.residuals_of_row(shape, codes.data(), neighbours, row.data(), residuals.data());
      EXPECT(std::equal(residuals.begin(), residuals.begin() + static_cast<long>(row_bytes), expected.begin()));
      kernels.indices_of_row(shape, codes.data(), neighbours, residuals.data(), indices.data());
      EXPECT(std::equal(indices.begin(), indices.begin() + static_cast<long>(row_bytes), row.begin()));
    }
  }
}

// Row by row, with values of all sizes below the row, at all lengths.
void TestContexts(const Kernels& kernels) {
  test::Random random(7);
  for (uint32_t components = 1; components <= 100; ++components) {
    const size_t values = size_t{1 + components % 5} * components;
    Bytes codes = RandomBytes(&random, values + kValueSlack, 256);
    for (size_t i = components; i < values; ++i) codes[i] = codes[i - components];
    const Bytes map = RandomBytes(&random, kMaxClasses * kContextStride, kMaxClasses);
    const ContextRow row{values, components, codes.data(), map.data(), kMaxClasses, kMaxClasses};
    const Bytes above = RandomBytes(&random, values + kValueSlack, 1u << components % 9);
    const Bytes residuals = RandomBytes(&random, values + kValueSlack, 256);
    const auto end = [values](Bytes* bytes) { return bytes->begin() + static_cast<long>(values); };
    for (const bool is_first : {false, true}) {
      const uint8_t* const neighbours = is_first ? nullptr : above.data();
      Bytes magnitudes(values + 2 * components + kValueSlack);
      Bytes expected(values + kValueSlack), tables(expected), expected_sorted(expected), sorted(expected),
          back(expected);
      uint32_t expected_counts[kMaxClasses], counts[kMaxClasses];
      PlainKernels().tables_of_row(row, neighbours, magnitudes.data(), expected.data(), expected_counts);
      kernels.tables_of_row(row, neighbours, magnitudes.data(), tables.data(), counts);
      EXPECT(std::equal(expected.begin(), end(&expected), tables.begin()));
      EXPECT(std::equal(counts, counts + kMaxClasses, expected_counts));
      PlainKernels().sort_row(row, expected.data(), counts, residuals.data(), expected_sorted.data());
      kernels.sort_row(row, tables.data(), counts, residuals.data(), sorted.data());
      EXPECT(std::equal(sorted.begin(), end(&sorted), expected_sorted.begin()));
      kernels.unsort_row(row, tables.data(), counts, sorted.data(), back.data());
      EXPECT(std::equal(back.begin(), end(&back), residuals.begin()));
    }
  }
}

struct Coded {
  Status status;
  Bytes payload;
};

Coded EncodeMap(const Codec& codec, const MapPlan& plan, const Bytes& map) {
  Coded coded{Status::kOk, Bytes(plan.batch * plan.item_capacity)};
  Bytes workspace(EncodeWorkspaceSize(codec, plan));
  size_t payload_bytes = 0;
  coded.status = Encode(codec, plan, ElementType::kInt8, map.data(), map.size(), coded.payload.data(),
                        coded.payload.size(), &payload_bytes, workspace.data(), workspace.size());
  coded.payload.resize(payload_bytes);
  return coded;
}

Bytes DecodeMap(const Codec& codec, const MapPlan& plan, const Bytes& payload, Status* status) {
  Bytes map(plan.decoder_output_bytes);
  Bytes workspace(DecodeWorkspaceSize(codec, plan));
  *status = Decode(codec, plan, ElementType::kInt8, payload.data(), payload.size(), map.data(), map.size(),
                   workspace.data(), workspace.size());
  return map;
}

// The same bytes and the same map from all levels, and the same verdict on damaged bytes.
void CompareLevels(const Codec& codec, const MapPlan& plan, const Bytes& map, test::Random* random) {
  const std::vector<Codec> codecs = test::AtEveryLevel(codec);
  const Coded expected = EncodeMap(codecs[0], plan, map);
  EXPECT(expected.status == Status::kOk);
  Bytes damaged = expected.payload;
  damaged[16 + (*random)() % (damaged.size() - 16)] ^= static_cast<uint8_t>(1u << (*random)() % 8);
  Status whole_status;
  Status damaged_status;
  const Bytes whole = DecodeMap(codecs[0], plan, expected.payload, &whole_status);
  const Bytes wrong = DecodeMap(codecs[0], plan, damaged, &damaged_status);
  EXPECT(whole_status == Status::kOk);
  for (const Codec& level : codecs) {
    const Coded coded = EncodeMap(level, plan, map);
    EXPECT(coded.status == Status::kOk && coded.payload == expected.payload);
    Status status;
    EXPECT(DecodeMap(level, plan, expected.payload, &status) == whole);
    EXPECT(status == whole_status);
    const Bytes decoded = DecodeMap(level, plan, damaged, &status);
    EXPECT(status == damaged_status);
    EXPECT(status != Status::kOk || decoded == wrong);
  }
}

// Runs of all lengths from 1 to 200, alone and followed by others.
void TestRuns() {
  test::Random random(4);
  for (int64_t width = 1; width <= 200; ++width) {
    for (const uint32_t channels : {1u, 3u}) {
      test::SideInfoSpec spec = RandomSpec(&random, channels, test::Transform::kStep, 0);
      spec.checksum = false;
      const test::OwnedCodec owned(BuildSideInfo(spec));
      EXPECT(owned.status() == Status::kOk);
      MapPlan plan;
      EXPECT(PlanMap(owned.codec(), 1, 1, width, &plan) == Status::kOk);
      // Few values: what codes well, so that segments are not stored raw.
      const uint32_t values = 1u << random() % 9;
      CompareLevels(owned.codec(), plan, RandomBytes(&random, plan.encoder_input_bytes, values), &random);
    }
  }
}

// Segments into every room up to their size: the same bytes, or the same verdict that there is too little room.
// Nothing outside the room is written, which sanitizers see.
void TestRooms() {
  test::Random random(6);
  for (int i = 0; i < 24; ++i) {
    const uint32_t channels = static_cast<uint32_t>(test::Draw(&random, 1, 4));
    test::SideInfoSpec spec;
    do {
      spec = RandomSpec(&random, channels, test::Transform::kStep, 0);
    } while (!spec.contexts.tables.empty());
    spec.checksum = false;
    const test::OwnedCodec owned(BuildSideInfo(spec));
    EXPECT(owned.status() == Status::kOk);
    const std::vector<Codec> codecs = test::AtEveryLevel(owned.codec());
    const size_t plane_bytes = static_cast<size_t>(test::Draw(&random, 1, 150));
    const size_t values = channels * plane_bytes;
    const Bytes residuals = RandomBytes(&random, values + kValueSlack, 1u << (i % 9));
    for (size_t room = 0; room <= values; ++room) {
      Bytes expected;
      for (const Codec& level : codecs) {
        Bytes tokens(values + kValueSlack);
        Bytes coded(room);
        coded.resize(EncodeSegment({&level, plane_bytes}, residuals.data(), tokens.data(), coded.data(), room));
        if (&level == &codecs[0]) expected = coded;
        EXPECT(coded == expected);
      }
    }
  }
}

// Several segments of different heights, groups and items.
void TestMaps() {
  test::Random random(5);
  for (int i = 0; i < 12; ++i) {
    const uint32_t channels = static_cast<uint32_t>(test::Draw(&random, 1, 90));
    test::SideInfoSpec spec = RandomSpec(&random, channels, static_cast<test::Transform>(i % 4), 0);
    spec.checksum = false;
    const test::OwnedCodec owned(BuildSideInfo(spec));
    MapPlan plan;
    EXPECT(PlanMap(owned.codec(), 2, test::Draw(&random, 1, 70), test::Draw(&random, 1, 70), &plan) == Status::kOk);
    CompareLevels(owned.codec(), plan, test::RandomMap(&random, plan.encoder_input_bytes), &random);
  }
}

}  // namespace
}  // namespace fmtc

int main() {
  fmtc::TestDispatch();
  for (const fmtc::Kernels* kernels : fmtc::test::AllKernels()) {
    EXPECT(fmtc::HasAll(*kernels));
    fmtc::TestCrc(*kernels);
    fmtc::TestPlanes(*kernels);
    fmtc::TestPrediction(*kernels, 0);
    if (fmtc::kHasVersion2) fmtc::TestContexts(*kernels);
    if (kernels->predicts_values) fmtc::TestPrediction(*kernels, 77);
  }
  fmtc::TestRuns();
  fmtc::TestRooms();
  fmtc::TestMaps();
  return 0;
}
