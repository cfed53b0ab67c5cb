// A region's program (REGION.md section 3): a view of its bytes, and the check that lets everything after it trust
// them.
#ifndef FMTC_REGION_PROGRAM_H_
#define FMTC_REGION_PROGRAM_H_

#include <cstddef>
#include <cstdint>

#include "base/features.h"
#include "base/status.h"
#include "region/format.h"

namespace fmtc {
struct Codec;
struct Kernels;
}  // namespace fmtc

namespace fmtc::region {

// Columns, or rows: [first, end).
struct Range {
  int32_t first;
  int32_t end;
};

// What of an op's output rows a thread computes: all of it, or its part of the columns or of the channels.
struct Share {
  Range columns;
  Range channels;

  bool IsEmpty() const { return columns.first == columns.end || channels.first == channels.end; }
};

// What the program's memory of the moment is kept in; one for each tensor.
struct TensorState {
  uint16_t writer;        // op; kNoOp: an input of the region
  bool in_pass;           // written by an op of the pass at hand
  int32_t rows_written;   // in the pass at hand
  Range window;           // columns written in the pass at hand
  int32_t columns_ready;  // written from the left on by former passes
  bool is_private;        // each part of a team has rows of its own (halo.h)
};
constexpr uint16_t kNoOp = 0xFFFF;

struct Kind;
struct PreparedRow;
struct CodecBuilder;

// What the checker finds out about an op, and who begins a pass, so that its steps need not.
struct OpFacts {
  const Kind* kind;
  PreparedRow* row;  // of a convolution or fully connected op, with what is the same at every step; else null
  int32_t steps;
  bool accumulates;
  bool keeps_memory;
  const Codec* codec;  // of an op that encodes or decodes; else null
  Share whole;         // all that the pass at hand writes of an output row
};

// Memory for weights in another order (packed_weights.h).
struct PackedRoom {
  int8_t* memory;
  size_t bytes;
};

// Carved from memory of the caller's, StateBytes(program) bytes.
struct State {
  TensorState* tensors;
  OpFacts* ops;
  PreparedRow* rows;
  PackedRoom packed;
  int32_t* next_step;       // of each op
  uint16_t* input_tensors;  // of each input of the region
  uint16_t* output_tensors;
  Codec* codecs;  // of ops that encode
  uint8_t* codec_memory;
};

// Pointers into the program's bytes, which must outlive it.
struct Program {
  const uint8_t* bytes;
  const Header* header;
  const TensorRecord* tensors;
  const OpRecord* ops;
  const PassRecord* passes;
  const uint16_t* steps;

  template <typename T>
  const T* At(uint32_t offset) const {
    return reinterpret_cast<const T*>(bytes + offset);
  }

  // Whether an array of `count` elements lies in the program, at a multiple of `alignment`.
  bool Has(uint32_t offset, uint64_t count, uint32_t element_bytes, uint32_t alignment) const;
};

// An op of a program with its tensors.
struct OpView {
  const Program* program;
  const OpRecord* op;

  const TensorRecord& input(int operand) const {
    return program->tensors[program->At<uint16_t>(op->inputs_offset)[operand]];
  }
  const TensorRecord& output() const { return program->tensors[op->output]; }
  template <typename T>
  const T& parameters() const {
    return *program->At<T>(op->parameters_offset);
  }
};

// CRC of what `crc` covers followed by the data, as base/crc32c.h has it.
using ExtendCrc32cFunction = uint32_t (*)(uint32_t crc, const uint8_t* data, size_t bytes);

// Header, checksum and the places of the records: enough to ask for StateBytes(). The bytes lie at a multiple of
// kProgramAlignment.
Status OpenProgram(const uint8_t* bytes, size_t size, ExtendCrc32cFunction extend_crc32c, Program* program);

size_t StateBytes(const Program& program);

// `memory` is aligned as malloc aligns.
State CarveState(const Program& program, uint8_t* memory);
// What the codecs of `from` point to must outlive the copy, too.
void CopyState(const Program& program, const State& from, State* to);

// Everything else, once: afterwards running it needs no check. Fills writers and tensors of inputs and outputs.
Status CheckProgram(const Program& program, State* state);

// Bytes of an element of a tensor; 0: no such type.
FMTC_ONE_COPY constexpr uint32_t ElementBytes(uint8_t type) {
  switch (type) {
    case kUInt8:
    case kInt8:
      return 1;
    case kFloat32:
    case kInt32:
      return 4;
    case kInt64:
      return 8;
    default:
      return 0;
  }
}

// Columns that an op of a pass writes.
FMTC_SELDOM FMTC_ONE_COPY inline Range WindowInPass(const Program& program, const PassRecord& pass, int op) {
  if (pass.windows_offset == 0) return {0, static_cast<int32_t>(program.tensors[program.ops[op].output].width)};
  const Window& window = program.At<Window>(pass.windows_offset)[op - pass.first_op];
  return {window.first, window.end};
}

inline bool Is8Bit(const TensorRecord& tensor) { return tensor.type == kUInt8 || tensor.type == kInt8; }

// Rows of a tensor's memory from a row to the next.
inline uint32_t PitchOf(const TensorRecord& tensor) { return tensor.between + 1; }

// How many of a tensor's rows its memory can hold.
FMTC_ONE_COPY inline uint32_t RowsHeld(const TensorRecord& tensor) { return (tensor.depth - 1) / PitchOf(tensor) + 1; }

// Bytes of one item of an input or output of the region.
inline size_t ItemBytes(const TensorRecord& tensor) { return size_t{tensor.height} * tensor.row_bytes; }

}  // namespace fmtc::region

#endif  // FMTC_REGION_PROGRAM_H_
