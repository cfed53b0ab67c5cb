#include "fuzz/mutate_region.h"

#include <algorithm>
#include <cstring>

#include "base/bytes.h"
#include "region/kind.h"
#include "region/parameters.h"
#include "tests/program_checksum.h"

namespace fmtc::fuzz {
namespace {

using Bytes = std::vector<uint8_t>;
using namespace region;

// A part of the program: so many records of so many bytes.
struct Part {
  uint64_t offset;
  uint64_t records, record_bytes;
};

// Bytes of a record's field and where it begins.
struct Field {
  uint32_t offset, bytes;
};

constexpr Field kHeaderFields[] = {{4, 2},  {6, 1},  {8, 4},  {16, 2}, {18, 2}, {20, 2}, {22, 2}, {24, 2},
                                   {28, 4}, {32, 4}, {36, 4}, {40, 4}, {44, 4}, {48, 4}, {52, 4}};
constexpr Field kTensorFields[] = {{0, 1},  {1, 1},  {2, 2},  {4, 4},  {8, 4},  {12, 4}, {16, 4}, {20, 4}, {24, 4},
                                   {28, 4}, {32, 2}, {34, 2}, {36, 1}, {37, 1}, {38, 1}, {40, 4}, {44, 4}};
constexpr Field kOpFields[] = {{0, 1},  {1, 1},  {2, 2},  {4, 2},  {6, 2}, {8, 4},
                               {12, 4}, {16, 4}, {20, 4}, {24, 4}, {28, 4}};
constexpr Field kPassFields[] = {{0, 2}, {2, 2}, {4, 4}, {8, 4}, {12, 4}};

class Mutator {
 public:
  Mutator(Choices* choices, Bytes* bytes) : choices_(*choices), bytes_(*bytes) {}

  void Mutate() {
    std::memcpy(&header_, bytes_.data(), sizeof(header_));
    const Part tensors{header_.tensors_offset, header_.tensors, sizeof(TensorRecord)};
    const Part ops{header_.ops_offset, header_.ops, sizeof(OpRecord)};
    const Part passes{header_.passes_offset, header_.passes, sizeof(PassRecord)};
    switch (choices_.Below(10)) {
      case 0:
        return ChangeField({0, 1, sizeof(Header)}, kHeaderFields);
      case 1:
        return ChangeField(tensors, kTensorFields);
      case 2:
        return ChangeField(ops, kOpFields);
      case 3:
        return ChangeField(passes, kPassFields);
      case 4:
        return ChangeSteps();
      case 5:
        return ChangeParameters();
      case 6:
        return ChangeWindow(passes);
      case 7:
        return CopyRecord(choices_.OneIn(2) ? tensors : ops);
      case 8:
        return ChangeSideInformation();
      default:
        return ChangeValue(choices_.Below(bytes_.size()), choices_.Of<uint32_t>({1, 2, 4}));
    }
  }

 private:
  bool Has(uint64_t offset, uint64_t bytes) const { return offset <= bytes_.size() && bytes <= bytes_.size() - offset; }

  uint64_t AnyRecord(const Part& part) { return part.offset + choices_.Below(part.records) * part.record_bytes; }

  template <size_t kCount>
  void ChangeField(const Part& part, const Field (&fields)[kCount]) {
    const Field& field = fields[choices_.Below(kCount)];
    ChangeValue(AnyRecord(part) + field.offset, field.bytes);
  }

  // Near what it is, at an edge, what stands elsewhere, or anything.
  void ChangeValue(uint64_t offset, uint32_t bytes) {
    if (!Has(offset, bytes)) return;
    uint64_t value = 0;
    std::memcpy(&value, bytes_.data() + offset, bytes);
    switch (choices_.Below(5)) {
      case 0:
        value += choices_.Of<uint64_t>({1, 2, 4, 16, 64}) * (choices_.OneIn(2) ? 1 : uint64_t(-1));
        break;
      case 1:
        value = choices_.Of<uint64_t>({0, 1, 2, 3, 4, 7, 8, 16, 127, 128, 255, 256, 65535, 0x7FFFFFFF, 0x80000000,
                                       0xFFFFFFFF, 0xFFFFFFF0, 0x7F800000, 0x7FC00000});
        break;
      case 2: {
        const uint64_t other = choices_.Below(bytes_.size()) / 4 * 4;
        if (Has(other, bytes)) std::memcpy(&value, bytes_.data() + other, bytes);
        break;
      }
      case 3:
        value = choices_.OneIn(2) ? value / 2 : value * 2;
        break;
      default:
        value = choices_.Next();
    }
    std::memcpy(bytes_.data() + offset, &value, bytes);
  }

  // Another op, or two steps change places.
  void ChangeSteps() {
    const uint64_t first = header_.steps_offset + uint64_t{2} * choices_.Below(header_.steps);
    const uint64_t second = header_.steps_offset + uint64_t{2} * choices_.Below(header_.steps);
    if (!Has(first, 2) || !Has(second, 2)) return;
    uint8_t* const bytes = bytes_.data();
    if (choices_.OneIn(3)) return Store(bytes + first, static_cast<uint16_t>(choices_.Below(header_.ops + 1u)));
    std::swap_ranges(bytes + first, bytes + first + 2, bytes + second);
  }

