// The core on a microcontroller reproduces the golden vectors to the byte (tools/make_golden_vectors.py has their
// layout), in static memory. A small build refuses those with matrices.
#include <cstdint>
#include <cstring>

#include "bare_metal/board.h"
#include "bare_metal/golden_vectors.h"
#include "base/features.h"
#include "codec/codec.h"

namespace {

using fmtc::Blob;
using fmtc::Status;
using fmtc::VectorReader;

constexpr size_t kMaxMapBytes = 200 << 10;
constexpr size_t kGuardBytes = 64;
constexpr uint8_t kGuard = 0xA5;

alignas(64) uint8_t codec_memory[16 << 10];
uint8_t workspace[400 << 10];
uint8_t coded[kMaxMapBytes + kGuardBytes];
uint8_t decoded[kMaxMapBytes + kGuardBytes];

// Bytes as they should be, and nothing written behind them.
bool Matches(const uint8_t* buffer, const Blob& expected) {
  for (size_t i = 0; i < kGuardBytes; ++i) {
    if (buffer[expected.bytes + i] != kGuard) return false;
  }
  return memcmp(buffer, expected.data, expected.bytes) == 0;
}

struct Case {
  Blob name;
  int32_t batch, height, width;
  fmtc::ElementType type;
  Blob side_info, map, coded, decoded;

  explicit Case(VectorReader* reader) : name(reader->Bytes()) {
    batch = static_cast<int32_t>(reader->Number());
    height = static_cast<int32_t>(reader->Number());
    width = static_cast<int32_t>(reader->Number());
    type = reader->Number() != 0 ? fmtc::ElementType::kUInt8 : fmtc::ElementType::kInt8;
    side_info = reader->Bytes();
    map = reader->Bytes();
    coded = reader->Bytes();
    decoded = reader->Bytes();
  }

  bool IsTight() const { return name.bytes > 6 && memcmp(name.data + name.bytes - 6, "_tight", 6) == 0; }
};

Status RoundTrip(const fmtc::Codec& codec, const Case& c) {
  fmtc::MapPlan plan;
  Status status = PlanMap(codec, c.batch, c.height, c.width, &plan);
  if (status != Status::kOk) return status;
  const size_t capacity = c.IsTight() ? c.coded.bytes : plan.batch * plan.item_capacity;
  if (capacity > kMaxMapBytes || plan.decoder_output_bytes > kMaxMapBytes) return Status::kBufferTooSmall;
  memset(coded, kGuard, sizeof(coded));
  memset(decoded, kGuard, sizeof(decoded));
  size_t payload_bytes = 0;
  status = Encode(codec, plan, c.type, c.map.data, c.map.bytes, coded, capacity, &payload_bytes, workspace,
                  sizeof(workspace));
  if (status != Status::kOk) return status;
  // What lies between the payload and the capacity may hold anything.
  memset(coded + payload_bytes, kGuard, capacity - payload_bytes);
  if (payload_bytes != c.coded.bytes || !Matches(coded, c.coded)) return Status::kStreamCorrupt;
  status = Decode(codec, plan, c.type, coded, payload_bytes, decoded, plan.decoder_output_bytes, workspace,
                  sizeof(workspace));
  if (status != Status::kOk) return status;
  return Matches(decoded, c.decoded) ? Status::kOk : Status::kStreamCorrupt;
}

Status Run(const Case& c) {
  fmtc::Codec codec;
  const Status status = InitCodec(c.side_info.data, c.side_info.bytes, codec_memory, sizeof(codec_memory), &codec);
  return status == Status::kOk ? RoundTrip(codec, c) : status;
}

// False on any other end than the one that the build should come to.
bool Report(const Case& c, Status status) {
  constexpr uint8_t kMatrixFlags = 3;
  Status expected = Status::kOk;
  if (!fmtc::kHasMatrices && (c.side_info.data[5] & kMatrixFlags) != 0) expected = Status::kSideInfoUnsupported;
  if (c.side_info.data[4] > fmtc::kFormatVersion) expected = Status::kSideInfoUnsupported;
  for (uint32_t i = 0; i < c.name.bytes; ++i) {
    const char letter[] = {static_cast<char>(c.name.data[i]), '\0'};
    fmtc::Print(letter);
  }
  fmtc::Print(": ");
  fmtc::Print(fmtc::StatusMessage(status));
  fmtc::Print("\n");
  return status == expected;
}

}  // namespace

int main() {
  VectorReader reader;
  uint32_t failures = 0;
  for (uint32_t left = reader.Number(); left > 0; --left) {
    const Case c(&reader);
    if (!Report(c, Run(c))) ++failures;
  }
  return failures == 0 && reader.AtEnd() ? 0 : 1;
}
