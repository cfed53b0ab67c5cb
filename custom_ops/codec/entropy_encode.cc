#include <cstring>

#include "base/bytes.h"
#include "codec/entropy.h"

namespace fmtc {
namespace {

// Without version 2 a segment is one row of runs.
uint32_t TableOfRun(const SegmentRuns& runs, size_t i) {
  return static_cast<uint32_t>(kHasVersion2 ? i % runs.num_tables() : i);
}

bool IsConstant(const uint8_t* values, size_t n, uint8_t constant) {
  if (n == 0) return true;
  if (kHasLibrary) return values[0] == constant && memcmp(values, values + 1, n - 1) == 0;
  while (n > 0 && *values++ == constant) --n;
  return n == 0;
}

// Tables all of whose residuals are their constant.
uint8_t FindConstantTables(const SegmentRuns& runs, const uint8_t* residuals) {
  const uint32_t num_tables = runs.num_tables();
  uint32_t mask = (1u << num_tables) - 1;
  for (size_t i = 0; i < runs.count; residuals += runs.lengths[i++]) {
    const uint32_t t = TableOfRun(runs, i);
    if ((mask >> t & 1) == 0 || IsConstant(residuals, runs.lengths[i], runs.codec->tables[t].constant)) continue;
    mask &= ~(1u << t);
  }
  return static_cast<uint8_t>(mask);
}

bool SplitValues(const SegmentRuns& runs, const uint8_t* residuals, uint8_t constant_mask, uint8_t* tokens,
                 RawWriter* raw) {
  const Codec& codec = *runs.codec;
  size_t begin = 0;
  for (size_t i = 0; i < runs.count; begin += runs.lengths[i++]) {
    const uint32_t t = TableOfRun(runs, i);
    if (runs.lengths[i] == 0 || (constant_mask >> t & 1) != 0) continue;
    codec.kernels->split_run(codec.tables[t], residuals + begin, runs.lengths[i], tokens + begin, raw);
  }
  raw->Finish();
  return !raw->overflow;
}

// The last step costs nothing: it says where the lanes start.
void StartLanes(const ClassTables& tables, const uint8_t* tokens, uint8_t* states) {
  for (size_t lane = 0; lane < kLanes; ++lane) states[lane] = tables.encode.start_state[tokens[lane]];
}

void EncodeTokens(const SegmentRuns& runs, const uint8_t* tokens, uint8_t constant_mask, LaneEncoder* encoder) {
  const Codec& codec = *runs.codec;
  memset(encoder->states, kNumStates, kLanes);
  bool is_last = true;
  const uint8_t* run = tokens + runs.values;
  for (size_t i = runs.count; i-- > 0;) {
    size_t n = runs.lengths[i];
    run -= n;
    const uint32_t t = TableOfRun(runs, i);
    if (n == 0 || (constant_mask >> t & 1) != 0) continue;
    // In the last row only: a decoder knows no more rows than one.
    if (is_last && n >= kLanes && i + runs.num_tables() >= runs.count) {
      n -= kLanes;
      StartLanes(codec.tables[t], run + n, encoder->states);
    }
    is_last = false;
    codec.kernels->encode_run(codec.tables[t], run, n, encoder);
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
size_t EncodeCoded(const SegmentRuns& runs, const uint8_t* residuals, uint8_t* tokens, uint8_t* out, size_t room) {
  if (room < 1) return 0;
  const uint8_t constant_mask = FindConstantTables(runs, residuals);
  if (constant_mask == (1u << runs.num_tables()) - 1) {
    out[0] = constant_mask;
    return 1;
  }
  if (room < kSegmentHeaderBytes) return 0;
  uint8_t* const body = out + kSegmentHeaderBytes;
  RawWriter raw{body, out + room};
  if (!SplitValues(runs, residuals, constant_mask, tokens, &raw)) return 0;

  const size_t n = runs.values;
  // Where a caller lets its buffers overlap, raw bits were written over tokens, which are indices. All classes have 0.
  if (Overlap(tokens, n, out, room)) memset(tokens, 0, n);
  LaneEncoder encoder{{}, {tokens, 8 * n}};
  EncodeTokens(runs, tokens, constant_mask, &encoder);
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

FMTC_SELDOM size_t EncodeRuns(const SegmentRuns& runs, const uint8_t* residuals, uint8_t* tokens, uint8_t* out,
                              size_t room) {
  const size_t n = runs.values;
  // Where a caller lets its buffers overlap, what is written could change the lengths.
  const uint8_t* const lengths = reinterpret_cast<const uint8_t*>(runs.lengths);
  if (!Overlap(lengths, runs.count * sizeof(*runs.lengths), out, room)) {
    const size_t coded = EncodeCoded(runs, residuals, tokens, out, room < n - 1 ? room : n - 1);
    if (coded != 0) return coded;
  }
  if (room < n) return 0;
  MoveBytes(out, residuals, n);
  return n;
}

FMTC_SELDOM size_t EncodeSegment(const SegmentShape& shape, const uint8_t* residuals, uint8_t* tokens, uint8_t* out,
                                 size_t room) {
  uint32_t lengths[kMaxClasses];
  for (uint32_t j = 0; j < shape.num_classes(); ++j) lengths[j] = static_cast<uint32_t>(shape.RunLength(j));
  return EncodeRuns({shape.codec, lengths, shape.num_classes(), shape.num_values()}, residuals, tokens, out, room);
}

}  // namespace fmtc
