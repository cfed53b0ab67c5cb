// What the ops do with the runtime's nodes and tensors.
#ifndef FMTC_TFLITE_NODE_H_
#define FMTC_TFLITE_NODE_H_

#include <cstddef>

#include "tflite/tflite_abi.h"

namespace fmtc {

bool IsTensorIndex(const TfLiteContext* context, int index);

// Where nothing may be written: the runtime keeps a constant where the model is, which may be mapped from a file.
bool IsReadOnly(const TfLiteTensor& tensor);

// Whether their data shares memory.
bool Overlap(const TfLiteTensor& a, const TfLiteTensor& b);

// "[1,224,224,3]"
void PrintDims(const TfLiteIntArray* dims, char* out, size_t capacity);

const char* TypeName(TfLiteType type);

// Gives a tensor these dimensions. False when out of memory or the runtime refuses.
bool ResizeTensor(TfLiteContext* context, int tensor, int rank, const int* dims);

// Makes an arena tensor of `bytes` bytes the node's one temporary; *tensor is its index, -1 before the first time.
// False when out of memory or the runtime refuses.
bool RequestTemporary(TfLiteContext* context, TfLiteNode* node, size_t bytes, int* tensor);

}  // namespace fmtc

#endif  // FMTC_TFLITE_NODE_H_
