#include "tflite/shared_codec.h"

#include <cstdlib>
#include <mutex>
#include <type_traits>

#include "base/bytes.h"
#include "codec/kernels/dispatch.h"

namespace fmtc {
namespace {

constexpr size_t kMemoryAlignment = 64;

// The memory of the codec follows.
struct alignas(kMemoryAlignment) SharedCodec {
  Codec codec;
  const TfLiteContext* interpreter;
  const uint8_t* side_info;
  size_t side_info_bytes;
  size_t holders;
  SharedCodec* next;
};
static_assert(std::is_trivially_destructible<SharedCodec>::value, "it is freed with free");
static_assert(std::is_standard_layout<SharedCodec>::value, "its address is that of the codec");

// Guards the list and the numbers of holders. The newest codec comes first, so that ops that are neighbours in the
// graph find theirs at once.
std::mutex g_mutex;
SharedCodec* g_codecs = nullptr;

Status NewSharedCodec(const uint8_t* side_info, size_t side_info_bytes, SharedCodec** out) {
  const Kernels* const kernels = ChosenKernels().kernels;
  if (kernels == nullptr) return Status::kCpuLevel;
  size_t memory_bytes;
  Status status = CodecMemorySize(side_info, side_info_bytes, &memory_bytes);
  if (status != Status::kOk) return status;
  if (memory_bytes > SIZE_MAX - sizeof(SharedCodec) - kMemoryAlignment) return Status::kOutOfMemory;
  const size_t bytes = RoundUp(sizeof(SharedCodec) + memory_bytes, kMemoryAlignment);
  auto* shared = static_cast<SharedCodec*>(std::aligned_alloc(kMemoryAlignment, bytes));
  if (shared == nullptr) return Status::kOutOfMemory;
  status = InitCodec(side_info, side_info_bytes, shared + 1, memory_bytes, &shared->codec);
  if (status != Status::kOk) {
    std::free(shared);
    return status;
  }
  shared->codec.kernels = kernels;
  *out = shared;
  return Status::kOk;
}

}  // namespace

Status HoldCodec(const TfLiteContext* interpreter, const uint8_t* side_info, size_t side_info_bytes,
                 const Codec** codec) {
  const std::lock_guard<std::mutex> lock(g_mutex);
  SharedCodec* shared = g_codecs;
  while (shared != nullptr && (shared->interpreter != interpreter || shared->side_info != side_info ||
                               shared->side_info_bytes != side_info_bytes)) {
    shared = shared->next;
  }
  if (shared == nullptr) {
    const Status status = NewSharedCodec(side_info, side_info_bytes, &shared);
    if (status != Status::kOk) return status;
    shared->interpreter = interpreter;
    shared->side_info = side_info;
    shared->side_info_bytes = side_info_bytes;
    shared->holders = 0;
    shared->next = g_codecs;
    g_codecs = shared;
  }
  ++shared->holders;
  *codec = &shared->codec;
  return Status::kOk;
}

void ReleaseCodec(const Codec* codec) {
  if (codec == nullptr) return;
  const std::lock_guard<std::mutex> lock(g_mutex);
  SharedCodec** at = &g_codecs;
  while (&(*at)->codec != codec) at = &(*at)->next;
  SharedCodec* const shared = *at;
  if (--shared->holders > 0) return;
  *at = shared->next;
  std::free(shared);
}

}  // namespace fmtc
