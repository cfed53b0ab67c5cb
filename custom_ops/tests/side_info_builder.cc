#include "tests/side_info_builder.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <utility>

#include "base/bytes.h"
#include "codec/kernels/dispatch.h"
#include "tests/program_checksum.h"

namespace fmtc::test {
namespace {

using Bytes = std::vector<uint8_t>;

template <typename T>
void Append(const std::vector<T>& values, Bytes* bytes) {
  const uint8_t* begin = reinterpret_cast<const uint8_t*>(values.data());
  bytes->insert(bytes->end(), begin, begin + sizeof(T) * values.size());
}

void Pad(Bytes* bytes) { bytes->resize(RoundUp(bytes->size(), 16)); }

void AppendClass(const ClassSpec& spec, Bytes* bytes) {
  const uint8_t num_tokens = static_cast<uint8_t>(spec.widths.size());
  bytes->insert(bytes->end(), {spec.offset, spec.constant, num_tokens});
  for (size_t t = 0; t < num_tokens; t += 2) {
    const uint8_t high = t + 1 < num_tokens ? spec.widths[t + 1] : 0;
    bytes->push_back(static_cast<uint8_t>(spec.widths[t] | high << 4));
  }
  Append(spec.counts, bytes);
}

void AppendMatrix(const MatrixSpec& spec, Bytes* bytes) {
  if (spec.matrix.empty()) return;
  Append(spec.matrix, bytes);
  Pad(bytes);
  Append(spec.bias, bytes);
  Pad(bytes);
}

void AppendCompact(const SideInfoSpec& spec, Bytes* bytes) {
  Append(spec.compact.weights, bytes);
  Pad(bytes);
  Append(spec.compact.multipliers, bytes);
  Pad(bytes);
  Append(spec.synthesis.bias, bytes);
  Pad(bytes);
}

constexpr size_t kContexts = kNoRowAbove + 1;

void AppendPadded(const Bytes& part, Bytes* bytes) {
  Append(part, bytes);
  Pad(bytes);
}

void AppendConvolution(const ConvolutionSpec& spec, Bytes* bytes) {
  Append(spec.weights, bytes);
  Pad(bytes);
  Append(spec.biases, bytes);
  Pad(bytes);
  AppendPadded({static_cast<uint8_t>(spec.weight_zero), spec.zero, spec.low, spec.high}, bytes);
  AppendPadded(spec.multipliers, bytes);
  Append(spec.shifts, bytes);
  Pad(bytes);
}

bool HasContexts(const SideInfoSpec& spec) { return !spec.contexts.tables.empty(); }
bool IsVersion2(const SideInfoSpec& spec) {
  return spec.segment_rows > 0 || HasContexts(spec) || spec.convolution.rule != 0;
}

void AppendExtension(const SideInfoSpec& spec, Bytes* bytes) {
  Append(std::vector<uint16_t>{spec.segment_rows}, bytes);
  const uint8_t num_tables = static_cast<uint8_t>(HasContexts(spec) ? spec.classes.size() : 0);
  AppendPadded({num_tables, spec.convolution.rule}, bytes);
}

void AppendContextMap(const ContextSpec& spec, Bytes* bytes) {
  for (size_t begin = 0; begin < spec.tables.size(); begin += kContexts) {
    for (size_t i = 0; i < kContextStride; i += 2) {
      const uint8_t high = i + 1 < kContexts ? spec.tables[begin + i + 1] : 0;
      bytes->push_back(static_cast<uint8_t>(spec.tables[begin + i] | high << 4));
    }
  }
}

void WriteHeader(const SideInfoSpec& spec, Bytes* bytes) {
  uint8_t* out = bytes->data();
  memcpy(out, "FMSI", 4);
  out[4] = IsVersion2(spec) ? 2 : 1;
  const bool is_convolution = spec.convolution.rule != 0;
  const bool is_compact = !spec.compact.weights.empty() || is_convolution;
  const bool flags[] = {!spec.analysis.matrix.empty(),
                        !spec.synthesis.matrix.empty() || is_convolution,
                        !spec.centres.empty(),
                        !spec.steps.empty(),
                        spec.checksum,
                        is_compact};
  for (int bit = 0; bit < 6; ++bit) out[5] |= static_cast<uint8_t>(flags[bit] << bit);
  out[6] = static_cast<uint8_t>(HasContexts(spec) ? spec.contexts.tables.size() / kContexts : spec.classes.size());
  out[7] = spec.max_level;
  Store(out + 8, static_cast<uint32_t>(bytes->size()));
  Store(out + 16, spec.channels);
  Store(out + 20, static_cast<uint32_t>(spec.classes_of.size()));
  out[24] = static_cast<uint8_t>(spec.lo);
  out[25] = static_cast<uint8_t>(spec.hi);
  out[26] = static_cast<uint8_t>(spec.centre);
  out[27] = spec.analysis.shift;
  Store(out + 28, spec.step);
  out[30] = spec.synthesis.shift;
  out[31] = spec.compact.expansion_shift;
}

// Counts of the 64 states, each at least 1, close to the shares of `mass`.
std::vector<uint8_t> ShareStates(const std::vector<double>& mass) {
  std::vector<uint8_t> counts(mass.size(), 1);
  for (size_t left = kNumStates - mass.size(); left > 0; --left) {
    size_t best = 0;
    for (size_t t = 1; t < mass.size(); ++t) {
      if (mass[t] * counts[best] > mass[best] * counts[t]) best = t;
    }
    ++counts[best];
  }
  return counts;
}

// cost[t][v]: least bits for the values before v in t tokens; from[t][v]: log2 width of the last of them.
struct Partitions {
  std::array<std::array<double, 257>, kMaxTokens + 1> cost;
  std::array<std::array<uint8_t, 257>, kMaxTokens + 1> from;
};

void FindPartitions(const std::array<double, 257>& sums, Partitions* best) {
  for (auto& row : best->cost) row.fill(HUGE_VAL);
  best->cost[0][0] = 0;
  for (uint32_t t = 1; t <= kMaxTokens; ++t) {
    for (uint32_t v = 1; v <= 256; ++v) {
      for (uint8_t w = 0; w <= 7 && 1u << w <= v; ++w) {
        const double mass = sums[v] - sums[v - (1u << w)];
        const double share = std::max(mass / sums[256], 1.0 / kNumStates);
        const double cost = best->cost[t - 1][v - (1u << w)] + mass * (w - std::log2(share));
        if (cost < best->cost[t][v]) {
          best->cost[t][v] = cost;
          best->from[t][v] = w;
        }
      }
    }
  }
}

double FitClassAt(uint8_t offset, const uint32_t histogram[256], ClassSpec* spec) {
  std::array<double, 257> sums{};
  for (uint32_t v = 0; v < 256; ++v) sums[v + 1] = sums[v] + histogram[(offset + v) % 256] + 1e-3;
  auto best = std::make_unique<Partitions>();
  FindPartitions(sums, best.get());
  uint32_t tokens = 2;
  for (uint32_t t = 3; t <= kMaxTokens; ++t) {
    if (best->cost[t][256] < best->cost[tokens][256]) tokens = t;
  }
  spec->offset = offset;
  spec->widths.assign(tokens, 0);
  std::vector<double> mass(tokens);
  for (uint32_t t = tokens, v = 256; t > 0; --t) {
    const uint8_t w = best->from[t][v];
    spec->widths[t - 1] = w;
    mass[t - 1] = sums[v] - sums[v - (1u << w)];
    v -= 1u << w;
  }
  spec->counts = ShareStates(mass);
  return best->cost[tokens][256];
}

}  // namespace

void FixSideInfoChecksum(Bytes* side_info) { RepairSideInfoChecksum(side_info->data(), side_info->size()); }

namespace {

// 255, which no reader accepts, for steps that have no code.
uint8_t CodeOfStep(uint16_t step) {
  for (uint8_t code = 0; code <= kMaxStepCode; ++code) {
    if (StepOfCode(code) == step) return code;
  }
  return 255;
}

}  // namespace

Bytes BuildSideInfo(const SideInfoSpec& spec) {
  Bytes bytes(32);
  if (IsVersion2(spec)) AppendExtension(spec, &bytes);
  for (size_t j = 0; j < spec.classes_of.size(); ++j) {
    const int one_sided = HasContexts(spec) && spec.contexts.one_sided[j] != 0 ? kOneSided : 0;
    bytes.push_back(static_cast<uint8_t>(spec.classes_of[j] | one_sided | spec.predictors[j] << 4));
  }
  Append(spec.centres, &bytes);
  for (uint16_t step : spec.steps) bytes.push_back(CodeOfStep(step));
  AppendContextMap(spec.contexts, &bytes);
  for (const ClassSpec& class_spec : spec.classes) AppendClass(class_spec, &bytes);
  Pad(&bytes);
  AppendMatrix(spec.analysis, &bytes);
  if (spec.convolution.rule != 0) {
    AppendConvolution(spec.convolution, &bytes);
  } else if (spec.compact.weights.empty()) {
    AppendMatrix(spec.synthesis, &bytes);
  } else {
    AppendCompact(spec, &bytes);
  }
  WriteHeader(spec, &bytes);
  FixSideInfoChecksum(&bytes);
  return bytes;
}

ClassSpec FitClass(const uint32_t histogram[256]) {
  ClassSpec spec;
  ClassSpec other;
  if (FitClassAt(128, histogram, &other) < FitClassAt(0, histogram, &spec)) spec = other;
  spec.constant = static_cast<uint8_t>(std::max_element(histogram, histogram + 256) - histogram);
  return spec;
}

OwnedCodec::OwnedCodec(Bytes side_info) : side_info_(std::move(side_info)) {
  size_t memory_bytes = 0;
  status_ = CodecMemorySize(side_info_.data(), side_info_.size(), &memory_bytes);
  if (status_ != Status::kOk) return;
  memory_ = std::aligned_alloc(64, RoundUp(memory_bytes, 64));
  status_ = InitCodec(side_info_.data(), side_info_.size(), memory_, memory_bytes, &codec_);
  codec_.kernels = ChosenKernels().kernels;
  if (codec_.kernels == nullptr) status_ = Status::kCpuLevel;
}

OwnedCodec::~OwnedCodec() { std::free(memory_); }

}  // namespace fmtc::test
