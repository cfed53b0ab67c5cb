#include "micro/fmtc_region.h"

#include <new>
#include <type_traits>

#include "base/crc32c.h"
#include "micro/kernels.h"
#include "region/kind.h"
#include "region/program.h"
#include "region/region.h"
#include "region/steps.h"

namespace {

using fmtc::Status;
namespace region = fmtc::region;

// What a fmtc_region_runner holds.
struct Runner {
  region::Program program;
  uint8_t* scratch;
  int32_t* next_step;  // of the ops of the pass at hand
  const uint8_t* const* inputs;
  uint8_t* const* outputs;
  uint16_t input;  // the tensor that is the only input
  bool is_by_rows;
  bool is_running;
  uint16_t pass;
  uint32_t step;        // within the pass
  int32_t rows_pushed;  // of the input, in a run by rows
};
static_assert(sizeof(Runner) <= sizeof(fmtc_region_runner) && alignof(Runner) <= alignof(fmtc_region_runner));
static_assert(std::is_trivially_copyable_v<Runner>);

Runner& Of(fmtc_region_runner* runner) { return *std::launder(reinterpret_cast<Runner*>(runner->words)); }
const Runner& Of(const fmtc_region_runner* runner) {
  return *std::launder(reinterpret_cast<const Runner*>(runner->words));
}

// Of a runner whose initialization failed: it has no inputs and no outputs.
constexpr region::Header kNothing{};

int32_t Code(Status status) { return static_cast<int32_t>(status); }

uint32_t MostOpsOfAPass(const region::Program& program) {
  uint32_t most = 0;
  for (int i = 0; i < program.header->passes; ++i) {
    if (program.passes[i].ops > most) most = program.passes[i].ops;
  }
  return most;
}

// The steps lie behind the program's own scratch memory. The check is done before anything of a run is there.
size_t ScratchBytes(const region::Program& program) {
  const size_t run = program.header->scratch_bytes + MostOpsOfAPass(program) * sizeof(int32_t);
  const size_t check = region::StateBytes(program);
  return run > check ? run : check;
}

// The tensor of this place and number.
const region::TensorRecord* FindTensor(const region::Program& program, region::Place place, int32_t number) {
  for (int i = 0; i < program.header->tensors; ++i) {
    const region::TensorRecord& tensor = program.tensors[i];
    if (tensor.place == place && tensor.number == number) return &tensor;
  }
  return nullptr;
}

size_t BytesOf(const region::Program& program, region::Place place, int32_t number) {
  const region::TensorRecord* tensor = FindTensor(program, place, number);
  return tensor == nullptr ? 0 : region::ItemBytes(*tensor);
}

void BeginPass(Runner* r) {
  r->step = 0;
  for (int i = 0; i < r->program.passes[r->pass].ops; ++i) r->next_step[i] = 0;
}

void BeginRun(uint8_t* const* outputs, Runner* r) {
  r->outputs = outputs;
  r->pass = 0;
  r->rows_pushed = 0;
  BeginPass(r);
}

// The op whose turn it is.
int OpOf(const Runner& r) { return r.program.steps[r.program.passes[r.pass].first_step + r.step]; }

// Moves on to the next step; false behind the last one, where the pass is the one behind the last.
bool Next(Runner* r) {
  if (++r->step < r->program.passes[r->pass].steps) return true;
  if (++r->pass == r->program.header->passes) return false;
  BeginPass(r);
  return true;
}

// Rows of the only input that the next step reads; none: {0, 0}.
region::Range InputRows(const Runner& r) {
  const int index = OpOf(r);
  const region::OpView op{&r.program, &r.program.ops[index]};
  const int32_t step = r.next_step[index - r.program.passes[r.pass].first_op];
  for (int operand = 0; operand < op.op->inputs; ++operand) {
    if (&op.input(operand) == &r.program.tensors[r.input]) {
      return region::FindKind(op.op->kind)->rows(op, operand, step);
    }
  }
  return {0, 0};
}

// Whether the steps, in their order, read one row of the only input after another.
bool ReadsRowsInTurn(Runner* r) {
  int32_t at = 0;
  BeginRun(nullptr, r);
  do {
    const region::Range rows = InputRows(*r);
    if (rows.end > rows.first) {
      if (rows.first < at || rows.end != rows.first + 1) return false;
      at = rows.first;
    }
    ++r->next_step[OpOf(*r) - r->program.passes[r->pass].first_op];
  } while (Next(r));
  return true;
}

void RunStep(const region::RowKernels& kernels, Runner* r) {
  const region::PassRecord& pass = r->program.passes[r->pass];
  const int index = OpOf(*r);
  const region::OpView op{&r->program, &r->program.ops[index]};
  region::RowAccess access{};
  access.program = &r->program;
  access.pass = &pass;
  access.scratch = r->scratch;
  access.inputs = r->inputs;
  access.outputs = r->outputs;
  access.inputs_row = r->rows_pushed > 0 ? r->rows_pushed - 1 : 0;
  access.batch = 1;
  region::Turn turn;
  turn.op = op.op;
  turn.kind = region::FindKind(op.op->kind);
  turn.step = r->next_step[index - pass.first_op]++;
  turn.row = turn.step;
  if (turn.kind->accumulates(op)) turn.row = turn.step + 1 == region::NumSteps(op, *turn.kind) ? 0 : -1;
  turn.share = {region::WindowInPass(r->program, pass, index), {0, static_cast<int32_t>(op.output().channels)}};
  turn.own_memory = r->scratch + op.op->memory_offset;
  region::RunTurn(turn, kernels, &access);
}

Status CheckScratch(const region::Program& program, const void* scratch, size_t bytes) {
  if (scratch == nullptr || reinterpret_cast<uintptr_t>(scratch) % FMTC_REGION_ALIGNMENT != 0) {
    return Status::kInvalidArgument;
  }
  return bytes < ScratchBytes(program) ? Status::kBufferTooSmall : Status::kOk;
}

void UseScratch(uint8_t* scratch, Runner* r) {
  r->scratch = scratch;
  r->next_step = reinterpret_cast<int32_t*>(scratch + r->program.header->scratch_bytes);
}

Status Init(const uint8_t* bytes, size_t size, uint8_t* scratch, size_t scratch_bytes, Runner* r) {
  *r = {};
  const Status opened = region::OpenProgram(bytes, size, fmtc::ExtendCrc32c, &r->program);
  if (opened != Status::kOk) return opened;
  const Status fits = CheckScratch(r->program, scratch, scratch_bytes);
  if (fits != Status::kOk) return fits;
  region::State state = region::CarveState(r->program, scratch);
  const Status checked = region::CheckProgram(r->program, &state);
  if (checked != Status::kOk) return checked;
  r->input = state.input_tensors[0];
  UseScratch(scratch, r);
  r->is_by_rows = r->program.header->inputs == 1 && ReadsRowsInTurn(r);
  return Status::kOk;
}

bool HasPointers(const void* const* pointers, int count) {
  if (pointers == nullptr) return false;
  for (int i = 0; i < count; ++i) {
    if (pointers[i] == nullptr) return false;
  }
  return true;
}

// Runs until it needs a row of the input that has not been pushed.
void RunWhatRowsAllow(Runner* r) {
  const region::RowKernels& kernels = region::MicroRowKernels();
  while (r->pass < r->program.header->passes && InputRows(*r).end <= r->rows_pushed) {
    RunStep(kernels, r);
    Next(r);
  }
}

}  // namespace

