// The part of TensorFlow Lite's C ABI that a delegate touches.
//
// No package ships TFLite's headers, so this file declares the structs itself, and a static_assert pins every offset.
// The layout (64-bit) is that of tflite-runtime 2.14, TensorFlow 2.21 and ai-edge-litert 2.3. A build that has
// TFLite's own headers defines FMTC_TFLITE_INCLUDE_DIR, and they are used instead.
#ifndef FMTC_TFLITE_TFLITE_ABI_H_
#define FMTC_TFLITE_TFLITE_ABI_H_

#include <cstddef>
#include <cstdint>

#ifdef FMTC_TFLITE_INCLUDE_DIR

#include "tensorflow/lite/core/c/common.h"

#else

extern "C" {

struct TfLiteContext;
struct TfLiteDelegate;
struct TfLiteNode;
struct TfLiteRegistration;

enum TfLiteStatus : int { kTfLiteOk = 0, kTfLiteError = 1, kTfLiteDelegateError = 2 };

// A runtime knows more of them, which a tensor may have.
enum TfLiteType : int {
  kTfLiteNoType = 0,
  kTfLiteFloat32 = 1,
  kTfLiteInt32 = 2,
  kTfLiteUInt8 = 3,
  kTfLiteInt64 = 4,
  kTfLiteInt16 = 7,
  kTfLiteInt8 = 9,
};

enum TfLiteAllocationType : int {
  kTfLiteMemNone = 0,
  kTfLiteMmapRo = 1,
  kTfLiteArenaRw = 2,
  kTfLiteArenaRwPersistent = 3,
  kTfLiteDynamic = 4,
  kTfLitePersistentRo = 5,
  kTfLiteCustom = 6,
};

enum TfLiteDelegateFlags { kTfLiteDelegateFlagsNone = 0, kTfLiteDelegateFlagsAllowDynamicTensors = 1 };

// The runtime frees these arrays with free().
struct TfLiteIntArray {
  int size;
  int data[];
};

union TfLitePtrUnion {
  void* data;
  char* raw;
  uint8_t* uint8;
  int8_t* int8;
};

struct TfLiteQuantizationParams {
  float scale;
  int32_t zero_point;
};

struct TfLiteQuantization {
  int32_t type;
  void* params;
};

struct TfLiteTensor {
  TfLiteType type;
  TfLitePtrUnion data;
  TfLiteIntArray* dims;
  TfLiteQuantizationParams params;
  TfLiteAllocationType allocation_type;
  size_t bytes;
  const void* allocation;
  const char* name;
  TfLiteDelegate* delegate;
  int32_t buffer_handle;
  bool data_is_stale;
  bool is_variable;
  TfLiteQuantization quantization;
  void* sparsity;
  const TfLiteIntArray* dims_signature;
};

struct TfLiteNode {
  TfLiteIntArray* inputs;
  TfLiteIntArray* outputs;
  TfLiteIntArray* intermediates;
  TfLiteIntArray* temporaries;
  void* user_data;
  void* builtin_data;
  const void* custom_initial_data;
  int custom_initial_data_size;
  TfLiteDelegate* delegate;
  bool might_have_side_effect;
};

struct TfLiteRegistration {
  void* (*init)(TfLiteContext* context, const char* buffer, size_t length);
  void (*free)(TfLiteContext* context, void* buffer);
  TfLiteStatus (*prepare)(TfLiteContext* context, TfLiteNode* node);
  TfLiteStatus (*invoke)(TfLiteContext* context, TfLiteNode* node);
  const char* (*profiling_string)(const TfLiteContext* context, const TfLiteNode* node);
  int32_t builtin_code;
  const char* custom_name;
  int version;
  void* registration_external;
  void* async_kernel;
  uint64_t inplace_operator;
  // A runtime copies a registration that it gets. One newer than this layout finds zeros behind it.
  uint64_t spare[8];
};

struct TfLiteContext {
  size_t tensors_size;
  TfLiteStatus (*GetExecutionPlan)(TfLiteContext* context, TfLiteIntArray** execution_plan);
  TfLiteTensor* tensors;
  void* impl_;
  // Takes ownership of new_size, also when it fails.
  TfLiteStatus (*ResizeTensor)(TfLiteContext* context, TfLiteTensor* tensor, TfLiteIntArray* new_size);
  void (*ReportError)(TfLiteContext* context, const char* message, ...);
  // May move context->tensors.
  TfLiteStatus (*AddTensors)(TfLiteContext* context, int count, int* first_new_tensor);
  TfLiteStatus (*GetNodeAndRegistration)(TfLiteContext* context, int node_index, TfLiteNode** node,
                                         TfLiteRegistration** registration);
  void* ReplaceNodeSubsetsWithDelegateKernels;
  int recommended_num_threads;  // -1 if nothing was asked for
  // The runtime's struct goes on; nothing behind this is used.
};

struct TfLiteDelegate {
  void* data_;
  TfLiteStatus (*Prepare)(TfLiteContext* context, TfLiteDelegate* delegate);
  void* CopyFromBufferHandle;
  void* CopyToBufferHandle;
  void* FreeBufferHandle;
  int64_t flags;
  void* opaque_delegate_builder;
  uint64_t spare[8];  // as in TfLiteRegistration
};

}  // extern "C"