  // A byte, a half word or a word of an op's parameters, or of an array that one of the words tells the place of.
  void ChangeParameters() {
    const uint64_t record = header_.ops_offset + uint64_t{choices_.Below(header_.ops)} * sizeof(OpRecord);
    if (!Has(record, sizeof(OpRecord))) return;
    OpRecord op;
    std::memcpy(&op, bytes_.data() + record, sizeof(op));
    if (op.parameter_bytes < 4) return;
    uint64_t place = uint64_t{op.parameters_offset} + choices_.Below(op.parameter_bytes / 4) * 4;
    if (choices_.OneIn(4) && Has(place, 4)) place = Load<uint32_t>(bytes_.data() + place) + 4 * choices_.Below(16);
    const uint32_t bytes = choices_.Of<uint32_t>({1, 2, 4});
    ChangeValue(place + choices_.Below(4 / bytes) * bytes, bytes);
  }

  // A byte of the side information of the first op that encodes, from one of them on; its checksum is right.
  void ChangeSideInformation() {
    const uint32_t begin = choices_.Below(header_.ops);
    for (uint32_t i = 0; i < header_.ops; ++i) {
      const uint64_t record = header_.ops_offset + uint64_t{(begin + i) % header_.ops} * sizeof(OpRecord);
      if (!Has(record, sizeof(OpRecord)) || bytes_[record] != kEncode) continue;
      EncodeParameters p;
      const uint32_t at = Load<uint32_t>(bytes_.data() + record + offsetof(OpRecord, parameters_offset));
      if (!Has(at, sizeof(p))) return;
      std::memcpy(&p, bytes_.data() + at, sizeof(p));
      if (!Has(p.side_info_offset, p.side_info_bytes) || p.side_info_bytes < 32) return;
      ChangeValue(p.side_info_offset + choices_.Below(p.side_info_bytes), 1);
      return test::RepairSideInfoChecksum(bytes_.data() + p.side_info_offset, p.side_info_bytes);
    }
  }

  void ChangeWindow(const Part& passes) {
    const uint64_t record = AnyRecord(passes);
    if (!Has(record, sizeof(PassRecord))) return;
    PassRecord pass;
    std::memcpy(&pass, bytes_.data() + record, sizeof(pass));
    if (pass.windows_offset != 0) ChangeValue(pass.windows_offset + uint64_t{2} * choices_.Below(2u * pass.ops), 2);
  }

  // One record takes the place of another.
  void CopyRecord(const Part& part) {
    const uint64_t from = AnyRecord(part), to = AnyRecord(part);
    if (!Has(from, part.record_bytes) || !Has(to, part.record_bytes)) return;
    std::memmove(bytes_.data() + to, bytes_.data() + from, part.record_bytes);
  }

  Choices& choices_;
  Bytes& bytes_;
  Header header_;
};

// What a run costs at most, in operations of some kind: hostile programs may be valid and slow.
uint64_t CostOf(const Program& program) {
  uint64_t cost = 0;
  for (uint32_t i = 0; i < program.header->steps; ++i) {
    const OpRecord& record = program.ops[program.steps[i]];
    const OpView op{&program, &record};
    uint64_t of_value = 1;
    const bool adds_channels = record.kind == kConv || record.kind == kTransposeConv;
    if (adds_channels || record.kind == kDepthwise || record.kind == kAveragePool || record.kind == kMaxPool) {
      const WindowParameters& w = *program.At<WindowParameters>(record.parameters_offset);
      of_value = uint64_t{w.kernel_rows} * w.kernel_columns * (adds_channels ? op.input(0).channels : 1);
    } else if (record.kind == kFullyConnected) {
      of_value = uint64_t{op.input(0).channels} * op.input(0).width;
    } else if (record.kind == kMean) {
      of_value = op.input(0).width;
    }
    cost += uint64_t{op.output().width} * op.output().channels * of_value;
  }
  return cost;
}

constexpr uint32_t kMaxScratchBytes = 1 << 20;
constexpr size_t kMaxItemBytes = 1 << 20;
constexpr uint64_t kMaxCost = 1 << 24;

}  // namespace

bool IsCheap(const Program& program) {
  if (program.header->scratch_bytes > kMaxScratchBytes || CostOf(program) > kMaxCost) return false;
  for (int i = 0; i < program.header->tensors; ++i) {
    const TensorRecord& t = program.tensors[i];
    if (t.place != kScratch && ItemBytes(t) > kMaxItemBytes) return false;
  }
  return true;
}

void MutateRegion(Choices* choices, Bytes* program) {
  if (program->size() < sizeof(Header)) return;
  for (uint32_t left = 1 + choices->Below(choices->OneIn(2) ? 1 : 4); left > 0; --left) {
    Mutator(choices, program).Mutate();
  }
  if (choices->OneIn(32)) program->resize(choices->Below(program->size()) / 16 * 16);
  if (!choices->OneIn(64)) test::RepairChecksum(program);
}

}  // namespace fmtc::fuzz
