#include "tests/random_pairs.h"

#include <cstring>

#include "base/bytes.h"
#include "region/kind.h"
#include "region/parameters.h"

namespace fmtc::test {

using namespace region;

uint16_t RandomPairs::AddMean(uint16_t tensor) {
  const uint32_t channels = builder_.tensor(tensor).channels;
  MeanParameters p{};
  p.multiplier = Draw(1 << 28, INT32_MAX);
  p.shift = Draw(-8, -3);
  p.high = 255;
  const uint16_t to = AddScratch(1, 1, channels);
  builder_.AddOp(kMean, 1, {tensor}, to, p, RoundUp(channels, 16) * sizeof(int32_t));
  return to;
}

// Of one row, one column or one channel where the tensor has many, or not.
uint16_t RandomPairs::AddNarrowInput(uint16_t tensor, bool all_channels) {
  const TensorRecord t = builder_.tensor(tensor);
  const uint32_t height = Draw(0, 1) != 0 ? t.height : 1, width = Draw(0, 1) != 0 ? t.width : 1;
  const uint32_t channels = all_channels || Draw(0, 1) != 0 ? t.channels : 1;
  const uint16_t input = builder_.AddTensor(kInput, kUInt8, height, width, channels);
  const uint16_t to = AddScratch(height, width, channels);
  builder_.AddOp(kCopy, 1, {input}, to);
  return to;
}

std::vector<uint16_t> RandomPairs::Operands(uint16_t tensor, bool is_sum, uint32_t* constants_offset) {
  switch (Draw(0, 3)) {
    case 0:
      return {tensor, tensor};
    case 1:
      return {tensor, AddMean(tensor)};
    case 2:
      return {tensor, AddNarrowInput(tensor, is_sum)};
    default:
      std::vector<uint8_t> constants(RoundUp(builder_.tensor(tensor).channels, 16));
      for (uint8_t& value : constants) value = Byte();
      *constants_offset = builder_.AddArray(constants);
      return {tensor};
  }
}

uint16_t RandomPairs::Add(uint16_t tensor) {
  const int32_t choice = Draw(0, 4);
  uint32_t constants_offset = 0;
  const std::vector<uint16_t> operands = Operands(tensor, choice <= 1, &constants_offset);
  const TensorRecord t = builder_.tensor(tensor);
  const uint16_t to = AddScratch(t.height, t.width, t.channels);
  switch (choice) {
    case 0:
    case 1:
      AddSum(operands, constants_offset, to);
      break;
    case 2:
      AddProduct(operands, constants_offset, to);
      break;
    case 3:
      builder_.AddOp(kExtremum, Byte(1, 2), operands, to, ExtremumParameters{constants_offset, {}});
      break;
    default:
      AddPrelu(operands, constants_offset, to);
  }
  return to;
}

void RandomPairs::AddSum(const std::vector<uint16_t>& operands, uint32_t constants_offset, uint16_t to) {
  AddParameters p{};
  p.zero_a = Draw(0, 255);
  p.zero_b = Draw(0, 255);
  p.zero = Byte();
  p.low = Byte(0, 128);
  p.high = Byte(128);
  p.constants_offset = constants_offset;
  const uint8_t rule = Byte(1, kNumAddRules - 1);
  if (rule != 2) {
    p.multiplier_a = Draw(1 << 30, INT32_MAX);
    p.multiplier_b = Draw(1 << 30, INT32_MAX);
    p.multiplier_sum = Draw(1 << 30, INT32_MAX);
    p.shift_a = static_cast<int8_t>(Draw(-3, 0));
    p.shift_b = static_cast<int8_t>(Draw(-3, 0));
    p.shift_sum = static_cast<int8_t>(Draw(-20, -15));
  } else {
    p.multiplier_a = Draw(-(1 << 21), 1 << 21);
    p.multiplier_b = Draw(-(1 << 21), 1 << 21);
    p.shift = Byte(18, 22);
  }
  builder_.AddOp(kAdd, rule, operands, to, p);
}

void RandomPairs::AddProduct(const std::vector<uint16_t>& operands, uint32_t constants_offset, uint16_t to) {
  constexpr uint8_t kRules[] = {kDoubleRounding, kFloat32Rule, kRndnu};
  const uint8_t rule = kRules[Draw(0, 2)];
  MultiplyParameters p{};
  p.zero_a = Byte();
  p.zero_b = Byte();
  p.zero = Byte();
  p.low = Byte(0, 128);
  p.high = Byte(128);
  p.constants_offset = constants_offset;
  if (rule == kFloat32Rule) {
    const float factor = static_cast<float>(Draw(1, 1000)) * 2e-5f;
    std::memcpy(&p.scale, &factor, sizeof(p.scale));
  } else {
    p.scale = static_cast<uint32_t>(Draw(1 << 30, INT32_MAX));
    p.shift = static_cast<int8_t>(Draw(-12, -4));
  }
  builder_.AddOp(kMultiply, rule, operands, to, p);
}

void RandomPairs::AddPrelu(const std::vector<uint16_t>& operands, uint32_t constants_offset, uint16_t to) {
  PreluParameters p{};
  p.zero_a = Byte();
  p.zero_b = Byte();
  p.zero = Byte();
  p.shift_above = static_cast<int8_t>(Draw(-4, 1));
  p.shift_below = static_cast<int8_t>(Draw(-12, -4));
  p.multiplier_above = Draw(1 << 30, INT32_MAX);
  p.multiplier_below = Draw(1 << 30, INT32_MAX);
  p.constants_offset = constants_offset;
  builder_.AddOp(kPrelu, 1, operands, to, p);
}

}  // namespace fmtc::test
