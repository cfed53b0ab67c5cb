#include <cstring>

#include "base/bytes.h"
#include "codec/entropy.h"

namespace fmtc {
namespace {

bool IsConstant(const uint8_t* values, size_t n, uint8_t constant) {
  if (kHasLibrary) return values[0] == constant && memcmp(values, values + 1, n - 1) == 0;
  while (n > 0 && *values++ == constant) --n;
  return n == 0;
}

uint8_t FindConstantClasses(const SegmentShape& shape, const uint8_t* residuals) {
  uint32_t mask = 0;
  for (uint32_t j = 0; j < shape.num_classes(); ++j) {
    const bool constant =
        IsConstant(residuals + shape.RunBegin(j), shape.RunLength(j), shape.codec->tables[j].constant);
    mask |= uint32_t{constant} << j;
  }
  return static_cast<uint8_t>(mask);
}

bool SplitValues(const SegmentShape& shape, const uint8_t* residuals, uint8_t constant_mask, uint8_t* tokens,
                 RawWriter* raw) {
  const Codec& codec = *shape.codec;
  for (uint32_t j = 0; j < shape.num_classes(); ++j) {
    if ((constant_mask >> j & 1) != 0) continue;
    const size_t begin = shape.RunBegin(j);
    codec.kernels->split_run(codec.tables[j], residuals + begin, shape.RunLength(j), tokens + begin, raw);
  }
  raw->Finish();
  return !raw->overflow;
}

// The last step costs nothing: it says where the lanes start.
void StartLanes(const ClassTables& tables, const uint8_t* tokens, uint8_t* states) {
  for (size_t lane = 0; lane < kLanes; ++lane) states[lane] = tables.encode.start_state[tokens[lane]];
}

void EncodeTokens(const SegmentShape& shape, const uint8_t* tokens, uint8_t constant_mask, LaneEncoder* encoder) {
  const Codec& codec = *shape.codec;
  memset(encoder->states, kNumStates, kLanes);
  bool is_last = true;
  for (uint32_t j = shape.num_classes(); j-- > 0;) {
    if ((constant_mask >> j & 1) != 0) continue;
    const uint8_t* run = tokens + shape.RunBegin(j);
    size_t n = shape.RunLength(j);
    if (is_last && n >= kLanes) {
      n -= kLanes;
      StartLanes(codec.tables[j], run + n, encoder->states);
    }
    is_last = false;
    codec.kernels->encode_run(codec.tables[j], run, n, encoder);
  }
}

void WriteSegmentHeader(uint8_t constant_mask, uint32_t start_bit, size_t token_bytes, const uint8_t* states,
                        uint8_t* out) {
  out[0] = constant_mask;
  Store(out + 1, start_bit | static_cast<uint32_t>(token_bytes) << 3);
  out += 5;
  for (size_t lane = 0; lane < kLanes; lane += 4, out += 3) {
    uint32_t four = 0;
    for (size_t k = 0; k < 4; ++k) four |= (states[lane + k] - kNumStates) << (6 * k);
    for (size_t k = 0; k < 3; ++k) out[k] = static_cast<uint8_t>(four >> (8 * k));
  }
}

// The coded form in out[0 .. room); its length, or 0 if it does not fit. The raw-bit stream is written behind the
// header, and the token stream, from the back, over the tokens; then that goes between the two.
size_t EncodeCoded(const SegmentShape& shape, const uint8_t* residuals, uint8_t* tokens, uint8_t* out, size_t room) {
  if (room < 1) return 0;
  const uint8_t constant_mask = FindConstantClasses(shape, residuals);
  if (constant_mask == (1u << shape.num_classes()) - 1) {
    out[0] = constant_mask;
    return 1;
  }
  if (room < kSegmentHeaderBytes) return 0;
  uint8_t* const body = out + kSegmentHeaderBytes;
  RawWriter raw{body, out + room};
  if (!SplitValues(shape, residuals, constant_mask, tokens, &raw)) return 0;

  const size_t n = shape.num_values();
  // Where a caller lets its buffers overlap, raw bits were written over tokens, which are indices. All classes have 0.
  if (Overlap(tokens, n, out, room)) memset(tokens, 0, n);
  LaneEncoder encoder{{}, {tokens, 8 * n}};
  EncodeTokens(shape, tokens, constant_mask, &encoder);
  const size_t begin = encoder.writer.position / 8;
  const size_t token_bytes = n - begin;
  if (raw.Room() < token_bytes) return 0;
  const size_t raw_bytes = static_cast<size_t>(raw.next - body);
  MoveBytes(body + token_bytes, body, raw_bytes);
  MoveBytes(body, tokens + begin, token_bytes);
  WriteSegmentHeader(constant_mask, static_cast<uint32_t>(encoder.writer.position % 8), token_bytes, encoder.states,
                     out);
  return kSegmentHeaderBytes + token_bytes + raw_bytes;
}

}  // namespace

size_t EncodeSegment(const SegmentShape& shape, const uint8_t* residuals, uint8_t* tokens, uint8_t* out, size_t room) {
  const size_t n = shape.num_values();
  const size_t coded = EncodeCoded(shape, residuals, tokens, out, room < n - 1 ? room : n - 1);
  if (coded != 0) return coded;
  if (room < n) return 0;
  MoveBytes(out, residuals, n);
  return n;
}

}  // namespace fmtc
