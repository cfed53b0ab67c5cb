#include "tests/random_moves.h"

#include <algorithm>
#include <vector>

#include "base/bytes.h"
#include "region/kind.h"
#include "region/parameters.h"

namespace fmtc::test {

using namespace region;

namespace {

constexpr uint32_t kMaxJoined = 24;  // rows, columns or channels
constexpr uint32_t kMaxBlockedSide = 24;
constexpr uint32_t kMaxBlockedChannels = 72;

}  // namespace

uint16_t RandomMoves::Add(uint16_t tensor) {
  switch (Draw(0, 5)) {
    case 0:
      return AddPad(tensor);
    case 1:
      return AddSlice(tensor);
    case 2:
      return AddConcatenation(tensor);
    case 3:
      return AddMirrorPad(tensor);
    case 4:
      return AddDepthToSpace(tensor);
    default:
      return AddSpaceToDepth(tensor);
  }
}

uint16_t RandomMoves::AddPad(uint16_t tensor) {
  const TensorRecord t = builder_.tensor(tensor);
  const PadParameters p{Number(0, 2), Number(0, 2), Number(0, 2), Byte(), {}};
  const uint16_t to = AddScratch(p.above + t.height + Number(0, 2), p.left + t.width + Number(0, 2),
                                 p.channels_before + t.channels + Number(0, 2));
  builder_.AddOp(kPad, 1, {tensor}, to, p);
  return to;
}

uint16_t RandomMoves::AddSlice(uint16_t tensor) {
  const TensorRecord t = builder_.tensor(tensor);
  SliceParameters p{};
  p.first_row = Number(0, static_cast<int32_t>(t.height) - 1);
  p.row_step = Number(1, 2);
  p.first_column = Number(0, static_cast<int32_t>(t.width) - 1);
  p.column_step = Number(1, 2);
  p.first_channel = Number(0, static_cast<int32_t>(t.channels) - 1);
  p.channel_step = Number(1, 2);
  const uint16_t to =
      AddScratch((t.height - 1 - p.first_row) / p.row_step + 1, (t.width - 1 - p.first_column) / p.column_step + 1,
                 (t.channels - 1 - p.first_channel) / p.channel_step + 1);
  builder_.AddOp(kSlice, 1, {tensor}, to, p);
  return to;
}

uint16_t RandomMoves::AddConcatenation(uint16_t tensor) {
  const TensorRecord t = builder_.tensor(tensor);
  const uint32_t times = Number(1, 3);
  const ConcatenationParameters p{Byte(0, 2), {}};
  uint32_t sizes[3] = {t.height, t.width, t.channels};
  if (sizes[p.axis] * times > kMaxJoined) return tensor;
  sizes[p.axis] *= times;
  const uint16_t to = AddScratch(sizes[0], sizes[1], sizes[2]);
  builder_.AddOp(kConcatenation, 1, std::vector<uint16_t>(times, tensor), to, p);
  return to;
}

// At most so many places before an axis of so many, whose ends may be skipped.
uint32_t RandomMoves::Mirrored(uint32_t size, uint32_t skipped) {
  return Number(0, static_cast<int32_t>(std::min<uint32_t>(size - skipped, 3)));
}

uint16_t RandomMoves::AddMirrorPad(uint16_t tensor) {
  const TensorRecord t = builder_.tensor(tensor);
  MirrorPadParameters p{};
  p.skipped = Byte(0, 1);
  p.above = Mirrored(t.height, p.skipped);
  p.left = Mirrored(t.width, p.skipped);
  if (Draw(0, 2) == 0) p.channels_before = Mirrored(t.channels, p.skipped);
  const uint32_t channels = t.channels + p.channels_before + (Draw(0, 2) == 0 ? Mirrored(t.channels, p.skipped) : 0);
  const uint16_t to = AddScratch(p.above + t.height + Mirrored(t.height, p.skipped),
                                 p.left + t.width + Mirrored(t.width, p.skipped), channels);
  builder_.AddOp(kMirrorPad, 1, {tensor}, to, p);
  return to;
}

// The tensor is first made so that it has whole blocks.
uint16_t RandomMoves::AddDepthToSpace(uint16_t tensor) {
  const uint32_t block = Number(1, 3);
  const uint32_t channels = Number(1, 3);
  const TensorRecord t = builder_.tensor(tensor);
  if (t.height * block > kMaxBlockedSide || t.width * block > kMaxBlockedSide) return tensor;
  if (t.channels > channels * block * block) return tensor;
  const uint16_t deep = AddScratch(t.height, t.width, channels * block * block);
  builder_.AddOp(kPad, 1, {tensor}, deep, PadParameters{0, 0, 0, Byte(), {}});
  const uint16_t to = AddScratch(t.height * block, t.width * block, channels);
  builder_.AddOp(kDepthToSpace, 1, {deep}, to, BlockParameters{block, 0});
  return to;
}

uint16_t RandomMoves::AddSpaceToDepth(uint16_t tensor) {
  const uint32_t block = Number(1, 3);
  const TensorRecord t = builder_.tensor(tensor);
  if (t.channels * block * block > kMaxBlockedChannels) return tensor;
  const uint32_t height = static_cast<uint32_t>(RoundUp(t.height, block) / block);
  const uint32_t width = static_cast<uint32_t>(RoundUp(t.width, block) / block);
  const uint16_t whole = AddScratch(height * block, width * block, t.channels);
  builder_.AddOp(kPad, 1, {tensor}, whole, PadParameters{0, 0, 0, Byte(), {}});
  const uint16_t to = AddScratch(height, width, t.channels * block * block);
  builder_.AddOp(kSpaceToDepth, 1, {whole}, to, BlockParameters{block, 0});
  return to;
}

}  // namespace fmtc::test
