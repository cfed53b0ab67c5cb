#include "region/region.h"

#include <cstring>

#include "region/kind.h"
#include "region/rows.h"
#include "region/schedule.h"
#include "region/share.h"
#include "region/steps.h"

namespace fmtc::region {
namespace {

// The padding columns of a row that an op has written.
void WritePadding(const RowAccess& access, const TensorRecord& tensor, Range window, int32_t row) {
  const size_t pixel = tensor.pixel_bytes;
  if (tensor.left > 0 && window.first == 0) {
    memset(access.Write(tensor, row, -static_cast<int32_t>(tensor.left)), tensor.padding, tensor.left * pixel);
  }
  if (tensor.right > 0 && window.end == static_cast<int32_t>(tensor.width)) {
    memset(access.Write(tensor, row, window.end), tensor.padding, tensor.right * pixel);
  }
}

void CopyRow(const RowAccess& access, const TensorRecord& tensor, Range window, int32_t row, uint8_t* dense) {
  const size_t pixel = size_t{tensor.channels} * ElementBytes(tensor.type);
  // Bytes of scratch memory are unsigned; those of outputs are as their type has them.
  const uint8_t flip = tensor.place == kScratch && tensor.type == kInt8 ? 0x80 : 0;
  for (int32_t column = window.first; column < window.end; ++column) {
    const uint8_t* from = access.Write(tensor, row, column);
    uint8_t* to = dense + (size_t{static_cast<uint32_t>(row)} * tensor.width + static_cast<size_t>(column)) * pixel;
    for (size_t i = 0; i < pixel; ++i) to[i] = from[i] ^ flip;
  }
}

void TraceRow(const RowAccess& access, const Trace& trace, const OpView& op, Range window, int32_t row) {
  const TensorRecord& tensor = op.output();
  const size_t index = op.op->output;
  if (trace.tensors != nullptr && trace.tensors[index] != nullptr) {
    CopyRow(access, tensor, window, row, trace.tensors[index]);
  }
  if (trace.bytes_written == nullptr) return;
  const uint64_t columns = static_cast<uint64_t>(window.end - window.first);
  trace.bytes_written[op.op - op.program->ops] += columns * tensor.channels * ElementBytes(tensor.type);
}

// Whose row it is to pad: each member pads at the ends of the row that it reaches, and one does where they divide
// channels.
bool Pads(const Share& share) { return share.channels.first == 0; }

}  // namespace

RowAccess MakeAccess(const Program& program, const RunArguments& arguments, const State* state) {
  RowAccess access{};
  access.program = &program;
  access.state = state;
  access.scratch = arguments.scratch;
  access.inputs = arguments.inputs;
  access.outputs = arguments.outputs;
  access.batch = arguments.batch;
  return access;
}

void RunStep(const Member& member, const RowKernels& kernels, const Trace* trace, uint16_t index, RowAccess* access,
             State* state) {
  const Program& program = *access->program;
  const OpView op{&program, &program.ops[index]};
  const OpFacts& facts = state->ops[index];
  const Kind& kind = *facts.kind;
  const int32_t step = state->next_step[index]++;
  const Range window = state->tensors[op.op->output].window;
  access->share = ShareOf(op, kind, window, member.index, member.count);
  if (access->share.IsEmpty()) return;
  const bool is_private = member.own_memory != nullptr && !facts.accumulates;
  access->own_memory = is_private ? member.own_memory : access->scratch + op.op->memory_offset;
  const bool times = trace != nullptr && trace->ticks != nullptr && trace->clock != nullptr;
  const uint64_t start = times ? trace->clock() : 0;
  kind.run(op, *access, kernels, step);
  if (times) trace->ticks[index] += trace->clock() - start;
  if (facts.accumulates && step + 1 < facts.steps) return;
  const int32_t row = facts.accumulates ? 0 : step;
  if (Pads(access->share)) WritePadding(*access, op.output(), access->share.columns, row);
  if (trace != nullptr) TraceRow(*access, *trace, op, window, row);
}

void Run(const Program& program, const RowKernels& kernels, const RunArguments& arguments, State* state) {
  RowAccess access = MakeAccess(program, arguments, state);
  for (; access.item < arguments.batch; ++access.item) {
    for (int i = 0; i < program.header->passes; ++i) {
      const PassRecord& pass = program.passes[i];
      BeginPass(program, pass, state);
      for (uint32_t step = 0; step < pass.steps; ++step) {
        RunStep({}, kernels, arguments.trace, program.steps[pass.first_step + step], &access, state);
      }
    }
  }
}

}  // namespace fmtc::region