static_assert(sizeof(void*) == 8 && sizeof(int) == 4 && sizeof(bool) == 1,
              "the declarations above are for LP64; build with TFLite's own headers instead");
static_assert(sizeof(TfLiteStatus) == 4 && sizeof(TfLiteType) == 4 && sizeof(TfLiteAllocationType) == 4, "");

#define FMTC_FIELD(type, field, offset, bytes) \
  static_assert(offsetof(type, field) == (offset) && sizeof(type::field) == (bytes), #type "::" #field)

FMTC_FIELD(TfLiteContext, tensors_size, 0, 8);
FMTC_FIELD(TfLiteContext, GetExecutionPlan, 8, 8);
FMTC_FIELD(TfLiteContext, tensors, 16, 8);
FMTC_FIELD(TfLiteContext, impl_, 24, 8);
FMTC_FIELD(TfLiteContext, ResizeTensor, 32, 8);
FMTC_FIELD(TfLiteContext, ReportError, 40, 8);
FMTC_FIELD(TfLiteContext, AddTensors, 48, 8);
FMTC_FIELD(TfLiteContext, GetNodeAndRegistration, 56, 8);
FMTC_FIELD(TfLiteContext, ReplaceNodeSubsetsWithDelegateKernels, 64, 8);
FMTC_FIELD(TfLiteContext, recommended_num_threads, 72, 4);

FMTC_FIELD(TfLiteTensor, type, 0, 4);
FMTC_FIELD(TfLiteTensor, data, 8, 8);
FMTC_FIELD(TfLiteTensor, dims, 16, 8);
FMTC_FIELD(TfLiteTensor, params, 24, 8);
FMTC_FIELD(TfLiteTensor, allocation_type, 32, 4);
FMTC_FIELD(TfLiteTensor, bytes, 40, 8);
FMTC_FIELD(TfLiteTensor, allocation, 48, 8);
FMTC_FIELD(TfLiteTensor, name, 56, 8);
FMTC_FIELD(TfLiteTensor, delegate, 64, 8);
FMTC_FIELD(TfLiteTensor, buffer_handle, 72, 4);
FMTC_FIELD(TfLiteTensor, data_is_stale, 76, 1);
FMTC_FIELD(TfLiteTensor, is_variable, 77, 1);
FMTC_FIELD(TfLiteTensor, quantization, 80, 16);
FMTC_FIELD(TfLiteTensor, sparsity, 96, 8);
FMTC_FIELD(TfLiteTensor, dims_signature, 104, 8);
static_assert(sizeof(TfLiteTensor) == 112, "tensors are elements of an array");

FMTC_FIELD(TfLiteNode, inputs, 0, 8);
FMTC_FIELD(TfLiteNode, outputs, 8, 8);
FMTC_FIELD(TfLiteNode, intermediates, 16, 8);
FMTC_FIELD(TfLiteNode, temporaries, 24, 8);
FMTC_FIELD(TfLiteNode, user_data, 32, 8);
FMTC_FIELD(TfLiteNode, builtin_data, 40, 8);
FMTC_FIELD(TfLiteNode, custom_initial_data, 48, 8);
FMTC_FIELD(TfLiteNode, custom_initial_data_size, 56, 4);
FMTC_FIELD(TfLiteNode, delegate, 64, 8);
FMTC_FIELD(TfLiteNode, might_have_side_effect, 72, 1);
static_assert(sizeof(TfLiteNode) == 80, "");

FMTC_FIELD(TfLiteRegistration, init, 0, 8);
FMTC_FIELD(TfLiteRegistration, free, 8, 8);
FMTC_FIELD(TfLiteRegistration, prepare, 16, 8);
FMTC_FIELD(TfLiteRegistration, invoke, 24, 8);
FMTC_FIELD(TfLiteRegistration, profiling_string, 32, 8);
FMTC_FIELD(TfLiteRegistration, builtin_code, 40, 4);
FMTC_FIELD(TfLiteRegistration, custom_name, 48, 8);
FMTC_FIELD(TfLiteRegistration, version, 56, 4);
FMTC_FIELD(TfLiteRegistration, registration_external, 64, 8);
FMTC_FIELD(TfLiteRegistration, async_kernel, 72, 8);
FMTC_FIELD(TfLiteRegistration, inplace_operator, 80, 8);
FMTC_FIELD(TfLiteRegistration, spare, 88, 64);

FMTC_FIELD(TfLiteDelegate, data_, 0, 8);
FMTC_FIELD(TfLiteDelegate, Prepare, 8, 8);
FMTC_FIELD(TfLiteDelegate, CopyFromBufferHandle, 16, 8);
FMTC_FIELD(TfLiteDelegate, CopyToBufferHandle, 24, 8);
FMTC_FIELD(TfLiteDelegate, FreeBufferHandle, 32, 8);
FMTC_FIELD(TfLiteDelegate, flags, 40, 8);
FMTC_FIELD(TfLiteDelegate, opaque_delegate_builder, 48, 8);
FMTC_FIELD(TfLiteDelegate, spare, 56, 64);

#undef FMTC_FIELD

#endif  // FMTC_TFLITE_INCLUDE_DIR

namespace fmtc {

// From tensorflow/lite/builtin_ops.h.
constexpr int32_t kBuiltinCodeCustom = 32;

}  // namespace fmtc

#endif  // FMTC_TFLITE_TFLITE_ABI_H_
