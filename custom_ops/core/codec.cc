#include "core/codec.h"

#include "core/bytes.h"
#include "core/small.h"
#include "core/small_kernels.h"

namespace fmtc {
namespace {

constexpr size_t kMemoryAlignment = 64;

// Tables first, then the places of the components.
size_t TableBytes(uint32_t num_classes) { return RoundUp(num_classes * sizeof(ClassTables), kMemoryAlignment); }

// Counting sort of the components by class.
void PlaceComponents(Codec* codec, uint32_t* place) {
  const SideInfo& info = codec->side_info;
  uint32_t next = 0;
  for (uint32_t j = 0; j < info.num_classes; ++j) {
    codec->class_begin[j] = next;
    for (uint32_t component = 0; component < info.components; ++component) {
      if (info.ComponentClass(component) == j) place[component] = next++;
    }
  }
  for (uint32_t j = info.num_classes; j <= kMaxClasses; ++j) codec->class_begin[j] = next;
  codec->place = place;
}

}  // namespace

Status CodecMemorySize(const uint8_t* side_info, size_t side_info_bytes, size_t* memory_bytes) {
  if (memory_bytes == nullptr) return Status::kInvalidArgument;
  SideInfoSizes sizes;
  const Status status = ReadSideInfoSizes(side_info, side_info_bytes, &sizes);
  if (status != Status::kOk) return status;
  *memory_bytes = TableBytes(sizes.num_classes) + sizeof(uint32_t) * sizes.components;
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
  PlaceComponents(codec, reinterpret_cast<uint32_t*>(static_cast<uint8_t*>(memory) + TableBytes(info.num_classes)));
  codec->kernels = kSmall ? &SmallKernels() : &PlainKernels();
  codec->has_prediction = false;
  codec->has_unit_steps = !info.has_analysis;
  for (uint32_t j = 0; j < info.components; ++j) {
    codec->has_prediction |= info.ComponentPredictor(j) != 0;
    if (!kSmall) codec->has_unit_steps &= info.ComponentStep(j) == kLosslessStep;  // small kernels do not ask
  }
  return Status::kOk;
}

}  // namespace fmtc
