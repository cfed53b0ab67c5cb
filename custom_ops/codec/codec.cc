#include "codec/codec.h"

#include <cstring>

#include "base/features.h"
#include "base/layout.h"
#include "codec/small_kernels.h"

namespace fmtc {
namespace {

// What InitCodec builds.
struct Memory {
  ClassTables* tables;
  uint8_t* context_tables;
  uint32_t* place;
  StepTables steps;
  PackedMatrix analysis, synthesis;
  int16_t* expansion;  // of a synthesis matrix in bytes
  // Of a convolution, [outputs].
  uint64_t* multipliers;
  int8_t* shifts;
};

// Outputs of the synthesis, in whole groups.
size_t GroupedOutputs(uint32_t channels) { return RoundUp(size_t{channels}, size_t{kMatrixGroup}); }

void LayOutMemory(const SideInfoSizes& sizes, Layout* layout, Memory* memory) {
  memory->tables = layout->Take<ClassTables>(sizes.num_tables());
  if (sizes.num_context_tables > 0) memory->context_tables = layout->TakeBytes(kMaxClasses * kContextStride);
  memory->place = layout->Take<uint32_t>(sizes.components);
  if (!kHasStepTables) return;
  LayOutStepTables(sizes.components, layout, &memory->steps);
  if (sizes.has_analysis()) LayOutMatrix(sizes.components, sizes.channels, layout, &memory->analysis);
  if (sizes.has_compact_synthesis())
    memory->expansion = layout->Take<int16_t>(size_t{sizes.channels} * sizes.components);
  if (sizes.has_synthesis()) LayOutMatrix(sizes.channels, sizes.components, layout, &memory->synthesis);
  if (sizes.requantization_rule != 0) {
    memory->multipliers = layout->Take<uint64_t>(GroupedOutputs(sizes.channels));
    memory->shifts = layout->Take<int8_t>(GroupedOutputs(sizes.channels));
  }
}

size_t MemoryBytes(const SideInfoSizes& sizes) {
  Layout layout;
  Memory unused;
  LayOutMemory(sizes, &layout, &unused);
  return layout.bytes();
}

// Counting sort of the components by class.
void PlaceComponents(Codec* codec, uint32_t* place) {
  const SideInfo& info = codec->side_info;
  uint32_t next[kMaxClasses] = {};
  for (uint32_t component = 0; component < info.components; ++component) ++next[info.ComponentClass(component)];
  uint32_t begin = 0;
  for (uint32_t j = 0; j < kMaxClasses; ++j) {
    const uint32_t count = next[j];
    codec->class_begin[j] = next[j] = begin;
    begin += count;
  }
  codec->class_begin[kMaxClasses] = begin;
  for (uint32_t component = 0; component < info.components; ++component) {
    place[component] = next[info.ComponentClass(component)]++;
  }
  codec->place = place;
}

// A byte for each class and context; 0 for classes that there are not.
const uint8_t* ExpandContextMap(const SideInfo& info, uint8_t* map) {
  if (!info.has_contexts()) return nullptr;
  memset(map, 0, kMaxClasses * kContextStride);
  for (uint32_t j = 0; j < info.num_classes; ++j) {
    for (uint32_t i = 0; i < kContextStride; ++i)
      map[j * kContextStride + i] = static_cast<uint8_t>(info.TableOf(j, i));
  }
  return map;
}

// Gives a synthesis matrix in bytes its form with 16 bits.
void ExpandSynthesis(int16_t* matrix, SideInfo* info) {
  info->synthesis = reinterpret_cast<const uint8_t*>(matrix);
  for (uint32_t i = 0; i < info->channels; ++i) {
    for (uint32_t j = 0; j < info->components; ++j) *matrix++ = static_cast<int16_t>(info->ExpandedSynthesis(i, j));
  }
}

// The convolution's parameters in memory of the codec's own: what the checks have seen stays so.
void BuildRequantization(const Memory& memory, const SideInfo& info, Requantization* requantization) {
  const ConvolutionInfo& convolution = info.convolution;
  const size_t outputs = GroupedOutputs(info.channels);
  memset(memory.multipliers, 0, outputs * sizeof(uint64_t));
  memset(memory.shifts, 0, outputs);
  memcpy(memory.multipliers, convolution.multipliers, convolution.MultiplierBytes() * info.channels);
  if (convolution.HasShifts()) memcpy(memory.shifts, convolution.shifts, info.channels);
  requantization->multipliers = reinterpret_cast<const uint8_t*>(memory.multipliers);
  requantization->shifts = memory.shifts;
  requantization->range = {convolution.zero, convolution.low, convolution.high};
}

void BuildTransforms(const Memory& memory, Codec* codec) {
  const SideInfo& info = codec->side_info;
  codec->steps = {};
  codec->analysis = codec->synthesis = {};
  if (!codec->has_unit_steps || info.has_synthesis) {
    codec->steps = memory.steps;
    BuildStepTables(info, 0, &codec->steps);
  }
  if (info.has_analysis) {
    codec->analysis = memory.analysis;
    PackMatrix(info.analysis, info.analysis_bias, &codec->analysis);
  }
  if (info.compact_synthesis != nullptr) ExpandSynthesis(memory.expansion, &codec->side_info);
  codec->requantization = {};
  if (info.is_convolution()) BuildRequantization(memory, info, &codec->requantization);
  if (info.has_synthesis) {
    codec->synthesis = memory.synthesis;
    PackMatrix(info.synthesis, info.synthesis_bias, &codec->synthesis);
  }
}

}  // namespace

FMTC_SELDOM Status CodecMemorySize(const uint8_t* side_info, size_t side_info_bytes, size_t* memory_bytes) {
  if (memory_bytes == nullptr) return Status::kInvalidArgument;
  SideInfoSizes sizes;
  const Status status = ReadSideInfoSizes(side_info, side_info_bytes, &sizes);
  if (status == Status::kOk) *memory_bytes = MemoryBytes(sizes);
  return status;
}

FMTC_SELDOM Status InitCodec(const uint8_t* side_info, size_t side_info_bytes, void* memory, size_t memory_bytes,
                             Codec* codec) {
  if (memory == nullptr || codec == nullptr) return Status::kInvalidArgument;
  if (reinterpret_cast<uintptr_t>(memory) % Layout::kAlignment != 0) return Status::kInvalidArgument;
  SideInfoSizes sizes;
  const Status status = ParseSideInfo(side_info, side_info_bytes, &sizes, &codec->side_info);
  if (status != Status::kOk) return status;
  if (memory_bytes < MemoryBytes(sizes)) return Status::kBufferTooSmall;

  const SideInfo& info = codec->side_info;
  Layout layout(static_cast<uint8_t*>(memory));
  Memory pieces;
  LayOutMemory(sizes, &layout, &pieces);
  for (uint32_t j = 0; j < info.num_tables(); ++j) BuildClassTables(info.classes[j], &pieces.tables[j]);
  codec->tables = pieces.tables;
  codec->context_tables = ExpandContextMap(info, pieces.context_tables);
  codec->kernels = kHasStepTables ? &PlainKernels() : &SmallKernels();
  codec->has_prediction = false;
  if (kHasStepTables) codec->has_unit_steps = !info.has_analysis;  // others do not ask
  for (uint32_t j = 0; j < info.components; ++j) {
    codec->has_prediction |= info.ComponentPredictor(j) != 0;
    if (kHasStepTables) codec->has_unit_steps &= info.ComponentStep(j) == kLosslessStep;
  }
  PlaceComponents(codec, pieces.place);
  if (kHasStepTables) BuildTransforms(pieces, codec);
  return Status::kOk;
}

}  // namespace fmtc
