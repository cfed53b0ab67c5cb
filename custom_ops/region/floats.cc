// BINARY and UNARY: arithmetic of float32, each operation rounded by itself.
#include <cfloat>
#include <cmath>

#include "base/bytes.h"
#include "region/each_run.h"
#include "region/kind.h"

namespace fmtc::region {
namespace {

enum BinaryRule : uint8_t {
  kSum = 1,
  kDifference = 2,
  kProduct = 3,
  kQuotient = 4,
  kGreater = 5,
  kLess = 6,
  kSquaredDifference = 7,
};
enum UnaryRule : uint8_t { kClamp = 1, kSquareRoot = 2, kLogistic = 3 };

constexpr ptrdiff_t kFloatBytes = sizeof(float);

// The one not-a-number that is stored, whichever it was.
float OneNan(float x) {
  if (x == x) return x;
  const uint32_t bits = 0x7FC00000;
  float nan;
  memcpy(&nan, &bits, sizeof(nan));
  return nan;
}

float Clamped(float x, float low, float high) {
  x = x < low ? low : x;
  return x > high ? high : x;
}

// A processor's flush to zero: what is less than the least normal number, however it is rounded.
float Flushed(float x) { return std::fabs(x) < FLT_MIN ? std::copysign(0.0f, x) : x; }

// Of a result that is `exact` before it is rounded to float: the least normal number may be a smaller one rounded up.
float FlushedResult(float x, double exact) {
  constexpr double kLeast = 0x1.FFFFFFp-127;  // (1 - 2^-25) * 2^-126, which rounds to the even FLT_MIN
  return std::fabs(exact) < kLeast ? std::copysign(0.0f, x) : Flushed(x);
}

struct Sum {
  static float Apply(float a, float b) { return a + b; }
  static float Flush(float x, float, float) { return Flushed(x); }
};
struct Difference {
  static float Apply(float a, float b) { return a - b; }
  static float Flush(float x, float, float) { return Flushed(x); }
};
struct Product {
  static float Apply(float a, float b) { return a * b; }
  static float Flush(float x, float a, float b) {
    return FlushedResult(x, static_cast<double>(a) * static_cast<double>(b));
  }
};
struct Quotient {
  static float Apply(float a, float b) { return a / b; }
  static float Flush(float x, float a, float b) {
    return FlushedResult(x, static_cast<double>(a) / static_cast<double>(b));
  }
};
struct Greater {
  static float Apply(float a, float b) { return a > b ? a : b; }
  static float Flush(float x, float, float) { return x; }
};
struct Less {
  static float Apply(float a, float b) { return a < b ? a : b; }
  static float Flush(float x, float, float) { return x; }
};
struct SquaredDifference {
  static float Apply(float a, float b) {
    const float distance = a - b;
    return distance * distance;
  }
  static float Flush(float, float a, float b) {
    const float distance = Flushed(a - b);
    return Product::Flush(distance * distance, distance, distance);
  }
};

// A run of values and how far it is from one to the next: 0 for one that stands for all.
struct Operand {
  const uint8_t* values;
  ptrdiff_t stride;
};

template <class Operation, bool kFlush>
void Combine(Operand a, Operand b, const BinaryParameters& p, ptrdiff_t count, uint8_t* out) {
  for (ptrdiff_t i = 0; i < count; ++i) {
    float x = Load<float>(a.values + i * a.stride), y = Load<float>(b.values + i * b.stride);
    if (kFlush) {
      x = Flushed(x);
      y = Flushed(y);
    }
    float z = Operation::Apply(x, y);
    if (kFlush) z = Operation::Flush(z, x, y);
    Store(out + i * kFloatBytes, OneNan(Clamped(z, p.low, p.high)));
  }
}

using CombineFunction = void (*)(Operand, Operand, const BinaryParameters&, ptrdiff_t, uint8_t*);

template <bool kFlush>
CombineFunction FindCombine(uint8_t rule) {
  switch (rule) {
    case kSum:
      return Combine<Sum, kFlush>;
    case kDifference:
      return Combine<Difference, kFlush>;
    case kProduct:
      return Combine<Product, kFlush>;
    case kQuotient:
      return Combine<Quotient, kFlush>;
    case kGreater:
      return Combine<Greater, kFlush>;
    case kLess:
      return Combine<Less, kFlush>;
    default:
      return Combine<SquaredDifference, kFlush>;
  }
}

bool FitsRange(float low, float high, uint8_t flush) { return low <= high && flush <= 1; }

bool Spans(uint32_t size, uint32_t output) { return size == 1 || size == output; }

bool Spreads(const TensorRecord& operand, const TensorRecord& output) {
  return operand.type == kFloat32 && Spans(operand.height, output.height) && Spans(operand.width, output.width) &&
         Spans(operand.channels, output.channels);
}

Status CheckBinary(const OpView& op) {
  const BinaryParameters& p = op.parameters<BinaryParameters>();
  const TensorRecord& output = op.output();
  if (!IsRule(op, kSquaredDifference)) return Status::kProgramUnsupported;
  bool fits = output.type == kFloat32 && FitsRange(p.low, p.high, p.flush) && p.reserved0 == 0 && p.reserved1 == 0 &&
              p.constant <= 2 && op.op->inputs == (p.constant == 0 ? 2 : 1);
  for (int i = 0; i < op.op->inputs; ++i) fits = fits && Spreads(op.input(i), output);
  if (!fits || p.constant == 0) {
    return ValidIf(fits && p.constants_offset == 0 && p.height == 0 && p.width == 0 && p.channels == 0);
  }
  uint64_t pixels, count;
  return ValidIf(Spans(p.height, output.height) && Spans(p.width, output.width) && Spans(p.channels, output.channels) &&
                 CheckedMultiply(p.height, p.width, &pixels) && CheckedMultiply(pixels, p.channels, &count) &&
                 op.program->Has(p.constants_offset, count, sizeof(float), sizeof(float)));
}

Range SpreadRows(const OpView& op, int operand, int32_t step) {
  return op.input(operand).height == 1 ? Range{0, 1} : Range{step, step + 1};
}

Range SpreadColumns(const OpView& op, int operand, Range columns) {
  return op.input(operand).width == 1 ? Range{0, 1} : columns;
}

// An operand's pixels of a step.
struct PixelRun {
  const uint8_t* first;
  ptrdiff_t pixel_stride, channel_stride;
};

PixelRun OfTensor(const OpView& op, const RowAccess& access, int operand, int32_t step) {
  const TensorRecord& t = op.input(operand);
  const int32_t row = SpreadRows(op, operand, step).first;
  const int32_t column = SpreadColumns(op, operand, access.Window(op)).first;
  return {access.Read(t, row, column), t.width == 1 ? 0 : static_cast<ptrdiff_t>(t.pixel_bytes),
          t.channels == 1 ? 0 : kFloatBytes};
}

PixelRun OfConstants(const OpView& op, const RowAccess& access, int32_t step) {
  const BinaryParameters& p = op.parameters<BinaryParameters>();
  const ptrdiff_t pixel = static_cast<ptrdiff_t>(p.channels) * kFloatBytes;
  const ptrdiff_t row = p.height == 1 ? 0 : step * static_cast<ptrdiff_t>(p.width) * pixel;
  const ptrdiff_t column = p.width == 1 ? 0 : access.Window(op).first * pixel;
  const uint8_t* constants = op.program->At<uint8_t>(p.constants_offset);
  return {constants + row + column, p.width == 1 ? 0 : pixel, p.channels == 1 ? 0 : kFloatBytes};
}

// Whether pixels of so many channels follow one another as values do, or one value is all.
bool IsOneRun(const PixelRun& run, ptrdiff_t channels) { return run.pixel_stride == channels * run.channel_stride; }

void RunBinary(const OpView& op, const RowAccess& access, const RowKernels&, int32_t step) {
  const BinaryParameters& p = op.parameters<BinaryParameters>();
  const TensorRecord& output = op.output();
  PixelRun a = p.constant == 1 ? OfConstants(op, access, step) : OfTensor(op, access, 0, step);
  PixelRun b = p.constant == 2 ? OfConstants(op, access, step) : OfTensor(op, access, p.constant == 1 ? 0 : 1, step);
  const CombineFunction combine = p.flush != 0 ? FindCombine<true>(op.op->rule) : FindCombine<false>(op.op->rule);
  const ptrdiff_t channels = output.channels;
  const Range columns = access.Window(op);
  uint8_t* out = access.Write(output, step, columns.first);
  if (IsOneRun(a, channels) && IsOneRun(b, channels) && output.pixel_bytes == output.channels * sizeof(float)) {
    const ptrdiff_t count = channels * NumColumns(columns);
    return combine({a.first, a.channel_stride}, {b.first, b.channel_stride}, p, count, out);
  }
  for (int32_t i = 0; i < NumColumns(columns); ++i) {
    combine({a.first, a.channel_stride}, {b.first, b.channel_stride}, p, channels, out);
    a.first += a.pixel_stride;
    b.first += b.pixel_stride;
    out += output.pixel_bytes;
  }
}

// exp(x) / (1 + exp(x)) as the built-in kernels' vectors approximate it: exp(x / 2) is squared.
float Logistic(float x) {
  constexpr float kOne = 16.6355324f;  // from here on the result is 1
  constexpr float kZero = -104.0f;     // below, 0
  if (!(x >= kZero)) return x < kZero ? 0.0f : x;
  const float half = (x > kOne ? kOne : x) * 0.5f;
  const float power = std::floor(half * 1.44269504088896341f + 0.5f);
  // What is left of half beyond power * ln(2), which is taken away in two parts.
  float r = power * -0.693359375f + half;
  r = power * 2.12194440e-4f + r;
  const float r2 = r * r;
  const float even = r2 * 4.1898667812347412109375e-2f + 0.49999141693115234375f;
  const float odd = r2 * 8.33471305668354034423828125e-3f + 0.16666877269744873046875f;
  const float polynomial = r2 * (r * odd + even) + (r + 1.0f);
  const float root = std::ldexp(polynomial, static_cast<int>(power));
  const float exponential = root * root;
  return exponential / (1.0f + exponential);
}

Status CheckUnary(const OpView& op) {
  const UnaryParameters& p = op.parameters<UnaryParameters>();
  if (!IsRule(op, kLogistic)) return Status::kProgramUnsupported;
  return ValidIf(op.input(0).type == kFloat32 && op.output().type == kFloat32 && HasShape(op.input(0), op.output()) &&
                 FitsRange(p.low, p.high, p.flush) && AreZero(p.reserved));
}

void RunUnary(const OpView& op, const RowAccess& access, const RowKernels&, int32_t step) {
  const UnaryParameters& p = op.parameters<UnaryParameters>();
  ForEachRun(op, access, step, [&](const uint8_t* in, ptrdiff_t count, uint8_t* out) {
    for (ptrdiff_t i = 0; i < count; ++i) {
      float x = Load<float>(in + i * kFloatBytes);
      if (p.flush != 0) x = Flushed(x);
      if (op.op->rule == kSquareRoot) x = std::sqrt(x);
      if (op.op->rule == kLogistic) x = Logistic(x);
      Store(out + i * kFloatBytes, OneNan(Clamped(x, p.low, p.high)));
    }
  });
}

constexpr Kind MakeBinary() {
  Kind kind;
  kind.parameter_bytes = sizeof(BinaryParameters);
  kind.max_inputs = 2;
  kind.check = CheckBinary;
  kind.rows = SpreadRows;
  kind.columns = SpreadColumns;
  kind.run = RunBinary;
  return kind;
}

constexpr Kind MakeUnary() {
  Kind kind;
  kind.parameter_bytes = sizeof(UnaryParameters);
  kind.check = CheckUnary;
  kind.run = RunUnary;
  return kind;
}

}  // namespace

const Kind kBinaryKind = MakeBinary();
const Kind kUnaryKind = MakeUnary();

}  // namespace fmtc::region
