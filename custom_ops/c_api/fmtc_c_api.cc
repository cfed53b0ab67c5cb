#include "c_api/fmtc_c_api.h"

#include <cstdlib>
#include <cstring>

#include "base/bytes.h"
#include "codec/codec.h"
#include "codec/kernels/dispatch.h"
#include "codec/residual_histograms.h"

struct fmtc_codec {
  fmtc::Codec codec;
  fmtc::MapPlan plan;
  fmtc::ElementType type;
  uint8_t* side_info;
  void* memory;
  uint8_t* workspace;  // for the encoder as well as the decoder
  size_t workspace_bytes;
};

namespace {

using fmtc::Status;

constexpr size_t kAlignment = 64;

void* AllocateAligned(size_t bytes) { return aligned_alloc(kAlignment, fmtc::RoundUp(bytes + 1, kAlignment)); }

int32_t Code(Status status) { return static_cast<int32_t>(status); }

Status AllocateWorkspace(fmtc_codec* c) {
  const size_t encode_bytes = fmtc::EncodeWorkspaceSize(c->codec, c->plan);
  const size_t decode_bytes = fmtc::DecodeWorkspaceSize(c->codec, c->plan);
  c->workspace_bytes = encode_bytes > decode_bytes ? encode_bytes : decode_bytes;
  c->workspace = static_cast<uint8_t*>(AllocateAligned(c->workspace_bytes));
  return c->workspace == nullptr ? Status::kOutOfMemory : Status::kOk;
}

Status BuildCodec(const uint8_t* side_info, size_t bytes, fmtc_codec* c) {
  size_t memory_bytes = 0;
  Status status = fmtc::CodecMemorySize(side_info, bytes, &memory_bytes);
  if (status != Status::kOk) return status;
  c->side_info = static_cast<uint8_t*>(AllocateAligned(bytes));
  c->memory = AllocateAligned(memory_bytes);
  if (c->side_info == nullptr || c->memory == nullptr) return Status::kOutOfMemory;
  memcpy(c->side_info, side_info, bytes);
  status = fmtc::InitCodec(c->side_info, bytes, c->memory, memory_bytes, &c->codec);
  c->codec.kernels = fmtc::ChosenKernels().kernels;
  return status;
}

}  // namespace

const char* fmtc_version(void) { return FMTC_VERSION; }
int32_t fmtc_abi_version(void) { return FMTC_ABI_VERSION; }
int32_t fmtc_format_version(void) { return fmtc::kFormatVersion; }
const char* fmtc_cpu_level(void) { return fmtc::ChosenKernels().level; }
const char* fmtc_status_message(int32_t status) { return fmtc::StatusMessage(static_cast<Status>(status)); }

int32_t fmtc_codec_create(const uint8_t* side_info, size_t bytes, int64_t batch, int64_t height, int64_t width,
                          int32_t is_uint8, fmtc_codec** out) {
  if (out == nullptr) return Code(Status::kInvalidArgument);
  *out = nullptr;
  if (fmtc::ChosenKernels().kernels == nullptr) return Code(Status::kCpuLevel);
  fmtc_codec* c = static_cast<fmtc_codec*>(calloc(1, sizeof(fmtc_codec)));
  if (c == nullptr) return Code(Status::kOutOfMemory);
  c->type = is_uint8 != 0 ? fmtc::ElementType::kUInt8 : fmtc::ElementType::kInt8;
  Status status = BuildCodec(side_info, bytes, c);
  if (status == Status::kOk) status = fmtc::PlanMap(c->codec, batch, height, width, &c->plan);
  if (status == Status::kOk) status = AllocateWorkspace(c);
  if (status == Status::kOk) {
    *out = c;
  } else {
    fmtc_codec_destroy(c);
  }
  return Code(status);
}

void fmtc_codec_destroy(fmtc_codec* codec) {
  if (codec == nullptr) return;
  free(codec->side_info);
  free(codec->memory);
  free(codec->workspace);
  free(codec);
}

size_t fmtc_codec_capacity(const fmtc_codec* codec) { return codec->plan.batch * codec->plan.item_capacity; }
size_t fmtc_codec_input_bytes(const fmtc_codec* codec) { return codec->plan.encoder_input_bytes; }
size_t fmtc_codec_output_bytes(const fmtc_codec* codec) { return codec->plan.decoder_output_bytes; }

int32_t fmtc_encode(fmtc_codec* codec, const uint8_t* in, size_t in_bytes, uint8_t* out, size_t capacity,
                    size_t* payload_bytes) {
  if (codec == nullptr) return Code(Status::kInvalidArgument);
  return Code(fmtc::Encode(codec->codec, codec->plan, codec->type, in, in_bytes, out, capacity, payload_bytes,
                           codec->workspace, codec->workspace_bytes));
}

int32_t fmtc_decode(fmtc_codec* codec, const uint8_t* in, size_t in_bytes, uint8_t* out, size_t out_bytes) {
  if (codec == nullptr) return Code(Status::kInvalidArgument);
  return Code(fmtc::Decode(codec->codec, codec->plan, codec->type, in, in_bytes, out, out_bytes, codec->workspace,
                           codec->workspace_bytes));
}

int32_t fmtc_context_histograms(fmtc_codec* codec, const uint8_t* in, size_t in_bytes, uint32_t* hist,
                                size_t hist_entries) {
  if (codec == nullptr) return Code(Status::kInvalidArgument);
  return Code(fmtc::AddContextHistograms(codec->codec, codec->plan, codec->type, in, in_bytes, hist, hist_entries,
                                         codec->workspace, codec->workspace_bytes));
}

int32_t fmtc_residual_histograms(fmtc_codec* codec, const uint8_t* in, size_t in_bytes, uint32_t* hist,
                                 size_t hist_entries) {
  if (codec == nullptr) return Code(Status::kInvalidArgument);
  return Code(fmtc::AddResidualHistograms(codec->codec, codec->plan, codec->type, in, in_bytes, hist, hist_entries,
                                          codec->workspace, codec->workspace_bytes));
}
