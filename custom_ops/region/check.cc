// What CheckProgram finds out before it plays the schedule: tensors and ops one by one.
#include <cstring>

#include "base/bytes.h"
#include "region/coders.h"
#include "region/kind.h"
#include "region/packed_weights.h"
#include "region/prepared_row.h"
#include "region/row_pairs.h"
#include "region/schedule.h"

namespace fmtc::region {
namespace {

constexpr uint16_t kNoTensor = 0xFFFF;
constexpr uint32_t kMaxDimension = INT32_MAX;
constexpr uint32_t kMaxBytes = INT32_MAX;  // of a row, and of an item of an input or output

bool FitsShape(const TensorRecord& t) {
  return t.height >= 1 && t.height <= kMaxDimension && t.width >= 1 && t.width <= kMaxDimension && t.channels >= 1 &&
         t.channels <= kMaxDimension;
}

// Dense, as inputs and outputs of a graph are.
bool FitsPlaceOutside(const TensorRecord& t) {
  const uint64_t pixel = uint64_t{t.channels} * ElementBytes(t.type);
  uint64_t row, item;
  return CheckedMultiply(pixel, t.width, &row) && CheckedMultiply(row, t.height, &item) && item <= kMaxBytes &&
         t.pixel_bytes == pixel && t.row_bytes == row && t.offset == 0 && t.depth == t.height && t.phase == 0 &&
         t.between == 0 && t.left == 0 && t.right == 0 && t.windowed == 0;
}

// Columns of a windowed tensor are the schedule's to check.
bool FitsScratch(const Program& program, const TensorRecord& t) {
  const uint64_t columns = t.windowed ? 1 : uint64_t{t.left} + t.right + t.width;
  uint64_t used;
  if (!Is8Bit(t) && (t.left != 0 || t.right != 0 || t.padding != 0)) return false;
  if (!CheckedMultiply(columns, t.pixel_bytes, &used)) return false;
  const uint64_t bytes = uint64_t{t.depth} * t.row_bytes;
  return t.number == 0 && t.offset % 16 == 0 && t.row_bytes % 16 == 0 && t.depth >= 1 && t.phase < t.depth &&
         t.between < t.depth && uint64_t{t.height} * PitchOf(t) <= UINT32_MAX - t.phase && t.windowed <= 1 &&
         t.pixel_bytes >= uint64_t{t.channels} * ElementBytes(t.type) && t.pixel_bytes % ElementBytes(t.type) == 0 &&
         used <= t.row_bytes && t.row_bytes <= kMaxBytes && bytes <= program.header->scratch_bytes &&
         t.offset <= program.header->scratch_bytes - bytes;
}

// Notes which tensor an input or output of the region is.
bool TakePlace(uint16_t tensor, uint16_t number, uint16_t count, uint16_t* tensors) {
  if (number >= count || tensors[number] != kNoTensor) return false;
  tensors[number] = tensor;
  return true;
}

Status CheckTensors(const Program& program, State* state) {
  const Header& header = *program.header;
  for (int i = 0; i < header.inputs; ++i) state->input_tensors[i] = kNoTensor;
  for (int i = 0; i < header.outputs; ++i) state->output_tensors[i] = kNoTensor;
  for (int i = 0; i < header.tensors; ++i) {
    const TensorRecord& t = program.tensors[i];
    const uint16_t index = static_cast<uint16_t>(i);
    state->tensors[i] = {};
    state->tensors[i].writer = kNoOp;
    if (t.form != 0) return Status::kProgramUnsupported;
    if (ElementBytes(t.type) == 0 || !FitsShape(t)) return Status::kProgramInvalid;
    if (t.reserved0 != 0) return Status::kProgramInvalid;
    bool fits = false;
    if (t.place == kScratch) fits = FitsScratch(program, t);
    if (t.place == kInput) {
      fits = FitsPlaceOutside(t) && TakePlace(index, t.number, header.inputs, state->input_tensors);
    }
    if (t.place == kOutput) {
      fits = FitsPlaceOutside(t) && TakePlace(index, t.number, header.outputs, state->output_tensors);
    }
    if (!fits) return Status::kProgramInvalid;
  }
  for (int i = 0; i < header.inputs; ++i) {
    if (state->input_tensors[i] == kNoTensor) return Status::kProgramInvalid;
  }
  for (int i = 0; i < header.outputs; ++i) {
    if (state->output_tensors[i] == kNoTensor) return Status::kProgramInvalid;
  }
  return Status::kOk;
}

bool FitsRecord(const Program& program, const OpRecord& op) {
  const uint32_t scratch = program.header->scratch_bytes;
  return op.reserved0 == 0 && op.reserved1 == 0 && program.Has(op.inputs_offset, op.inputs, sizeof(uint16_t), 2) &&
         program.Has(op.parameters_offset, op.parameter_bytes, 1, 4) && op.output < program.header->tensors &&
         op.memory_offset % 16 == 0 && op.memory_bytes <= scratch && op.memory_offset <= scratch - op.memory_bytes;
}

// Every tensor has one writer, and is written before it is read.
bool BindTensors(const Program& program, uint16_t index, State* state) {
  const OpRecord& op = program.ops[index];
  const uint16_t* inputs = program.At<uint16_t>(op.inputs_offset);
  for (int i = 0; i < op.inputs; ++i) {
    if (inputs[i] >= program.header->tensors) return false;
    const uint8_t place = program.tensors[inputs[i]].place;
    if (place == kOutput || (place == kScratch && state->tensors[inputs[i]].writer == kNoOp)) return false;
  }
  TensorState& output = state->tensors[op.output];
  if (program.tensors[op.output].place == kInput || output.writer != kNoOp) return false;
  output.writer = index;
  return true;
}

Status CheckOps(const Program& program, State* state) {
  PreparedRow* row = state->rows;
  PackedRoom packed = state->packed;
  CodecBuilder codecs = kHasRegionCoders ? MakeCodecBuilder(program, *state) : CodecBuilder{};
  for (uint16_t i = 0; i < program.header->ops; ++i) {
    const OpRecord& record = program.ops[i];
    const Kind* kind = FindKind(record.kind);
    if (kind == nullptr) return Status::kProgramUnsupported;
    if (record.parameter_bytes != kind->parameter_bytes || record.inputs < kind->min_inputs ||
        record.inputs > kind->max_inputs || !FitsRecord(program, record) || !BindTensors(program, i, state)) {
      return Status::kProgramInvalid;
    }
    const OpView op{&program, &record};
    const Status status = kind->check(op);
    if (status != Status::kOk) return status;
    if (kind->accumulates(op) && op.output().height != 1) return Status::kProgramInvalid;
    if (!kHasRegionFacts) continue;
    OpFacts& facts = state->ops[i];
    facts = {kind, nullptr, NumSteps(op, *kind), kind->accumulates(op), KeepsMemory(op, *kind), nullptr, {}};
    if (kind->prepare != nullptr) {
      facts.row = row++;
      kind->prepare(op, facts.row);
      if constexpr (kHasVectors) PackWeights(op, facts.row, &packed);
    }
    const Status bound =
        !kHasRegionCoders || kind->bind == nullptr ? Status::kOk : kind->bind(op, *state, &codecs, &facts);
    if (bound != Status::kOk) return bound;
  }
  for (int i = 0; i < program.header->tensors; ++i) {
    if (program.tensors[i].place != kInput && state->tensors[i].writer == kNoOp) return Status::kProgramInvalid;
  }
  return Status::kOk;
}

}  // namespace

FMTC_SELDOM Status CheckProgram(const Program& program, State* state) {
  Status status = CheckTensors(program, state);
  if (status == Status::kOk) status = CheckOps(program, state);
  if (status == Status::kOk) status = CheckSchedule(program, state);
  if constexpr (kHasVectors && kHasRegionFacts) {
    if (status == Status::kOk) FindRowPairs(program, state);
  }
  return status;
}

}  // namespace fmtc::region
