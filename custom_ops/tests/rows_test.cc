// Maps that are read and written row by row, from any group on: the same rows and bytes as in one piece.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "base/features.h"
#include "codec/codec.h"
#include "codec/geometry.h"
#include "codec/row_reader.h"
#include "codec/row_writer.h"
#include "tests/coded_map.h"
#include "tests/expect.h"
#include "tests/levels.h"
#include "tests/random_inputs.h"

namespace fmtc {
namespace {

using test::CodedMapSample;
using test::Draw;
using test::Random;
using Bytes = std::vector<uint8_t>;

constexpr ElementType kType = CodedMapSample::kType;

Status DecodeWhole(const Codec& codec, const MapPlan& plan, const Bytes& coded, Bytes* map) {
  map->assign(plan.decoder_output_bytes, 0);
  Bytes workspace(DecodeWorkspaceSize(codec, plan));
  return Decode(codec, plan, kType, coded.data(), coded.size(), map->data(), map->size(), workspace.data(),
                workspace.size());
}

// Reads groups row by row, each into memory of its own that goes before the next one comes. False at the first row that
// cannot be read.
bool ReadRows(const CodedMap& map, uint32_t first, uint32_t end, Bytes* rows) {
  const size_t row_bytes = OutputRowBytes(*map.codec, *map.plan);
  // Of exact size and unaligned.
  const auto workspace = std::make_unique<uint8_t[]>(RowReader::WorkspaceSize(*map.codec, *map.plan) + 1);
  RowReader reader(map, first, end, workspace.get() + 1);
  rows->clear();
  for (size_t y = OutputRowsBefore(*map.plan, first); y < OutputRowsBefore(*map.plan, end); ++y) {
    const auto row = std::make_unique<uint8_t[]>(row_bytes);
    if (!reader.Read(row.get())) {
      for (int i = 0; i < 100; ++i) reader.Read(row.get());
      return false;
    }
    rows->insert(rows->end(), row.get(), row.get() + row_bytes);
  }
  if (!reader.Finish()) return false;
  Bytes row(row_bytes);
  EXPECT(map.is_constant || !reader.Read(row.data()));
  return true;
}

void CheckReader(const CodedMapSample& subject, const Codec& codec, Random* random) {
  const MapPlan& plan = subject.plan;
  const size_t row_bytes = OutputRowBytes(codec, plan);
  Bytes whole, rows;
  EXPECT(DecodeWhole(codec, plan, subject.coded, &whole) == Status::kOk);
  CodedMap map;
  EXPECT(OpenCodedMap(codec, plan, kType, subject.coded.data(), subject.coded.size(), &map) == Status::kOk);
  EXPECT(ReadRows(map, 0, TotalGroups(plan), &rows) && rows == whole);
  if (!kHasWorkers) return;
  const uint32_t groups = TotalGroups(plan);
  const uint32_t first = (*random)() % groups;
  const uint32_t end = first + 1 + (*random)() % (groups - first);
  EXPECT(ReadRows(map, first, end, &rows));
  EXPECT(rows.size() == (OutputRowsBefore(plan, end) - OutputRowsBefore(plan, first)) * row_bytes);
  EXPECT(std::equal(rows.begin(), rows.end(),
                    whole.begin() + static_cast<long>(OutputRowsBefore(plan, first) * row_bytes)));
}

// The same verdict on damaged bytes, and the same rows where they are not found out.
void CheckDamage(const CodedMapSample& subject, const Codec& codec, Random* random) {
  Bytes damaged = subject.coded;
  for (int i = Draw(random, 1, 3); i > 0; --i) {
    const size_t at = 8 + (*random)() % (damaged.size() - 8);
    damaged[at] ^= static_cast<uint8_t>(1u << (*random)() % 8);
  }
  if (Draw(random, 0, 3) == 0) damaged.resize((*random)() % damaged.size());
  Bytes whole, rows;
  const Status expected = DecodeWhole(codec, subject.plan, damaged, &whole);
  CodedMap map;
  Status status = OpenCodedMap(codec, subject.plan, kType, damaged.data(), damaged.size(), &map);
  if (status == Status::kOk && !ReadRows(map, 0, TotalGroups(subject.plan), &rows)) status = Status::kStreamCorrupt;
  EXPECT(status == expected);
  EXPECT(status != Status::kOk || rows == whole);
}

// Writes each row from memory of its own, of exact size, which is gone when the next one comes.
bool WriteRows(const MapToCode& map, const Bytes& rows, uint32_t first, uint32_t end, size_t at, size_t room_end,
               size_t* segments_end) {
  const size_t row_bytes = InputRowBytes(*map.codec, *map.plan);
  const auto workspace = std::make_unique<uint8_t[]>(RowWriter::WorkspaceSize(*map.codec, *map.plan) + 1);
  RowWriter writer(map, first, end, at, room_end, workspace.get() + 1);
  for (size_t y = InputRowsBefore(*map.plan, first); y < InputRowsBefore(*map.plan, end); ++y) {
    const auto row = std::make_unique<uint8_t[]>(row_bytes);
    std::memcpy(row.get(), rows.data() + y * row_bytes, row_bytes);
    if (!writer.Write(row.get())) {
      for (int i = 0; i < 100; ++i) writer.Write(row.get());
      return false;
    }
  }
  EXPECT(!writer.Write(rows.data()));
  *segments_end = writer.at();
  return true;
}

void CheckWriter(const CodedMapSample& subject, const Codec& codec) {
  const MapPlan& plan = subject.plan;
  const uint32_t level = subject.coded[6];
  if (level > 0 && level == codec.side_info.max_level) return;
  Bytes coded(subject.coded.size());
  MapToCode map{&codec, &plan, kType, level, coded.data(), coded.size()};
  size_t at = FirstSegmentAt(plan);
  EXPECT(WriteRows(map, subject.map, 0, TotalGroups(plan), at, coded.size(), &at));
  EXPECT(at == coded.size());
  FinishCodedMap(map, at);
  EXPECT(coded == subject.coded);
  // A byte less does not do.
  size_t unused;
  EXPECT(!WriteRows(map, subject.map, 0, TotalGroups(plan), FirstSegmentAt(plan), coded.size() - 1, &unused));
  if (!kHasWorkers) return;
  // Group by group.
  std::fill(coded.begin(), coded.end(), uint8_t{0});
  at = FirstSegmentAt(plan);
  for (uint32_t group = 0; group < TotalGroups(plan); ++group) {
    EXPECT(WriteRows(map, subject.map, group, group + 1, at, coded.size(), &at));
  }
  FinishCodedMap(map, at);
  EXPECT(coded == subject.coded);
}

void TestRows() {
  Random random(1);
  for (int i = 0; i < 60; ++i) {
    const CodedMapSample subject(&random, test::DrawSpec(&random, false));
    for (const Codec& codec : test::AtEveryLevel(subject.owned.codec())) {
      CheckReader(subject, codec, &random);
      CheckDamage(subject, codec, &random);
      CheckWriter(subject, codec);
    }
  }
}

// A reader needs a few segments, however high the map is; with contexts one, and some rows.
void TestWorkspaces() {
  Random random(2);
  const test::OwnedCodec owned(BuildSideInfo(RandomSpec(&random, 16, test::Transform::kLossless, 0)));
  const bool has_contexts = owned.codec().side_info.has_contexts();
  MapPlan low, high;
  EXPECT(PlanMap(owned.codec(), 1, 160, 64, &low) == Status::kOk);
  EXPECT(PlanMap(owned.codec(), 1, 1600, 64, &high) == Status::kOk);
  EXPECT(RowReader::WorkspaceSize(owned.codec(), low) == RowReader::WorkspaceSize(owned.codec(), high));
  EXPECT(RowWriter::WorkspaceSize(owned.codec(), low) == RowWriter::WorkspaceSize(owned.codec(), high));
  const size_t slack = 4096;
  EXPECT(RowReader::WorkspaceSize(owned.codec(), high) <=
         (kMaxSegmentsTogether + 1) * MaxSegmentValues(high) + 2 * size_t{high.row_values} + slack);
  EXPECT(RowWriter::WorkspaceSize(owned.codec(), high) <=
         2 * MaxSegmentValues(high) + (has_contexts ? 8 : 2) * size_t{high.row_values} + slack);
}

}  // namespace
}  // namespace fmtc

int main() {
  fmtc::TestRows();
  fmtc::TestWorkspaces();
  return 0;
}
