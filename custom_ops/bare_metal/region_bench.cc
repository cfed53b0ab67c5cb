// How many of the timer's ticks ten inferences of networks take on a board, the difference between eleven and one: in
// all, and for each op that multiplies. A line for each, which tools/bench_micro.py reads. Networks are vectors, as in
// region_golden_test.cc.
#include <cstdint>
#include <cstring>
#include <initializer_list>

#include "bare_metal/board.h"
#include "bare_metal/cycles.h"
#include "bare_metal/golden_vectors.h"
#include "micro/fmtc_region.h"
#include "micro/kernels.h"
#include "region/plain_kernels.h"

namespace fmtc {
namespace {

constexpr size_t kMostBytes = 512 << 10;
constexpr int kMostOps = 128;

alignas(16) uint8_t program[kMostBytes];
alignas(16) uint8_t scratch[256 << 10];
uint8_t output[64 << 10];

// What an op did, known by its weights or parameters.
struct OpCount {
  const void* op;
  const char* kind;
  int32_t kernel, in_channels, out_channels;
  uint64_t ticks, work;
};
OpCount counts[kMostOps];
int num_counts = 0;

OpCount* CountOf(const void* op, const char* kind) {
  int i = 0;
  while (i < num_counts && counts[i].op != op) ++i;
  if (i == num_counts && num_counts < kMostOps) counts[num_counts++] = {op, kind, 0, 0, 0, 0, 0};
  return &counts[i];
}

void CountMacs(const region::MacRow& row, const char* kind, int32_t channels, uint32_t start) {
  const uint32_t ticks = TicksSince(start);
  OpCount* count = CountOf(row.requantization.biases, kind);
  count->kernel = row.kernel_rows * row.kernel_columns;
  count->in_channels = row.in_channels;
  count->out_channels = row.out_channels;
  count->ticks += ticks;
  count->work +=
      static_cast<uint64_t>(row.columns) * static_cast<uint32_t>(count->kernel * channels * row.out_channels);
}

void CountedConv(const region::MacRow& row) {
  const uint32_t start = Timer().value;
  region::MicroConv(row);
  CountMacs(row, "conv", row.in_channels * row.groups, start);
}

void CountedDepthwise(const region::MacRow& row) {
  const uint32_t start = Timer().value;
  region::MicroDepthwise(row);
  CountMacs(row, "depthwise", 1, start);
}

void CountedProducts(const region::MacRow& row, int32_t* acc) {
  const uint32_t start = Timer().value;
  region::MicroAddProducts(row, acc);
  CountMacs(row, "fully_connected", row.in_channels, start);
}

void CountedAdd(const region::AddRow& row) {
  const uint32_t start = Timer().value;
  region::MicroAdd(row);
  const uint32_t ticks = TicksSince(start);
  OpCount* count = CountOf(row.parameters, "add");
  count->ticks += ticks;
  count->out_channels = row.channels;
  count->work += static_cast<uint32_t>(row.channels * row.columns);
}

constexpr region::RowKernels MakeCountedKernels() {
  region::RowKernels k{};
  k.conv[kDoubleRounding] = CountedConv;
  k.depthwise[kDoubleRounding] = CountedDepthwise;
  k.requantize[kDoubleRounding] = region::PlainRequantize<DoubleRounding>;
  k.add[1] = CountedAdd;
  k.add_products = CountedProducts;
  k.add_columns = region::PlainAddColumns;
  k.average = region::PlainAverage;
  k.maximum = region::PlainMaximum;
  k.add_windows = region::PlainAddWindows;
  k.raise_maxima = region::PlainRaiseMaxima;
  k.look_up = region::PlainLookUp;
  k.quantize[1] = region::PlainQuantizeDivided;
  k.move_pixels = region::PlainMovePixels;
  return k;
}
constexpr region::RowKernels kCountedKernels = MakeCountedKernels();

void PrintNumber(uint64_t number, const char* behind) {
  char digits[24] = {};
  char* first = digits + sizeof(digits) - 2;
  do *first-- = static_cast<char>('0' + number % 10);
  while ((number /= 10) > 0);
  Print(first + 1);
  Print(behind);
}

// Ticks of so many inferences, whose steps count their own.
uint64_t Run(fmtc_region_runner* runner, const uint8_t* input, uint32_t inferences) {
  const void* inputs[] = {input};
  void* outputs[] = {output};
  uint64_t ticks = 0;
  for (; inferences > 0; --inferences) {
    const uint32_t start = Timer().value;
    fmtc_region_invoke(runner, inputs, outputs);
    ticks += TicksSince(start);
  }
  return ticks;
}

// What a first run has counted is taken away from what the following ones count.
void CountDown() {
  for (int i = 0; i < num_counts; ++i) {
    counts[i].ticks = 0 - counts[i].ticks;
    counts[i].work = 0 - counts[i].work;
  }
}

// A network's lines; false: this bench cannot run it.
bool Measure(const uint8_t* bytes, uint32_t size, const uint8_t* input) {
  fmtc_region_runner runner;
  memcpy(program, bytes, size);
  if (fmtc_region_init(&runner, program, size, scratch, sizeof(scratch)) != FMTC_REGION_OK) return false;
  num_counts = 0;
  const uint64_t first = Run(&runner, input, 1);
  CountDown();
  const uint64_t ticks = Run(&runner, input, 1 + kInferences) - first;
  Print("network ");
  PrintNumber(kInferences, " ");
  PrintNumber(ticks, "\n");
  for (int i = 0; i < num_counts; ++i) {
    Print(counts[i].kind);
    Print(" ");
    for (const int32_t number : {counts[i].kernel, counts[i].in_channels, counts[i].out_channels}) {
      PrintNumber(static_cast<uint32_t>(number), " ");
    }
    PrintNumber(counts[i].work, " ");
    PrintNumber(counts[i].ticks, "\n");
  }
  return true;
}

}  // namespace

namespace region {

// In the place of the executor's own.
const RowKernels& MicroRowKernels() { return kCountedKernels; }

}  // namespace region

}  // namespace fmtc

int main() {
  fmtc::StartTimer();
  fmtc::VectorReader reader;
  for (uint32_t left = reader.Number(); left > 0; --left) {
    reader.Number();  // batch items, of which the first is run
    const uint32_t inputs = reader.Number(), outputs = reader.Number();
    const fmtc::Blob code = reader.Bytes(), input = reader.Bytes();
    if (!fmtc::Measure(code.data, code.bytes, input.data)) return 1;
    for (uint32_t i = 1; i < inputs + outputs; ++i) reader.Bytes();
  }
  return 0;
}
