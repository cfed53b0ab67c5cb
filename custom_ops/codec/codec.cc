#include "codec/codec.h"

#include <initializer_list>

#include "base/bytes.h"
#include "base/features.h"
#include "codec/small_kernels.h"

namespace fmtc {
namespace {

constexpr size_t kMemoryAlignment = 64;

// The tables come first.
size_t TableBytes(uint32_t num_classes) { return RoundUp(num_classes * sizeof(ClassTables), kMemoryAlignment); }

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

// Gives a synthesis matrix in bytes its form with 16 bits.
void ExpandSynthesis(int16_t* matrix, SideInfo* info) {
  info->synthesis = reinterpret_cast<const uint8_t*>(matrix);
  for (uint32_t i = 0; i < info->channels; ++i) {
    for (uint32_t j = 0; j < info->components; ++j) *matrix++ = static_cast<int16_t>(info->ExpandedSynthesis(i, j));
  }
}

// What InitCodec builds behind the tables.
void BuildColumns(uint8_t* memory, Codec* codec) {
  const SideInfo& info = codec->side_info;
  if (kSmall) return PlaceComponents(codec, reinterpret_cast<uint32_t*>(memory));
  MemoryCarver carver(memory);
  PlaceComponents(codec, carver.Take<uint32_t>(info.components));
  uint8_t* const steps = carver.Take<uint8_t>(StepTablesBytes(info.components));
  codec->steps = {};
  if (!codec->has_unit_steps || info.has_synthesis) BuildStepTables(info, 0, steps, &codec->steps);
  codec->analysis = codec->synthesis = {};
  if (info.has_analysis) {
    uint8_t* const packed = carver.Take<uint8_t>(PackedMatrixBytes(info.components, info.channels));
    PackMatrix(info.analysis, info.analysis_bias, info.components, info.channels, packed, &codec->analysis);
  }
  if (info.compact_synthesis != nullptr) {
    ExpandSynthesis(carver.Take<int16_t>(size_t{info.channels} * info.components), &codec->side_info);
  }
  if (info.has_synthesis) {
    uint8_t* const packed = carver.Take<uint8_t>(PackedMatrixBytes(info.channels, info.components));
    PackMatrix(info.synthesis, info.synthesis_bias, info.channels, info.components, packed, &codec->synthesis);
  }
}

}  // namespace

Status CodecMemorySize(const uint8_t* side_info, size_t side_info_bytes, size_t* memory_bytes) {
  if (memory_bytes == nullptr) return Status::kInvalidArgument;
  SideInfoSizes sizes;
  const Status status = ReadSideInfoSizes(side_info, side_info_bytes, &sizes);
  if (status != Status::kOk) return status;
  *memory_bytes = TableBytes(sizes.num_classes) + MemoryCarver::PieceBytes(sizeof(uint32_t) * sizes.components);
  if (kSmall) return Status::kOk;
  *memory_bytes += MemoryCarver::PieceBytes(StepTablesBytes(sizes.components));
  for (const bool has_matrix : {sizes.has_analysis, sizes.has_synthesis}) {
    if (!has_matrix) continue;
    // Packed, a matrix and its transpose differ in padding.
    const size_t one = PackedMatrixBytes(sizes.components, sizes.channels);
    const size_t other = PackedMatrixBytes(sizes.channels, sizes.components);
    *memory_bytes += MemoryCarver::PieceBytes(one > other ? one : other);
  }
  if (sizes.has_compact_synthesis) {
    *memory_bytes += MemoryCarver::PieceBytes(sizeof(int16_t) * sizes.channels * sizes.components);
  }
  return Status::kOk;
}

Status InitCodec(const uint8_t* side_info, size_t side_info_bytes, void* memory, size_t memory_bytes, Codec* codec) {
  if (memory == nullptr || codec == nullptr) return Status::kInvalidArgument;
  if (reinterpret_cast<uintptr_t>(memory) % kMemoryAlignment != 0) return Status::kInvalidArgument;
  size_t needed = 0;
  Status status = CodecMemorySize(side_info, side_info_bytes, &needed);
  if (status != Status::kOk) return status;
  if (memory_bytes < needed) return Status::kBufferTooSmall;
  status = ParseSideInfo(side_info, side_info_bytes, &codec->side_info);
  if (status != Status::kOk) return status;

  const SideInfo& info = codec->side_info;
  ClassTables* const tables = static_cast<ClassTables*>(memory);
  for (uint32_t j = 0; j < info.num_classes; ++j) BuildClassTables(info.classes[j], &tables[j]);
  codec->tables = tables;
  codec->kernels = kSmall ? &SmallKernels() : &PlainKernels();
  codec->has_prediction = false;
  codec->has_unit_steps = !info.has_analysis;
  for (uint32_t j = 0; j < info.components; ++j) {
    codec->has_prediction |= info.ComponentPredictor(j) != 0;
    if (!kSmall) codec->has_unit_steps &= info.ComponentStep(j) == kLosslessStep;  // small kernels do not ask
  }
  BuildColumns(static_cast<uint8_t*>(memory) + TableBytes(info.num_classes), codec);
  return Status::kOk;
}

}  // namespace fmtc
