// Options of FMTC_ENCODE and FMTC_DECODE: a flexbuffer map of scalars, readable in a model viewer.
#ifndef FMTC_TFLITE_OP_OPTIONS_H_
#define FMTC_TFLITE_OP_OPTIONS_H_

#include <cstddef>
#include <cstdint>

#include "codec/codec.h"
#include "codec/view.h"

namespace fmtc {

// The feature map that an op encodes or decodes.
struct OpOptions {
  int32_t format_version;
  int32_t height;  // of the coded map
  int32_t width;
  int32_t channels;       // of the decoded map
  int32_t stride_height;  // DECODE writes every stride-th row and column; 1 where the options do not say
  int32_t stride_width;
  ElementType type;
  bool has_view;  // DECODE writes something else that the map says, below
  View view;      // without its table; fits a map of these sizes or not
  ElementType view_type;
  int32_t view_shape[kViewAxes];  // of the output: as many values as the view
  char tensor[128];               // its name: printable ASCII (other bytes become '?'), cut to fit
};

// Reads `data` and returns null, or what is wrong with it in a few words. Never reads outside [data, data + bytes),
// whatever the bytes. With a format_version above kFormatVersion only `format_version` and `tensor` are set.
const char* ParseOpOptions(const void* data, size_t bytes, OpOptions* options);

// Copies a name for a message of one line: printable ASCII only, cut to `capacity` - 1 bytes, terminated.
void CopyPrintable(const char* name, size_t bytes, char* out, size_t capacity);

}  // namespace fmtc

#endif  // FMTC_TFLITE_OP_OPTIONS_H_