FMTC_SELDOM int32_t fmtc_region_scratch_bytes_of(const uint8_t* program, size_t program_bytes, size_t* scratch_bytes) {
  region::Program opened;
  const Status status = region::OpenProgram(program, program_bytes, fmtc::ExtendCrc32c, &opened);
  if (status == Status::kOk) *scratch_bytes = ScratchBytes(opened);
  return Code(status);
}

FMTC_SELDOM int32_t fmtc_region_init(fmtc_region_runner* runner, const uint8_t* program, size_t program_bytes,
                                     void* scratch, size_t scratch_bytes) {
  if (runner == nullptr) return FMTC_REGION_INVALID_ARGUMENT;
  Runner* r = new (runner->words) Runner;
  const Status status = Init(program, program_bytes, static_cast<uint8_t*>(scratch), scratch_bytes, r);
  if (status != Status::kOk) {
    r->scratch = nullptr;
    r->program.header = &kNothing;
  }
  return Code(status);
}

FMTC_SELDOM int32_t fmtc_region_use_scratch(fmtc_region_runner* runner, void* scratch, size_t scratch_bytes) {
  if (runner == nullptr || Of(runner).scratch == nullptr) return FMTC_REGION_INVALID_ARGUMENT;
  Runner& r = Of(runner);
  const Status fits = CheckScratch(r.program, scratch, scratch_bytes);
  if (fits == Status::kOk) UseScratch(static_cast<uint8_t*>(scratch), &r);
  r.is_running = false;
  return Code(fits);
}

