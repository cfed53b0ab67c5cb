// The 16 bytes in front of a coded tensor (FORMAT.md section 8).
#ifndef FMTC_CODEC_CODED_HEADER_H_
#define FMTC_CODEC_CODED_HEADER_H_

#include <cstddef>
#include <cstdint>

#include "base/status.h"
#include "codec/codec.h"

namespace fmtc {

struct CodedHeader {
  uint32_t level;
  uint32_t payload_bytes;
};

// Writes the header of a payload whose other bytes are final.
void WriteCodedHeader(const Codec& codec, const CodedHeader& header, uint8_t* out);

// Checks everything up to and including the checksum. `bytes` is at least 16.
Status ReadCodedHeader(const Codec& codec, const uint8_t* in, size_t bytes, CodedHeader* header);

}  // namespace fmtc

#endif  // FMTC_CODEC_CODED_HEADER_H_
