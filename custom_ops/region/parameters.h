// The parameter structs of the kinds, as REGION.md section 5 lays them out.
#ifndef FMTC_REGION_PARAMETERS_H_
#define FMTC_REGION_PARAMETERS_H_

#include <cstdint>

namespace fmtc::region {

enum KindNumber : uint8_t {
  kConv = 1,
  kDepthwise = 2,
  kFullyConnected = 3,
  kTable = 4,
  kQuantize = 5,
  kAdd = 6,
  kMean = 7,
  kAveragePool = 8,
  kMaxPool = 9,
  kPad = 10,
  kSlice = 11,
  kTranspose = 12,
  kConcatenation = 13,
  kResizeBilinear = 14,
  kResizeNearest = 15,
  kCopy = 16,
  kDequantize = 17,
  kMultiply = 18,
  kExtremum = 19,
  kPrelu = 20,
  // Values that move, and transposed convolution.
  kTransposeConv = 23,
  kMirrorPad = 24,
  kDepthToSpace = 25,
  kSpaceToDepth = 26,
  kArgMax = 30,
  kBinary = 31,
  kUnary = 32,
  kCast = 33,
  kArgMaxPlaces = 34,
  kEncode = 35,
  kDecode = 36,
  kSoftmax = 37,
};

// Kinds that multiply and add up.
inline bool IsMacKind(uint8_t kind) {
  return kind == kConv || kind == kDepthwise || kind == kFullyConnected || kind == kTransposeConv;
}

struct WindowParameters {
  uint16_t kernel_rows, kernel_columns;
  uint16_t row_stride, column_stride;
  uint16_t row_dilation, column_dilation;
  uint16_t above, left;
};

// Of CONV, DEPTHWISE and FULLY_CONNECTED.
struct MacParameters {
  WindowParameters window;
  uint32_t group_channels;  // DEPTHWISE: depth multiplier
  uint16_t groups;
  uint8_t layout;
  int8_t weight_zero;
  uint8_t zero, low, high;
  uint8_t reserved0;
  uint32_t weights_offset;
  uint32_t biases_offset;
  uint32_t multipliers_offset;
  uint32_t shifts_offset;
  uint32_t order_offset;
  uint32_t safe_offset;
  uint32_t sums_offset;
  uint32_t reserved1[2];
};
static_assert(sizeof(MacParameters) == 64);

struct TableParameters {
  uint8_t values[256];
};

struct QuantizeParameters {
  float scale, inverse;
  uint8_t zero, low, high;
  uint8_t outside;  // of what no int32 holds, rules 1, 2 and 4
  uint32_t reserved;
};
static_assert(sizeof(QuantizeParameters) == 16);

struct AddParameters {
  int32_t zero_a, zero_b;
  uint8_t zero, low, high;
  uint8_t shift;
  int32_t multiplier_a, multiplier_b, multiplier_sum;
  int8_t shift_a, shift_b, shift_sum;
  uint8_t reserved0;
  uint32_t constants_offset;
  uint32_t reserved1[8];
};
static_assert(sizeof(AddParameters) == 64);

// The scale's bits are i32 or f32, by the rule.
struct MultiplyParameters {
  uint8_t zero_a, zero_b;
  uint8_t zero, low, high;
  int8_t shift;
  uint8_t reserved[2];
  uint32_t scale;
  uint32_t constants_offset;
};
static_assert(sizeof(MultiplyParameters) == 16);

struct ExtremumParameters {
  uint32_t constants_offset;
  uint32_t reserved[3];
};
static_assert(sizeof(ExtremumParameters) == 16);

// Of values from the zero point on, and of those below it.
struct PreluParameters {
  uint8_t zero_a, zero_b;
  uint8_t zero;
  uint8_t reserved0;
  int8_t shift_above, shift_below;
  uint8_t reserved1[2];
  int32_t multiplier_above, multiplier_below;
  uint32_t constants_offset;
  uint32_t reserved2;
};
static_assert(sizeof(PreluParameters) == 24);

struct MeanParameters {
  int32_t start;
  int32_t multiplier;
  int32_t shift;
  float factor;
  int32_t zero;
  uint8_t low, high;
  uint8_t reserved0[2];
  float addend;  // rule 7
  uint8_t reserved1[4];
};
static_assert(sizeof(MeanParameters) == 32);

// Of both pools.
struct PoolParameters {
  WindowParameters window;
  uint8_t offset, low, high;
  uint8_t reserved[5];
};
static_assert(sizeof(PoolParameters) == 24);

struct PadParameters {
  uint32_t above, left, channels_before;
  uint8_t value;
  uint8_t reserved[3];
};
static_assert(sizeof(PadParameters) == 16);

struct SliceParameters {
  uint32_t first_row, row_step, first_column, column_step, first_channel, channel_step;
};
static_assert(sizeof(SliceParameters) == 24);

struct TransposeParameters {
  int32_t row_stride, column_stride, channel_stride;
  uint32_t reserved;
};
static_assert(sizeof(TransposeParameters) == 16);

enum ConcatenationAxis : uint8_t { kRowAxis = 0, kColumnAxis = 1, kChannelAxis = 2 };

struct ConcatenationParameters {
  uint8_t axis;
  uint8_t reserved[7];
};
static_assert(sizeof(ConcatenationParameters) == 8);

// Of both resizing kinds.
struct ResizeParameters {
  uint32_t rows_offset, columns_offset;
  uint8_t offset;
  uint8_t reserved[7];
};
static_assert(sizeof(ResizeParameters) == 16);

// A row or column of RESIZE_BILINEAR's output: the bits of its weights are i32 or f32, by the rule.
struct BilinearEntry {
  uint32_t first, second;
  uint32_t weights[2];
};
static_assert(sizeof(BilinearEntry) == 16);

struct MirrorPadParameters {
  uint32_t above, left, channels_before;
  uint8_t skipped;  // 1: the input's ends are not repeated
  uint8_t reserved[3];
};
static_assert(sizeof(MirrorPadParameters) == 16);

// Of DEPTH_TO_SPACE and SPACE_TO_DEPTH.
struct BlockParameters {
  uint32_t block;
  uint32_t reserved;
};
static_assert(sizeof(BlockParameters) == 8);

struct DequantizeParameters {
  float scale;
  uint8_t zero;
  uint8_t reserved0[3];
  float addend;    // rule 2
  uint8_t offset;  // rule 2
  uint8_t reserved1[3];
};
static_assert(sizeof(DequantizeParameters) == 16);

struct BinaryParameters {
  float low, high;
  uint8_t flush;
  uint8_t constant;  // which operand is constant: 0 none, 1 the first, 2 the second
  uint16_t reserved0;
  uint32_t constants_offset;
  uint32_t height, width, channels;  // of the constants
  uint32_t reserved1;
};
static_assert(sizeof(BinaryParameters) == 32);

struct UnaryParameters {
  float low, high;
  uint8_t flush;
  uint8_t reserved[7];
};
static_assert(sizeof(UnaryParameters) == 16);

struct EncodeParameters {
  uint32_t side_info_offset;
  uint32_t side_info_bytes;
  uint32_t column_ends_offset;  // u16 [groups of columns], or 0 if there is one
  uint32_t reserved[1];
};
static_assert(sizeof(EncodeParameters) == 16);

struct SoftmaxParameters {
  uint32_t exponentials_offset;  // i32 [256]
  uint32_t reserved[3];
};
static_assert(sizeof(SoftmaxParameters) == 16);

}  // namespace fmtc::region

#endif  // FMTC_REGION_PARAMETERS_H_
