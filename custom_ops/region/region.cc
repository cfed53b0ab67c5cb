#include "region/region.h"

#include <cstring>

#include "region/kind.h"
#include "region/rows.h"
#include "region/schedule.h"
#include "region/share.h"
#include "region/steps.h"

namespace fmtc::region {
namespace {

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
  uint64_t bytes = static_cast<uint64_t>(window.end - window.first) * tensor.channels * ElementBytes(tensor.type);
  const Kind& kind = *access.FactsOf(op).kind;
  if (kind.pixel_bytes != nullptr) {
    bytes = 0;
    for (int32_t x = window.first; x < window.end; ++x) bytes += kind.pixel_bytes(access.Write(tensor, row, x));
  }
  trace.bytes_written[op.op - op.program->ops] += bytes;
}

void RunTraced(uint16_t index, const RowKernels& kernels, const Trace& trace, RowAccess* access, State* state) {
  const Turn turn = NextTurn({}, index, *access, state);
  const bool times = trace.ticks != nullptr && trace.clock != nullptr;
  const uint64_t start = times ? trace.clock() : 0;
  RunTurn(turn, kernels, access);
  if (times) trace.ticks[index] += trace.clock() - start;
  if (turn.row >= 0) TraceRow(*access, trace, {access->program, turn.op}, turn.share.columns, turn.row);
}

}  // namespace

Status Run(const Program& program, const RowKernels& kernels, const RunArguments& arguments, State* state) {
  RowAccess access = MakeAccess(program, arguments, state);
  bool damaged = false;
  access.damaged = &damaged;
  if (kHasVectors) access.pairs_rows = arguments.trace == nullptr || arguments.trace->tensors == nullptr;
  for (; access.item < arguments.batch; ++access.item) {
    for (int i = 0; i < program.header->passes; ++i) {
      const PassRecord& pass = program.passes[i];
      BeginPass(program, pass, state);
      const uint16_t* const end = program.steps + pass.first_step + pass.steps;
      for (const uint16_t* step = program.steps + pass.first_step; step < end; ++step) {
        if (arguments.trace == nullptr) {
          RunTurn(NextTurn({}, *step, access, state), kernels, &access);
        } else {
          RunTraced(*step, kernels, *arguments.trace, &access, state);
        }
      }
    }
  }
  return damaged ? Status::kStreamCorrupt : Status::kOk;
}

}  // namespace fmtc::region
