#include "fuzz/mutate.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "codec/entropy.h"
#include "codec/geometry.h"

namespace fmtc::fuzz {
namespace {

uint8_t AnyByte(Choices* choices) {
  return choices->OneIn(2) ? choices->Of<uint8_t>({0, 1, 127, 128, 255}) : choices->Byte();
}

void FillBytes(Choices* choices, size_t begin, size_t count, Bytes* bytes) {
  const bool constant = choices->OneIn(3);
  const uint8_t value = AnyByte(choices);
  for (size_t i = begin; i < begin + count; ++i) (*bytes)[i] = constant ? value : choices->Byte();
}

// Damages what is special about coded tensors (FORMAT.md sections 7 and 8).
class CodedMutator {
 public:
  CodedMutator(const FuzzCase& c, Choices* choices, Bytes* coded)
      : case_(c),
        plan_(c.plan()),
        choices_(*choices),
        coded_(*coded),
        entries_(plan_.batch * plan_.segments_per_item) {}

  void Mutate() {
    const std::vector<Bytes>& valid = case_.coded();
    switch (choices_.Below(8)) {
      case 0:
        return MutateBytes(&choices_, valid[choices_.Below(valid.size())], 0, &coded_);
      case 1:
      case 2:
        return MutateBytes(&choices_, valid[choices_.Below(valid.size())], Body(), &coded_);
      case 3:
        return LieInHeader();
      case 4:
        return LieInTable();
      case 5:
        return LieInSegment();
      default:
        return ReplaceLastSegment();
    }
  }

  void Repair() {
    if (coded_.size() < kCodedHeaderBytes) return;
    memcpy(coded_.data(), "FMTC", 4);
    coded_[4] = static_cast<uint8_t>(case_.codec().side_info.StreamVersion());
    coded_[5] = case_.spec().checksum;
    coded_[7] = 0;
    if (!choices_.OneIn(16)) Store(coded_.data() + 8, static_cast<uint32_t>(coded_.size()));
    if (HasTable() && !choices_.OneIn(8)) RepairLastLength();
    const uint32_t payload = Load<uint32_t>(coded_.data() + 8);
    if (choices_.OneIn(64)) return;
    Store(coded_.data() + 12, case_.spec().checksum && payload >= kCodedHeaderBytes && payload <= coded_.size()
                                  ? ExtendCrc32c(ExtendCrc32c(0, coded_.data(), 12), coded_.data() + 16, payload - 16)
                                  : 0);
  }

 private:
  size_t Body() const { return kCodedHeaderBytes + sizeof(uint32_t) * entries_; }
  bool HasTable() const { return entries_ > 0 && coded_.size() >= Body(); }
  uint8_t* Entry(size_t i) { return coded_.data() + kCodedHeaderBytes + sizeof(uint32_t) * i; }
  uint32_t Length(size_t i) { return Load<uint32_t>(Entry(i)); }
  uint32_t Values(size_t segment) const {
    return SegmentRows(plan_, static_cast<uint32_t>(segment % plan_.segments_per_item)) * plan_.row_values;
  }

  // Where a segment begins if the lengths before are true, or behind the end.
  size_t SegmentBegin(size_t segment) {
    size_t begin = Body();
    for (size_t i = 0; i < segment; ++i) begin += Length(i);
    return begin;
  }

  void LieInHeader() {
    if (coded_.size() < kCodedHeaderBytes) return;
    if (choices_.OneIn(2)) {
      coded_[6] = static_cast<uint8_t>(choices_.Below(kMaxLevel + 2));
    } else {
      coded_[choices_.Below(kCodedHeaderBytes)] = AnyByte(&choices_);
    }
  }

  // Any length, or one that another segment pays for.
  void LieInTable() {
    if (!HasTable()) return;
    const size_t i = choices_.Below(entries_), j = choices_.Below(entries_);
    const uint32_t raw = Values(i);
    const uint32_t size = static_cast<uint32_t>(coded_.size());
    const uint32_t shift = choices_.OneIn(2) ? choices_.Below(9) : choices_.Below(raw);
    switch (choices_.Below(3)) {
      case 0:
        return Store(Entry(i), choices_.Of<uint32_t>({0, 1, 2, 52, 53, 54, raw, raw + 1, size, 1u << 31, UINT32_MAX}));
      case 1:
        return Store(Entry(i), choices_.OneIn(2) ? Length(i) + shift : Length(i) - shift);
      default:
        Store(Entry(i), Length(i) + shift);
        Store(Entry(j), Length(j) - shift);
    }
  }

  void LieInSegment() {
    if (!HasTable()) return;
    const size_t begin = SegmentBegin(choices_.Below(entries_));
    if (begin >= coded_.size()) return;
    uint8_t* const segment = coded_.data() + begin;
    if (choices_.OneIn(4) || coded_.size() - begin < kSegmentHeaderBytes) {
      segment[0] = AnyByte(&choices_);
      return;
    }
    const uint32_t streams = Load<uint32_t>(segment + 1);
    switch (choices_.Below(4)) {
      case 0:
        return Store(segment + 1,
                     choices_.OneIn(2) ? streams + 8 * choices_.Below(20) : streams - 8 * choices_.Below(20));
      case 1:
        return Store(segment + 1, (streams & ~7u) | choices_.Below(8));
      case 2:
        return Store(segment + 1, static_cast<uint32_t>(choices_.Next()));
      default:
        FillBytes(&choices_, begin + 5, kSegmentHeaderBytes - 5, &coded_);
    }
  }

