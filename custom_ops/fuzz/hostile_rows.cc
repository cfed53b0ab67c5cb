#include "fuzz/hostile_rows.h"

#include "base/features.h"
#include "codec/geometry.h"
#include "codec/row_reader.h"
#include "codec/row_writer.h"
#include "tests/expect.h"
#include "tests/levels.h"

namespace fmtc::fuzz {
namespace {

struct Groups {
  uint32_t first, end;
};

Groups ChooseGroups(const MapPlan& plan, Choices* choices) {
  Groups groups{0, TotalGroups(plan)};
  if (!kHasWorkers || choices->OneIn(2)) return groups;
  groups.first = choices->Below(groups.end);
  groups.end = groups.first + 1 + choices->Below(groups.end - groups.first);
  return groups;
}

// All rows of the groups; `to_change` changes meanwhile, unless it is null.
bool ReadRows(const CodedMap& map, Groups groups, Choices* choices, Bytes* to_change, Bytes* rows) {
  Bytes workspace(RowReader::WorkspaceSize(*map.codec, *map.plan), choices->Byte());
  RowReader reader(map, groups.first, groups.end, workspace.data());
  bool passed = true;
  for (size_t y = OutputRowsBefore(*map.plan, groups.first); y < OutputRowsBefore(*map.plan, groups.end); ++y) {
    if (to_change != nullptr && choices->OneIn(4)) (*to_change)[choices->Below(to_change->size())] = choices->Byte();
    Bytes row(OutputRowBytes(*map.codec, *map.plan));
    passed &= reader.Read(row.data());
    rows->insert(rows->end(), row.begin(), row.end());
  }
  return reader.Finish() && passed;
}

}  // namespace

bool RunReadRows(const FuzzCase& c, const Kernels* kernels, Choices choices, const Bytes& bytes) {
  const Codec codec = test::WithKernels(c.codec(), kernels);
  const MapPlan& plan = c.plan();
  Bytes coded = bytes;
  CodedMap map;
  if (plan.batch == 0) return false;
  if (OpenCodedMap(codec, plan, c.type(), coded.data(), coded.size(), &map) != Status::kOk) return false;
  const bool changes = choices.OneIn(2);
  const Groups groups = ChooseGroups(plan, &choices);
  Bytes rows;
  const bool passed = ReadRows(map, groups, &choices, changes ? &coded : nullptr, &rows);
  if (changes || groups.first > 0 || groups.end < TotalGroups(plan)) return passed;
  Bytes whole(plan.decoder_output_bytes);
  Bytes workspace(DecodeWorkspaceSize(codec, plan));
  const Status status = Decode(codec, plan, c.type(), bytes.data(), bytes.size(), whole.data(), whole.size(),
                               workspace.data(), workspace.size());
  EXPECT((status == Status::kOk) == passed);
  EXPECT(!passed || rows == whole);
  return passed;
}

bool RunWriteRows(const FuzzCase& c, const Kernels* kernels, Choices choices, const Bytes& bytes) {
  const Codec codec = test::WithKernels(c.codec(), kernels);
  const MapPlan& plan = c.plan();
  if (plan.batch == 0) return false;
  const size_t least = FirstSegmentAt(plan);
  Bytes coded(least + (choices.OneIn(2) ? c.full_capacity() : choices.Below(c.full_capacity())));
  const uint32_t level = choices.Below(c.spec().max_level);
  const MapToCode map{&codec, &plan, c.type(), level, coded.data(), coded.size()};
  const Groups groups = ChooseGroups(plan, &choices);
  Bytes workspace(RowWriter::WorkspaceSize(codec, plan), choices.Byte());
  RowWriter writer(map, groups.first, groups.end, least, coded.size(), workspace.data());
  Bytes rows = bytes;
  rows.resize(plan.encoder_input_bytes);
  const size_t row_bytes = InputRowBytes(codec, plan);
  bool passed = true;
  for (size_t y = InputRowsBefore(plan, groups.first); y < InputRowsBefore(plan, groups.end); ++y) {
    const auto row = rows.begin() + static_cast<std::ptrdiff_t>(y * row_bytes);
    passed &= writer.Write(Bytes(row, row + static_cast<std::ptrdiff_t>(row_bytes)).data());
  }
  EXPECT(!passed || !writer.Write(rows.data()));
  EXPECT(writer.at() <= coded.size());
  EXPECT(passed || coded.size() < least + c.full_capacity());
  return passed;
}

}  // namespace fmtc::fuzz
