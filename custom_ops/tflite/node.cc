#include "tflite/node.h"

#include <climits>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/bytes.h"

namespace fmtc {
namespace {

// A dims array as TFLite wants it: it frees the memory with free().
TfLiteIntArray* NewIntArray(int size, const int* values) {
  const size_t values_bytes = static_cast<size_t>(size) * sizeof(int);
  auto* array = static_cast<TfLiteIntArray*>(std::malloc(sizeof(int) + values_bytes));
  if (array == nullptr) return nullptr;
  array->size = size;
  std::memcpy(array->data, values, values_bytes);
  return array;
}

}  // namespace

bool IsTensorIndex(const TfLiteContext* context, int index) {
  return index >= 0 && static_cast<size_t>(index) < context->tensors_size;
}

bool IsReadOnly(const TfLiteTensor& tensor) {
  return tensor.allocation_type == kTfLiteMmapRo || tensor.allocation_type == kTfLitePersistentRo;
}

bool Overlap(const TfLiteTensor& a, const TfLiteTensor& b) {
  return Overlap(a.data.data, a.bytes, b.data.data, b.bytes);
}

void PrintDims(const TfLiteIntArray* dims, char* out, size_t capacity) {
  size_t used = static_cast<size_t>(std::snprintf(out, capacity, "["));
  for (int i = 0; dims != nullptr && i < dims->size && used + 1 < capacity; ++i) {
    used += static_cast<size_t>(std::snprintf(out + used, capacity - used, i > 0 ? ",%d" : "%d", dims->data[i]));
  }
  if (used + 1 < capacity) std::snprintf(out + used, capacity - used, "]");
}

const char* TypeName(TfLiteType type) {
  switch (type) {
    case kTfLiteFloat32:
      return "float32";
    case kTfLiteInt32:
      return "int32";
    case kTfLiteUInt8:
      return "uint8";
    case kTfLiteInt64:
      return "int64";
    case kTfLiteInt16:
      return "int16";
    case kTfLiteInt8:
      return "int8";
    default:
      return "another type";
  }
}

bool ResizeTensor(TfLiteContext* context, int tensor, int rank, const int* dims) {
  TfLiteIntArray* size = NewIntArray(rank, dims);
  return size != nullptr && context->ResizeTensor(context, &context->tensors[tensor], size) == kTfLiteOk;
}

bool RequestTemporary(TfLiteContext* context, TfLiteNode* node, size_t bytes, int* tensor) {
  if (bytes > INT_MAX) return false;
  if (*tensor < 0 && context->AddTensors(context, 1, tensor) != kTfLiteOk) {
    *tensor = -1;
    return false;
  }
  TfLiteIntArray* temporaries = NewIntArray(1, tensor);
  if (temporaries == nullptr) return false;
  std::free(node->temporaries);
  node->temporaries = temporaries;
  context->tensors[*tensor].type = kTfLiteUInt8;
  context->tensors[*tensor].allocation_type = kTfLiteArenaRw;
  const int dims[1] = {static_cast<int>(bytes)};
  return ResizeTensor(context, *tensor, 1, dims);
}

}  // namespace fmtc
