#include "codec/coded_header.h"

#include "base/bytes.h"
#include "codec/geometry.h"

namespace fmtc {
namespace {

constexpr size_t kCrcOffset = 12;
constexpr uint32_t kMagic = 0x43544D46;  // "FMTC"

uint32_t PayloadCrc(const Kernels& kernels, const uint8_t* payload, size_t bytes) {
  const uint32_t crc = kernels.extend_crc32c(0, payload, kCrcOffset);
  return kernels.extend_crc32c(crc, payload + kCodedHeaderBytes, bytes - kCodedHeaderBytes);
}

}  // namespace

FMTC_SELDOM void WriteCodedHeader(const Codec& codec, const CodedHeader& header, uint8_t* out) {
  const bool has_checksum = codec.side_info.has_checksum;
  Store(out, kMagic);
  out[4] = static_cast<uint8_t>(codec.side_info.StreamVersion());
  out[5] = has_checksum;
  out[6] = static_cast<uint8_t>(header.level);
  out[7] = 0;
  Store(out + 8, header.payload_bytes);
  Store(out + kCrcOffset, has_checksum ? PayloadCrc(*codec.kernels, out, header.payload_bytes) : uint32_t{0});
}

FMTC_SELDOM Status ReadCodedHeader(const Codec& codec, const uint8_t* in, size_t bytes, CodedHeader* header) {
  const SideInfo& info = codec.side_info;
  if (Load<uint32_t>(in) != kMagic) return Status::kStreamCorrupt;
  if (in[4] > kFormatVersion) return Status::kStreamVersion;
  header->level = LoadOnce<uint8_t>(in + 6);
  header->payload_bytes = LoadOnce<uint32_t>(in + 8);
  if (in[4] != info.StreamVersion() || in[5] != info.has_checksum || header->level > info.max_level || in[7] != 0) {
    return Status::kStreamCorrupt;
  }
  if (header->payload_bytes < kCodedHeaderBytes) return Status::kStreamCorrupt;
  if (header->payload_bytes > bytes) return Status::kStreamTruncated;
  const uint32_t crc = info.has_checksum ? PayloadCrc(*codec.kernels, in, header->payload_bytes) : 0;
  return crc == Load<uint32_t>(in + kCrcOffset) ? Status::kOk : Status::kStreamChecksum;
}

}  // namespace fmtc
