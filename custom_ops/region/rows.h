// Where rows lie while a region runs.
#ifndef FMTC_REGION_ROWS_H_
#define FMTC_REGION_ROWS_H_

#include "base/features.h"
#include "region/program.h"

namespace fmtc::region {

// A tensor's rows in its memory.
struct RowPlaces {
  uint32_t depth, phase, pitch, row_bytes;

  // Which of the memory's rows a row is. A division takes longer than the rest of a narrow row's way.
  FMTC_ONE_COPY uint32_t SlotOf(int32_t row) const {
    const uint32_t slot = static_cast<uint32_t>(row) * pitch + phase;
    return slot < depth ? slot : slot % depth;
  }
};

inline RowPlaces PlacesOf(const TensorRecord& tensor) {
  return {tensor.depth, tensor.phase, PitchOf(tensor), tensor.row_bytes};
}

struct RowAccess {
  const Program* program;
  const State* state;  // or, where no facts are kept:
  const PassRecord* pass;
  uint8_t* scratch;
  uint8_t* private_scratch;  // of the tensors that are private
  bool keeps_pass_apart;     // those that the pass at hand writes are, too
  const uint8_t* const* inputs;
  uint8_t* const* outputs;
  int32_t inputs_row;  // of the region, which its inputs begin with
  int32_t item;
  int32_t batch;
  Share share;          // of the step at hand
  uint8_t* own_memory;  // of its op
  bool* damaged;        // set where a segment is none
  bool pairs_rows;      // nobody looks at a row before the next step of its op is done, where that one is right behind

  const TensorState& StateOf(const TensorRecord& tensor) const { return state->tensors[&tensor - program->tensors]; }

  const OpFacts& FactsOf(const OpView& op) const { return state->ops[op.op - program->ops]; }

  // Columns that the step writes.
  Range Window(const OpView&) const { return share.columns; }

  // Columns of a windowed tensor that the pass at hand writes.
  Range WindowOf(const TensorRecord& tensor) const {
    if (kHasRegionFacts) return StateOf(tensor).window;
    int op = pass->first_op;
    while (&program->tensors[program->ops[op].output] != &tensor) ++op;
    return WindowInPass(*program, *pass, op);
  }

  // Bytes from the start of a row's memory to a column. A window that does not begin the row has no padding before it.
  ptrdiff_t ColumnOffset(const TensorRecord& tensor, int32_t column) const {
    const int32_t window_first = tensor.windowed ? WindowOf(tensor).first : 0;
    const int32_t origin = window_first > 0 ? window_first : -static_cast<int32_t>(tensor.left);
    return ptrdiff_t{column - origin} * static_cast<ptrdiff_t>(tensor.pixel_bytes);
  }

  // Bytes from the start of the tensor's memory to a pixel.
  FMTC_SELDOM FMTC_ONE_COPY ptrdiff_t PixelOffset(const TensorRecord& tensor, int32_t row, int32_t column) const {
    return static_cast<ptrdiff_t>(size_t{PlacesOf(tensor).SlotOf(row)} * tensor.row_bytes) +
           ColumnOffset(tensor, column);
  }

  // The scratch memory that a tensor lies in.
  uint8_t* MemoryOf(const TensorRecord& tensor) const {
    if (!kHasTeams || private_scratch == scratch) return scratch;
    const TensorState& tensor_state = StateOf(tensor);
    const bool is_private = tensor_state.is_private || (keeps_pass_apart && tensor_state.in_pass);
    return is_private ? private_scratch : scratch;
  }

  uint8_t* ScratchOf(const TensorRecord& tensor) const { return MemoryOf(tensor) + tensor.offset; }

  const uint8_t* Read(const TensorRecord& tensor, int32_t row, int32_t column) const {
    if (tensor.place != kInput) return ScratchOf(tensor) + PixelOffset(tensor, row, column);
    return inputs[tensor.number] + ItemOffset(tensor) + PixelOffset(tensor, row - inputs_row, column);
  }

  uint8_t* Write(const TensorRecord& tensor, int32_t row, int32_t column) const {
    uint8_t* base = ScratchOf(tensor);
    if (tensor.place == kOutput) base = outputs[tensor.number] + ItemOffset(tensor);
    return base + PixelOffset(tensor, row, column);
  }

  size_t ItemOffset(const TensorRecord& tensor) const { return static_cast<size_t>(item) * ItemBytes(tensor); }

  uint8_t* OwnMemory(const OpView&) const { return own_memory; }
};

// What to XOR a tensor's bytes with to have them in the unsigned domain, and back.
inline uint8_t SignFlip(const TensorRecord& tensor) {
  return tensor.type == kInt8 && tensor.place != kScratch ? uint8_t{0x80} : uint8_t{0};
}

}  // namespace fmtc::region

#endif  // FMTC_REGION_ROWS_H_