  // Coded, with streams of any length and content.
  void ReplaceLastSegment() {
    if (!HasTable()) return;
    const uint32_t values = Values(entries_ - 1);
    const size_t begin = SegmentBegin(entries_ - 1);
    if (begin > coded_.size() || values <= kSegmentHeaderBytes + 1) return;
    const uint32_t most = values - static_cast<uint32_t>(kSegmentHeaderBytes);
    const uint32_t streams = choices_.Below(choices_.OneIn(4) ? std::min(most, 8u) : most);
    const uint32_t tokens = choices_.OneIn(8) ? streams : choices_.Below(streams + 1);
    coded_.resize(begin + kSegmentHeaderBytes + streams);
    FillBytes(&choices_, begin, kSegmentHeaderBytes + streams, &coded_);
    coded_[begin] = choices_.OneIn(3) ? static_cast<uint8_t>(choices_.Below(8)) : 0;
    Store(coded_.data() + begin + 1, tokens << 3 | (choices_.OneIn(2) ? 0 : choices_.Below(8)));
  }

  void RepairLastLength() {
    uint32_t left = static_cast<uint32_t>(coded_.size() - Body());
    for (size_t i = 0; i + 1 < entries_; ++i) left -= Length(i);
    Store(Entry(entries_ - 1), left);
  }

  const FuzzCase& case_;
  const MapPlan& plan_;
  Choices& choices_;
  Bytes& coded_;
  const size_t entries_;
};

// The fields of the fixed header (FORMAT.md section 2).
void LieInSideInfoHeader(Choices* choices, Bytes* side_info) {
  uint8_t* const data = side_info->data();
  switch (choices->Below(8)) {
    case 0:
      data[5] ^= static_cast<uint8_t>(1u << choices->Below(7));
      break;
    case 1:
      data[6] = static_cast<uint8_t>(choices->Below(10));
      break;
    case 2:
      data[7] = static_cast<uint8_t>(choices->Below(8));
      break;
    case 3:
      Store(data + choices->Of<size_t>({16, 20}),
            choices->OneIn(2) ? choices->Below(64)
                              : choices->Of<uint32_t>({0, 1, 65535, 65536, 65537, 1u << 31, UINT32_MAX}));
      break;
    case 4:
      data[24 + choices->Below(3)] = AnyByte(choices);
      break;
    case 5:
      data[choices->Of<size_t>({27, 30})] = static_cast<uint8_t>(choices->Below(33));
      break;
    case 6:
      Store(data + 28, choices->Of<uint16_t>({0, 15, 16, 17, 4079, 4080, 4081, 65535}));
      break;
    default:
      data[31] = static_cast<uint8_t>(choices->Below(44));
  }
}

// Elements of matrices and biases, as far as the bytes are some.
void LieInSideInfoElements(Choices* choices, Bytes* side_info) {
  const size_t at = 32 + choices->Below(side_info->size() - 32 - 3);
  if (choices->OneIn(2)) {
    Store(side_info->data() + at, choices->Of<int16_t>({32767, -32768, -32767, 0, 1, -1}));
  } else {
    Store(side_info->data() + at / 4 * 4, choices->Of<int32_t>({INT32_MAX, INT32_MIN, 1 << 30, 0, -1}));
  }
}

}  // namespace

void MutateBytes(Choices* choices, const Bytes& other, size_t begin, Bytes* bytes) {
  if (bytes->size() <= begin) return;
  const size_t at = begin + choices->Below(bytes->size() - begin);
  const size_t run = std::min<size_t>(bytes->size() - at, 1 + choices->Below(choices->OneIn(4) ? 64 : 8));
  const auto position = bytes->begin() + static_cast<std::ptrdiff_t>(at);
  switch (choices->Below(8)) {
    case 0:
    case 1:
      (*bytes)[at] ^= static_cast<uint8_t>(1u << choices->Below(8));
      break;
    case 2:
      (*bytes)[at] = AnyByte(choices);
      break;
    case 3:
      FillBytes(choices, at, run, bytes);
      break;
    case 4:
      bytes->resize(choices->OneIn(2) ? at : bytes->size() - run);
      break;
    case 5:
      bytes->erase(position, position + static_cast<std::ptrdiff_t>(run));
      break;
    case 6:
      bytes->insert(position, run, AnyByte(choices));
      break;
    default:
      bytes->resize(std::min(at, other.size()));
      bytes->insert(bytes->end(), other.begin() + static_cast<std::ptrdiff_t>(bytes->size()), other.end());
  }
}

void MutateCoded(const FuzzCase& c, Choices* choices, Bytes* coded) {
  CodedMutator mutator(c, choices, coded);
  for (uint32_t left = 1 + choices->Below(3); left > 0; --left) mutator.Mutate();
  if (!choices->OneIn(16)) mutator.Repair();
}

void MutateSideInfo(const FuzzCase& c, Choices* choices, Bytes* side_info) {
  for (uint32_t left = 1 + choices->Below(3); left > 0; --left) {
    if (side_info->size() < 36) break;
    switch (choices->Below(3)) {
      case 0:
        LieInSideInfoHeader(choices, side_info);
        break;
      case 1:
        LieInSideInfoElements(choices, side_info);
        break;
      default:
        MutateBytes(choices, c.side_info(), 0, side_info);
    }
  }
  if (side_info->size() < 32 || choices->OneIn(16)) return;
  side_info->resize(RoundUp(side_info->size(), 16));
  Store(side_info->data() + 8, static_cast<uint32_t>(side_info->size()));
  test::FixSideInfoChecksum(side_info);
}

}  // namespace fmtc::fuzz
