// Result of every function of the codec core. The core throws nothing and allocates nothing.
#ifndef FMTC_BASE_STATUS_H_
#define FMTC_BASE_STATUS_H_

namespace fmtc {

enum class Status : int {
  kOk = 0,
  kInvalidArgument = 1,       // null pointer, negative or overflowing size, wrong input size
  kBufferTooSmall = 2,        // output, memory or workspace smaller than required
  kSideInfoTruncated = 3,     // side information shorter than its fields say
  kSideInfoCorrupt = 4,       // bad magic, checksum, field or table
  kSideInfoVersion = 5,       // written by a newer version of this library
  kStreamTruncated = 6,       // coded tensor shorter than its header says
  kStreamCorrupt = 7,         // bad magic, field, segment length or segment
  kStreamVersion = 8,         // written by a newer version of this library
  kStreamChecksum = 9,        // checksum of the coded tensor does not match
  kOutOfMemory = 10,          // only from the C API, the one layer that allocates
  kCpuLevel = 11,             // only from layers that choose kernels: FMTC_CPU_LEVEL cannot be had
  kSideInfoUnsupported = 12,  // has matrices or is of version 2: a FMTC_SMALL build leaves both out
  kProgramTruncated = 13,     // region's program shorter than its header says
  kProgramCorrupt = 14,       // bad magic or header
  kProgramChecksum = 15,      // checksum of the program does not match
  kProgramVersion = 16,       // written by a newer version of this library
  kProgramUnsupported = 17,   // kind of op, rule, layout of weights or form of tensor that this library lacks
  kProgramInvalid = 18,       // tensor, op or parameters that contradict each other or leave the program or scratch
  kProgramSchedule = 19,      // steps that read what has not been written or lies no longer in memory
  kProgramUnaligned = 20,     // program not at a multiple of 16
  kRowTooMany = 21,           // pushed after the last one of the input
  kNotByRows = 22,            // program that reads rows of its input again, or has several
};

// One line without a full stop, for error messages. Never null.
const char* StatusMessage(Status status);

}  // namespace fmtc

#endif  // FMTC_BASE_STATUS_H_
