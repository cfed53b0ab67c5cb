#include <chrono>
#include <cstdlib>

#include "base/bytes.h"
#include "c_api/fmtc_c_api.h"
#include "codec/kernels/dispatch.h"
#include "region/coders.h"
#include "region/kernels/dispatch.h"
#include "region/region.h"

struct fmtc_region {
  fmtc::region::Program program;
  fmtc::region::State state;
  uint8_t* memory;  // of the state
};

namespace {

using fmtc::Status;
namespace region = fmtc::region;

int32_t Code(Status status) { return static_cast<int32_t>(status); }

Status Build(const uint8_t* program, size_t bytes, fmtc_region* r) {
  const fmtc::Kernels* kernels = fmtc::ChosenKernels().kernels;
  if (kernels == nullptr) return Status::kCpuLevel;
  const Status status = region::OpenProgram(program, bytes, kernels->extend_crc32c, &r->program);
  if (status != Status::kOk) return status;
  r->memory = static_cast<uint8_t*>(std::malloc(region::StateBytes(r->program)));
  if (r->memory == nullptr) return Status::kOutOfMemory;
  r->state = region::CarveState(r->program, r->memory);
  const Status checked = region::CheckProgram(r->program, &r->state);
  if (checked == Status::kOk) region::UseCodecKernels(r->program, *kernels, &r->state);
  return checked;
}

uint64_t Nanoseconds() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
}

// Whether there are so many pointers, none of them null.
template <typename T>
bool HasPointers(T* const* pointers, int count) {
  if (pointers == nullptr) return false;
  for (int i = 0; i < count; ++i) {
    if (pointers[i] == nullptr) return false;
  }
  return true;
}

}  // namespace

int32_t fmtc_region_create(const uint8_t* program, size_t bytes, fmtc_region** out) {
  if (out == nullptr) return Code(Status::kInvalidArgument);
  *out = nullptr;
  auto* r = static_cast<fmtc_region*>(std::calloc(1, sizeof(fmtc_region)));
  if (r == nullptr) return Code(Status::kOutOfMemory);
  const Status status = Build(program, bytes, r);
  if (status == Status::kOk) {
    *out = r;
  } else {
    fmtc_region_destroy(r);
  }
  return Code(status);
}

void fmtc_region_destroy(fmtc_region* r) {
  if (r == nullptr) return;
  std::free(r->memory);
  std::free(r);
}

size_t fmtc_region_scratch_bytes(const fmtc_region* r) { return r->program.header->scratch_bytes; }

size_t fmtc_region_input_bytes(const fmtc_region* r, int32_t input) {
  if (input < 0 || input >= r->program.header->inputs) return 0;
  return region::ItemBytes(r->program.tensors[r->state.input_tensors[input]]);
}

size_t fmtc_region_output_bytes(const fmtc_region* r, int32_t output) {
  if (output < 0 || output >= r->program.header->outputs) return 0;
  return region::ItemBytes(r->program.tensors[r->state.output_tensors[output]]);
}

int32_t fmtc_region_run(fmtc_region* r, const uint8_t* const* inputs, uint8_t* const* outputs, int64_t batch,
                        uint8_t* scratch, size_t scratch_bytes, const fmtc_region_trace* trace) {
  if (r == nullptr || batch < 0 || batch > INT32_MAX) return Code(Status::kInvalidArgument);
  const region::Header& header = *r->program.header;
  if (!HasPointers(inputs, header.inputs) || !HasPointers(outputs, header.outputs)) {
    return Code(Status::kInvalidArgument);
  }
  if (scratch_bytes < header.scratch_bytes) return Code(Status::kBufferTooSmall);
  const bool is_aligned = reinterpret_cast<uintptr_t>(scratch) % region::kScratchAlignment == 0;
  if (header.scratch_bytes > 0 && (scratch == nullptr || !is_aligned)) return Code(Status::kInvalidArgument);
  region::Trace region_trace{};
  if (trace != nullptr) region_trace = {trace->tensors, trace->nanoseconds, trace->bytes_written, Nanoseconds};
  const region::RunArguments arguments{inputs, outputs, static_cast<int32_t>(batch), scratch,
                                       trace != nullptr ? &region_trace : nullptr};
  return Code(region::Run(r->program, region::ChosenRowKernels(), arguments, &r->state));
}
