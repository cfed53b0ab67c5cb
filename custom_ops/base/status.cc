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
             "neon_dotprod, avx2, avx_vnni or avx512";
    case Status::kSideInfoUnsupported:
      return "side information has matrices (KLT) or contexts, which this small build leaves out; convert with "
             "--disable klt,folding,copies,contexts";
    case Status::kProgramTruncated:
      return "region's program is shorter than its header says";
    case Status::kProgramCorrupt:
      return "region's program is damaged: bad magic or header";
    case Status::kProgramChecksum:
      return "region's program is damaged: its checksum does not match";
    case Status::kProgramVersion:
      return "region's program was written by a newer version; update fmtc-tflite";
    case Status::kProgramUnsupported:
      return "region's program asks for an op, rule or layout that this library does not know; update fmtc-tflite";
    case Status::kProgramInvalid:
      return "region's program is not valid: a tensor or op of it contradicts itself or its surroundings";
    case Status::kProgramSchedule:
      return "region's program is not valid: a step reads what is not there, or a tensor stays incomplete";
    case Status::kProgramUnaligned:
      return "region's program must begin at a multiple of 16 bytes; align the model's constants in memory";
    case Status::kRowTooMany:
      return "a row was pushed after the last one of the region's input";
    case Status::kNotByRows:
      return "region's program cannot take its input by rows: it reads some again, or has several inputs";
  }
  return "unknown status";
}

}  // namespace fmtc
