#include "tests/random_floats.h"

#include <limits>

#include "region/parameters.h"

namespace fmtc::test {
namespace {

using namespace region;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

class FloatOps {
 public:
  FloatOps(Random* random, ProgramBuilder* builder) : random_(*random), builder_(*builder) {}

  int32_t Pick(int32_t low, int32_t high) { return Draw(&random_, low, high); }
  uint8_t Byte(int32_t low = 0, int32_t high = 255) { return static_cast<uint8_t>(Pick(low, high)); }

  uint16_t Add(uint8_t place, uint32_t height, uint32_t width, uint32_t channels) {
    return builder_.AddTensor(place, kFloat32, height, width, channels);
  }
  uint16_t AddLike(uint16_t tensor, uint8_t place) {
    const TensorRecord t = builder_.tensor(tensor);
    return Add(place, t.height, t.width, t.channels);
  }

  uint16_t Dequantize(uint16_t from, uint8_t place) {
    const uint16_t to = AddLike(from, place);
    if (Pick(0, 3) == 0) {
      builder_.AddOp(kCast, 1, {from}, to);
      return to;
    }
    DequantizeParameters p{0.1f, Byte(), {}, 0.0f, 0, {}};
    const uint8_t rule = Byte(1, 2);
    if (rule == 2) p.addend = -12.8f, p.offset = Pick(0, 1) != 0 ? 128 : 0;
    builder_.AddOp(kDequantize, rule, {from}, to, p);
    return to;
  }

  uint16_t Unary(uint16_t from, uint8_t place) {
    const UnaryParameters p{Pick(0, 1) != 0 ? 0.0f : -kInfinity, Pick(0, 1) != 0 ? 6.0f : kInfinity, Byte(0, 1), {}};
    const uint16_t to = AddLike(from, place);
    builder_.AddOp(kUnary, Byte(1, 3), {from}, to, p);
    return to;
  }

  // Of a tensor with itself or with constants, which spread in some directions.
  uint16_t Binary(uint16_t from, uint8_t place) {
    const TensorRecord t = builder_.tensor(from);
    BinaryParameters p{Pick(0, 1) != 0 ? 0.0f : -kInfinity,
                       Pick(0, 1) != 0 ? 6.0f : kInfinity,
                       Byte(0, 1),
                       Byte(0, 2),
                       0,
                       0,
                       0,
                       0,
                       0,
                       0};
    std::vector<uint16_t> inputs = {from};
    if (p.constant == 0) {
      inputs.push_back(from);
    } else {
      p.height = Pick(0, 1) != 0 ? t.height : 1;
      p.width = Pick(0, 1) != 0 ? t.width : 1;
      p.channels = Pick(0, 1) != 0 ? t.channels : 1;
      std::vector<float> constants(size_t{p.height} * p.width * p.channels);
      for (float& value : constants) value = static_cast<float>(Pick(-300, 300)) / 64.0f;
      p.constants_offset = builder_.AddArray(constants);
    }
    const uint16_t to = AddLike(from, place);
    builder_.AddOp(kBinary, Byte(1, 7), inputs, to, p);
    return to;
  }

 private:
  Random& random_;
  ProgramBuilder& builder_;
};

}  // namespace

uint16_t AddFloatInput(Random* random, ProgramBuilder* builder, uint32_t height, uint32_t width, uint32_t channels) {
  FloatOps ops(random, builder);
  constexpr uint8_t kTypes[] = {kInt32, kUInt8, kInt64, kInt8};
  const uint16_t input = builder->AddTensor(kInput, kTypes[ops.Pick(0, 3)], height, width, channels);
  const uint16_t to = ops.Add(kScratch, height, width, channels);
  builder->AddOp(kCast, 1, {input}, to);
  return ops.Binary(to, kScratch);
}

uint16_t AddFloats(Random* random, ProgramBuilder* builder, uint16_t from, uint8_t place) {
  FloatOps ops(random, builder);
  int32_t left = ops.Pick(0, 3);
  uint16_t last = ops.Dequantize(from, left == 0 ? place : uint8_t{kScratch});
  for (; left > 0; --left) {
    const uint8_t to = left == 1 ? place : uint8_t{kScratch};
    last = ops.Pick(0, 3) == 0 ? ops.Unary(last, to) : ops.Binary(last, to);
  }
  return last;
}

void AddQuantize(Random* random, ProgramBuilder* builder, uint16_t from, uint16_t to) {
  FloatOps ops(random, builder);
  const QuantizeParameters p{0.05f, 20.0f, ops.Byte(), ops.Byte(0, 100), ops.Byte(101), 0, 0};
  builder->AddOp(kQuantize, ops.Byte(1, 4), {from}, to, p);
}

}  // namespace fmtc::test
