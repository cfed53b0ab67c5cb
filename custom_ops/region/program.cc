#include "region/program.h"

#include <cstring>
#include <type_traits>

#include "base/bytes.h"
#include "codec/codec.h"
#include "region/coders.h"
#include "region/kernels.h"
#include "region/packed_weights.h"
#include "region/prepared_row.h"

namespace fmtc::region {
namespace {

constexpr size_t kPackedAlignment = 64;
constexpr size_t kChecksumOffset = offsetof(Header, checksum);

uint32_t Checksum(const uint8_t* bytes, size_t size, ExtendCrc32cFunction extend_crc32c) {
  constexpr uint8_t kZeros[sizeof(uint32_t)] = {};
  constexpr size_t kBehind = kChecksumOffset + sizeof(uint32_t);
  uint32_t crc = extend_crc32c(0, bytes, kChecksumOffset);
  crc = extend_crc32c(crc, kZeros, sizeof(kZeros));
  return extend_crc32c(crc, bytes + kBehind, size - kBehind);
}

template <typename T>
bool HasRecords(const Program& program, uint32_t offset, uint32_t count) {
  return count > 0 && program.Has(offset, count, sizeof(T), 4);
}

size_t NumFacts(const Program& program) { return kHasRegionFacts ? program.header->ops : 0; }

size_t NumMacRows(const Program& program) {
  if (!kHasRegionFacts) return 0;
  size_t count = 0;
  for (int i = 0; i < program.header->ops; ++i) count += IsMacKind(program.ops[i].kind);
  return count;
}

size_t NumPackedBytes(const Program& program) {
  if constexpr (!kHasVectors) return 0;
  return PackedWeightsBytes(program);
}

size_t PieceBytes(size_t count, size_t element_bytes) { return RoundUp(count * element_bytes, sizeof(int64_t)); }

}  // namespace

FMTC_SELDOM bool Program::Has(uint32_t offset, uint64_t count, uint32_t element_bytes, uint32_t alignment) const {
  uint64_t size;
  if (!CheckedMultiply(count, element_bytes, &size)) return false;
  return offset >= sizeof(Header) && offset % alignment == 0 && offset <= header->bytes &&
         size <= header->bytes - offset;
}

FMTC_SELDOM Status OpenProgram(const uint8_t* bytes, size_t size, ExtendCrc32cFunction extend_crc32c,
                               Program* program) {
  if (bytes == nullptr) return Status::kInvalidArgument;
  if (reinterpret_cast<uintptr_t>(bytes) % kProgramAlignment != 0) return Status::kProgramUnaligned;
  if (size < sizeof(Header)) return Status::kProgramTruncated;
  *program = {};
  program->bytes = bytes;
  program->header = program->At<Header>(0);
  const Header& header = *program->header;
  if (header.magic != kMagic) return Status::kProgramCorrupt;
  if (header.version > kVersion) return Status::kProgramVersion;
  if (header.bytes > size) return Status::kProgramTruncated;
  if (header.bytes != size || size % kProgramAlignment != 0) return Status::kProgramCorrupt;
  if (Checksum(bytes, size, extend_crc32c) != header.checksum) return Status::kProgramChecksum;

  const bool reserved_zero = header.reserved0 == 0 && header.reserved1 == 0 && header.reserved2[0] == 0 &&
                             header.reserved2[1] == 0 && header.reserved2[2] == 0;
  if (header.version == 0 || !reserved_zero || header.inputs == 0 || header.outputs == 0 ||
      header.scratch_bytes % 64 != 0 || header.scratch_bytes > INT32_MAX || header.ops == kNoOp ||
      !HasRecords<TensorRecord>(*program, header.tensors_offset, header.tensors) ||
      !HasRecords<OpRecord>(*program, header.ops_offset, header.ops) ||
      !HasRecords<PassRecord>(*program, header.passes_offset, header.passes) ||
      !HasRecords<uint16_t>(*program, header.steps_offset, header.steps)) {
    return Status::kProgramCorrupt;
  }
  program->tensors = program->At<TensorRecord>(header.tensors_offset);
  program->ops = program->At<OpRecord>(header.ops_offset);
  program->passes = program->At<PassRecord>(header.passes_offset);
  program->steps = program->At<uint16_t>(header.steps_offset);
  return Status::kOk;
}

FMTC_SELDOM size_t StateBytes(const Program& program) {
  const Header& header = *program.header;
  const CodecRoom room = kHasRegionCoders ? CodecRoomOf(program) : CodecRoom{};
  const size_t codecs = room.codecs > 0 ? PieceBytes(room.codecs, sizeof(Codec)) + room.bytes + kCodecAlignment : 0;
  const size_t packed = NumPackedBytes(program);
  return codecs + (packed > 0 ? packed + kPackedAlignment : 0) + PieceBytes(header.tensors, sizeof(TensorState)) +
         PieceBytes(NumFacts(program), sizeof(OpFacts)) + PieceBytes(NumMacRows(program), sizeof(PreparedRow)) +
         PieceBytes(header.ops, sizeof(int32_t)) + PieceBytes(header.inputs, sizeof(uint16_t)) +
         PieceBytes(header.outputs, sizeof(uint16_t));
}

FMTC_SELDOM State CarveState(const Program& program, uint8_t* memory) {
  const Header& header = *program.header;
  State state;
  const auto take = [&memory](size_t count, auto** piece) {
    *piece = reinterpret_cast<std::remove_reference_t<decltype(*piece)>>(memory);
    memory += PieceBytes(count, sizeof(**piece));
  };
  take(header.tensors, &state.tensors);
  take(NumFacts(program), &state.ops);
  take(NumMacRows(program), &state.rows);
  take(header.ops, &state.next_step);
  take(header.inputs, &state.input_tensors);
  take(header.outputs, &state.output_tensors);
  state.packed.bytes = NumPackedBytes(program);
  if (state.packed.bytes > 0) {
    state.packed.memory = reinterpret_cast<int8_t*>(memory + -reinterpret_cast<uintptr_t>(memory) % kPackedAlignment);
    memory += state.packed.bytes + kPackedAlignment;
  }
  take(kHasRegionCoders ? CodecRoomOf(program).codecs : 0, &state.codecs);
  state.codec_memory = memory + -reinterpret_cast<uintptr_t>(memory) % kCodecAlignment;
  return state;
}

FMTC_SELDOM void CopyState(const Program& program, const State& from, State* to) {
  const Header& header = *program.header;
  memcpy(to->tensors, from.tensors, header.tensors * sizeof(TensorState));
  for (int i = 0; i < header.ops; ++i) {
    to->ops[i] = from.ops[i];
    if (from.ops[i].row != nullptr) to->ops[i].row = to->rows + (from.ops[i].row - from.rows);
  }
  memcpy(to->rows, from.rows, NumMacRows(program) * sizeof(PreparedRow));
  memcpy(to->next_step, from.next_step, header.ops * sizeof(int32_t));
  memcpy(to->input_tensors, from.input_tensors, header.inputs * sizeof(uint16_t));
  memcpy(to->output_tensors, from.output_tensors, header.outputs * sizeof(uint16_t));
}

}  // namespace fmtc::region
