// The part of TensorFlow Lite Micro that the ops call.
//
// A firmware has TensorFlow Lite Micro's own headers and defines FMTC_TFLM_INCLUDE_DIR; they are then used. Without
// them this file declares what its library exports, as the Python package tflite-micro 0.dev20261023182759 has it.
#ifndef FMTC_MICRO_TFLM_ABI_H_
#define FMTC_MICRO_TFLM_ABI_H_

#include <cstddef>
#include <cstdint>

#ifdef FMTC_TFLM_INCLUDE_DIR

#include "tensorflow/lite/micro/kernels/kernel_util.h"
#include "tensorflow/lite/micro/micro_common.h"
#include "tensorflow/lite/micro/micro_context.h"
#include "tensorflow/lite/micro/micro_log.h"

namespace fmtc {
namespace tflm {

inline void* AllocatePersistent(TfLiteContext* context, size_t bytes) {
  return context->AllocatePersistentBuffer(context, bytes);
}
inline TfLiteStatus RequestScratch(TfLiteContext* context, size_t bytes, int* index) {
  return context->RequestScratchBufferInArena(context, bytes, index);
}
inline void* Scratch(TfLiteContext* context, int index) { return context->GetScratchBuffer(context, index); }

}  // namespace tflm
}  // namespace fmtc

#else

void MicroPrintf(const char* format, ...);

namespace tflite {
namespace micro {

struct TfLiteContext;

enum TfLiteStatus : int { kTfLiteOk = 0, kTfLiteError = 1 };
enum TfLiteType : int { kTfLiteFloat32 = 1, kTfLiteInt32 = 2, kTfLiteUInt8 = 3, kTfLiteInt64 = 4, kTfLiteInt8 = 9 };

struct TfLiteIntArray {
  int size;
  int data[];
};

// The interpreter's struct goes on; nothing behind user_data is used.
struct TfLiteNode {
  TfLiteIntArray* inputs;
  TfLiteIntArray* outputs;
  TfLiteIntArray* intermediates;
  void* user_data;
};

union TfLitePtrUnion {
  void* data;
  uint8_t* uint8;
};

struct TfLiteEvalTensor {
  TfLitePtrUnion data;
  TfLiteIntArray* dims;
  TfLiteType type;
};

struct TFLMRegistration {
  void* (*init)(TfLiteContext* context, const char* buffer, size_t length);
  void (*free)(TfLiteContext* context, void* buffer);
  TfLiteStatus (*prepare)(TfLiteContext* context, TfLiteNode* node);
  TfLiteStatus (*invoke)(TfLiteContext* context, TfLiteNode* node);
  void (*reset)(TfLiteContext* context, void* buffer);
  int32_t builtin_code;
  const char* custom_name;
};

void* MicroContextAllocatePersistentBuffer(TfLiteContext* context, size_t bytes);
TfLiteStatus MicroContextRequestScratchBufferInArena(TfLiteContext* context, size_t bytes, int* index);
void* MicroContextGetScratchBuffer(TfLiteContext* context, int index);
const TfLiteEvalTensor* GetEvalInput(const TfLiteContext* context, const TfLiteNode* node, int index);
TfLiteEvalTensor* GetEvalOutput(const TfLiteContext* context, const TfLiteNode* node, int index);

}  // namespace micro
}  // namespace tflite

static_assert(sizeof(void*) == 8,
              "the declarations above are for LP64; build with TensorFlow Lite Micro's own headers");
static_assert(offsetof(tflite::micro::TfLiteNode, user_data) == 24, "");
static_assert(sizeof(tflite::micro::TfLiteEvalTensor) == 24, "");
static_assert(sizeof(tflite::micro::TFLMRegistration) == 56, "");

using tflite::micro::TFLMRegistration;

namespace fmtc {

using tflite::micro::kTfLiteError;
using tflite::micro::kTfLiteFloat32;
using tflite::micro::kTfLiteInt32;
using tflite::micro::kTfLiteInt64;
using tflite::micro::kTfLiteInt8;
using tflite::micro::kTfLiteOk;
using tflite::micro::kTfLiteUInt8;
using tflite::micro::TfLiteContext;
using tflite::micro::TfLiteEvalTensor;
using tflite::micro::TfLiteNode;
using tflite::micro::TfLiteStatus;

namespace tflm {

inline void* AllocatePersistent(TfLiteContext* context, size_t bytes) {
  return tflite::micro::MicroContextAllocatePersistentBuffer(context, bytes);
}
inline TfLiteStatus RequestScratch(TfLiteContext* context, size_t bytes, int* index) {
  return tflite::micro::MicroContextRequestScratchBufferInArena(context, bytes, index);
}
inline void* Scratch(TfLiteContext* context, int index) {
  return tflite::micro::MicroContextGetScratchBuffer(context, index);
}

}  // namespace tflm
}  // namespace fmtc

#endif  // FMTC_TFLM_INCLUDE_DIR

namespace fmtc {
namespace tflm {

using tflite::micro::GetEvalInput;
using tflite::micro::GetEvalOutput;

// Bytes of a tensor's values; 0 for types that the ops do not have.
inline size_t Bytes(const TfLiteEvalTensor& tensor) {
  size_t bytes = 0;
  switch (tensor.type) {
    case kTfLiteInt8:
    case kTfLiteUInt8:
      bytes = 1;
      break;
    case kTfLiteFloat32:
    case kTfLiteInt32:
      bytes = 4;
      break;
    case kTfLiteInt64:
      bytes = 8;
      break;
    default:
      return 0;
  }
  for (int i = 0; i < tensor.dims->size; ++i) bytes *= static_cast<size_t>(tensor.dims->data[i]);
  return bytes;
}

constexpr int32_t kCustomCode = 32;  // BuiltinOperator_CUSTOM

}  // namespace tflm
}  // namespace fmtc

#endif  // FMTC_MICRO_TFLM_ABI_H_
