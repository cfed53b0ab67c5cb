// The executor for microcontrollers reproduces the golden vectors of regions to the byte (tools/make_region_vectors.py
// has their layout), with inputs that are there whole and, where the program takes them so, row by row. It refuses
// those that ask for kinds or rules that it lacks, and any that is damaged.
#include <cstdint>
#include <cstring>

#include "bare_metal/board.h"
#include "bare_metal/golden_vectors.h"
#include "micro/fmtc_region.h"
#include "region/kind.h"

namespace {

using fmtc::Blob;
using fmtc::VectorReader;
namespace region = fmtc::region;

constexpr size_t kMostBytes = 512 << 10;
constexpr uint32_t kMostTensors = 8;
constexpr size_t kGuardBytes = 64;
constexpr uint8_t kGuard = 0xA5;
constexpr uint32_t kLeastRuns = 8;  // of the vectors, so that a build that refuses all of them fails

alignas(16) uint8_t program[kMostBytes];
alignas(16) uint8_t scratch[kMostBytes];
uint8_t computed[kMostBytes];

struct Case {
  uint32_t batch, num_inputs, num_outputs;
  Blob code, inputs[kMostTensors], outputs[kMostTensors];

  explicit Case(VectorReader* reader)
      : batch(reader->Number()), num_inputs(reader->Number()), num_outputs(reader->Number()), code(reader->Bytes()) {
    if (num_inputs > kMostTensors || num_outputs > kMostTensors || code.bytes > kMostBytes) {
      fmtc::Print("a case is too large for this test\n");
      fmtc::Exit(false);
    }
    for (uint32_t i = 0; i < num_inputs; ++i) inputs[i] = reader->Bytes();
    for (uint32_t i = 0; i < num_outputs; ++i) outputs[i] = reader->Bytes();
  }
};

// What the executor should say, of a program that is sound.
bool IsSupported(const uint8_t* code) {
  const auto* header = reinterpret_cast<const region::Header*>(code);
  const auto* ops = reinterpret_cast<const region::OpRecord*>(code + header->ops_offset);
  for (int i = 0; i < header->ops; ++i) {
    if (region::FindKind(ops[i].kind) == nullptr || ops[i].rule != 1) return false;
  }
  return true;
}

// Runs an item, and says whether its outputs are those of the case.
template <class Run>
bool Matches(const Case& c, uint32_t item, const Run& run) {
  void* outputs[kMostTensors];
  uint8_t* next = computed;
  memset(computed, kGuard, sizeof(computed));
  for (uint32_t i = 0; i < c.num_outputs; ++i) {
    outputs[i] = next;
    next += c.outputs[i].bytes / c.batch + kGuardBytes;
  }
  if (run(outputs) != FMTC_REGION_OK) return false;
  for (uint32_t i = 0; i < c.num_outputs; ++i) {
    const uint8_t* bytes = static_cast<const uint8_t*>(outputs[i]);
    const size_t count = c.outputs[i].bytes / c.batch;
    if (memcmp(bytes, c.outputs[i].data + item * count, count) != 0) return false;
    for (size_t j = 0; j < kGuardBytes; ++j) {
      if (bytes[count + j] != kGuard) return false;
    }
  }
  return true;
}

bool RunsWhole(const Case& c, fmtc_region_runner* runner, uint32_t item) {
  const void* inputs[kMostTensors];
  for (uint32_t i = 0; i < c.num_inputs; ++i) inputs[i] = c.inputs[i].data + item * (c.inputs[i].bytes / c.batch);
  return Matches(c, item, [&](void* const* outputs) { return fmtc_region_invoke(runner, inputs, outputs); });
}

bool RunsByRows(const Case& c, fmtc_region_runner* runner, uint32_t item) {
  const uint8_t* row = c.inputs[0].data + item * (c.inputs[0].bytes / c.batch);
  return Matches(c, item, [&](void* const* outputs) {
    int32_t status = fmtc_region_begin(runner, outputs);
    for (int32_t y = 0; y < fmtc_region_rows(runner) && status == FMTC_REGION_OK; ++y) {
      status = fmtc_region_push_row(runner, row);
      row += fmtc_region_row_bytes(runner);
    }
    if (fmtc_region_push_row(runner, row) != FMTC_REGION_ROW_TOO_MANY) status = FMTC_REGION_INVALID_ARGUMENT;
    return status;
  });
}

struct Counts {
  uint32_t run, by_rows, refused, wrong;
};

// A program in memory whose bytes are sound.
void RunCase(const Case& c, size_t scratch_bytes, Counts* counts) {
  fmtc_region_runner runner;
  const int32_t status = fmtc_region_init(&runner, program, c.code.bytes, scratch, scratch_bytes);
  if (!IsSupported(program)) {
    ++counts->refused;
    if (status != FMTC_REGION_WRONG_TARGET) ++counts->wrong;
    return;
  }
  bool right = status == FMTC_REGION_OK;
  if (right &&
      fmtc_region_init(&runner, program, c.code.bytes, scratch, scratch_bytes - 1) != FMTC_REGION_SCRATCH_TOO_SMALL) {
    right = false;
  }
  right = right && fmtc_region_init(&runner, program, c.code.bytes, scratch, scratch_bytes) == FMTC_REGION_OK;
  void* none[kMostTensors];
  for (void*& pointer : none) pointer = computed;
  const bool by_rows = right && fmtc_region_begin(&runner, none) == FMTC_REGION_OK;
  for (uint32_t item = 0; right && item < c.batch; ++item) {
    right = RunsWhole(c, &runner, item) && (!by_rows || RunsByRows(c, &runner, item));
  }
  ++counts->run;
  counts->by_rows += by_rows;
  counts->wrong += !right;
}

void CheckCase(const Case& c, Counts* counts) {
  memcpy(program, c.code.data, c.code.bytes);
  size_t scratch_bytes = 0;
  if (fmtc_region_scratch_bytes_of(program, c.code.bytes, &scratch_bytes) != FMTC_REGION_OK ||
      scratch_bytes > sizeof(scratch)) {
    ++counts->wrong;
    return;
  }
  RunCase(c, scratch_bytes, counts);
  fmtc_region_runner runner;
  program[c.code.bytes / 2] ^= 1;
  if (fmtc_region_init(&runner, program, c.code.bytes, scratch, sizeof(scratch)) != FMTC_REGION_DAMAGED) {
    ++counts->wrong;
  }
  if (fmtc_region_init(&runner, program, c.code.bytes - 16, scratch, sizeof(scratch)) != FMTC_REGION_TRUNCATED ||
      fmtc_region_num_inputs(&runner) != 0 || fmtc_region_bytes_of_output(&runner, 0) != 0 ||
      fmtc_region_rows(&runner) != 0 || fmtc_region_row_bytes(&runner) != 0) {
    ++counts->wrong;
  }
}

void PrintCount(const char* name, uint32_t count) {
  char digits[12] = {};
  char* first = digits + sizeof(digits) - 2;
  for (*first = '0'; count > 0; count /= 10) *first-- = static_cast<char>('0' + count % 10);
  fmtc::Print(name);
  fmtc::Print(*first == '\0' ? first + 1 : first);
  fmtc::Print("\n");
}

}  // namespace

int main() {
  VectorReader reader;
  Counts counts{};
  for (uint32_t left = reader.Number(); left > 0; --left) CheckCase(Case(&reader), &counts);
  PrintCount("run: ", counts.run);
  PrintCount("of these by rows: ", counts.by_rows);
  PrintCount("refused: ", counts.refused);
  PrintCount("wrong: ", counts.wrong);
  return counts.wrong == 0 && counts.run > 0 && reader.AtEnd() ? 0 : 1;
}
