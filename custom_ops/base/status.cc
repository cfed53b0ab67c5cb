#include "base/status.h"

namespace fmtc {

const char* StatusMessage(Status status) {
  switch (status) {
    case Status::kOk:
      return "success";
    case Status::kInvalidArgument:
      return "invalid argument: null pointer, or a size that is negative, too large or not the feature map's";
    case Status::kBufferTooSmall:
      return "buffer too small: output, memory or workspace is smaller than the codec asks for";
    case Status::kSideInfoTruncated:
      return "side information is shorter than its fields say";
    case Status::kSideInfoCorrupt:
      return "side information is damaged: bad magic, checksum, field or table";
    case Status::kSideInfoVersion:
      return "side information was written by a newer version; update fmtc-tflite";
    case Status::kStreamTruncated:
      return "coded tensor is shorter than its header says";
    case Status::kStreamCorrupt:
      return "coded tensor is damaged: bad magic, field, segment length or segment";
    case Status::kStreamVersion:
      return "coded tensor was written by a newer version; update fmtc-tflite";
    case Status::kStreamChecksum:
      return "coded tensor is damaged: its checksum does not match";
    case Status::kOutOfMemory:
      return "out of memory";
    case Status::kCpuLevel:
      return "FMTC_CPU_LEVEL asks for instructions that this processor or build lacks; unset it or set scalar, neon, "
             "avx2 or avx512";
    case Status::kSideInfoUnsupported:
      return "side information has matrices (KLT), which this small build leaves out; convert without them";
  }
  return "unknown status";
}

}  // namespace fmtc