int32_t fmtc_region_num_inputs(const fmtc_region_runner* runner) { return Of(runner).program.header->inputs; }
int32_t fmtc_region_num_outputs(const fmtc_region_runner* runner) { return Of(runner).program.header->outputs; }

FMTC_SELDOM size_t fmtc_region_bytes_of_input(const fmtc_region_runner* runner, int32_t input) {
  return BytesOf(Of(runner).program, region::kInput, input);
}
FMTC_SELDOM size_t fmtc_region_bytes_of_output(const fmtc_region_runner* runner, int32_t output) {
  return BytesOf(Of(runner).program, region::kOutput, output);
}

FMTC_SELDOM int32_t fmtc_region_invoke(fmtc_region_runner* runner, const void* const* inputs, void* const* outputs) {
  if (runner == nullptr || Of(runner).scratch == nullptr) return FMTC_REGION_INVALID_ARGUMENT;
  Runner& r = Of(runner);
  const region::Header& header = *r.program.header;
  if (!HasPointers(inputs, header.inputs) || !HasPointers(outputs, header.outputs)) return FMTC_REGION_INVALID_ARGUMENT;
  r.inputs = reinterpret_cast<const uint8_t* const*>(inputs);
  r.is_running = false;
  BeginRun(reinterpret_cast<uint8_t* const*>(outputs), &r);
  const region::RowKernels& kernels = region::MicroRowKernels();
  do {
    RunStep(kernels, &r);
  } while (Next(&r));
  return FMTC_REGION_OK;
}

FMTC_SELDOM int32_t fmtc_region_begin(fmtc_region_runner* runner, void* const* outputs) {
  if (runner == nullptr || Of(runner).scratch == nullptr) return FMTC_REGION_INVALID_ARGUMENT;
  Runner& r = Of(runner);
  if (!r.is_by_rows) return FMTC_REGION_NOT_BY_ROWS;
  if (!HasPointers(outputs, r.program.header->outputs)) return FMTC_REGION_INVALID_ARGUMENT;
  BeginRun(reinterpret_cast<uint8_t* const*>(outputs), &r);
  r.is_running = true;
  return FMTC_REGION_OK;
}

FMTC_SELDOM int32_t fmtc_region_push_row(fmtc_region_runner* runner, const void* row) {
  if (runner == nullptr || row == nullptr || Of(runner).scratch == nullptr) return FMTC_REGION_INVALID_ARGUMENT;
  Runner& r = Of(runner);
  if (!r.is_running) return FMTC_REGION_INVALID_ARGUMENT;
  if (r.rows_pushed == static_cast<int32_t>(r.program.tensors[r.input].height)) return FMTC_REGION_ROW_TOO_MANY;
  const uint8_t* bytes = static_cast<const uint8_t*>(row);
  r.inputs = &bytes;
  ++r.rows_pushed;
  RunWhatRowsAllow(&r);
  r.inputs = nullptr;
  return FMTC_REGION_OK;
}

FMTC_SELDOM size_t fmtc_region_row_bytes(const fmtc_region_runner* runner) {
  const Runner& r = Of(runner);
  return r.program.header->inputs == 1 ? r.program.tensors[r.input].row_bytes : 0;
}

FMTC_SELDOM int32_t fmtc_region_rows(const fmtc_region_runner* runner) {
  const Runner& r = Of(runner);
  return r.program.header->inputs == 1 ? static_cast<int32_t>(r.program.tensors[r.input].height) : 0;
}

const char* fmtc_region_status_text(int32_t status) { return fmtc::StatusMessage(static_cast<Status>(status)); }
