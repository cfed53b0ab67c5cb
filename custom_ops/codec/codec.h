// Encoder and decoder of one feature map. The bitstream is specified in ../FORMAT.md.
//
// Use: CodecMemorySize -> InitCodec (once, builds the tables) -> PlanMap (once per shape) -> Encode / Decode (per
// inference). All memory is the caller's: the functions tell sizes, check capacities, and allocate nothing. A Codec
// and a MapPlan are read-only after they are made and can be shared by threads; a workspace cannot.
#ifndef FMTC_CODEC_CODEC_H_
#define FMTC_CODEC_CODEC_H_

#include <cstddef>
#include <cstdint>

#include "base/rounding.h"
#include "base/status.h"
#include "base/workers.h"
#include "codec/kernels.h"
#include "codec/quantizer.h"
#include "codec/side_info.h"
#include "codec/tables.h"
#include "simd/packed_matrix.h"

namespace fmtc {

// Side information plus what is derived from it. Points into the side information and into the memory given to
// InitCodec; both must outlive it.
struct Codec {
  SideInfo side_info;
  const ClassTables* tables;      // [side_info.num_tables()]
  const uint8_t* context_tables;  // [kMaxClasses][kContextStride] table of a class in a context; null without contexts
  // Where each component's plane is in segment order (by class, then ascending), [num_components].
  const uint32_t* place;
  // Class j has the places class_begin[j] .. class_begin[j + 1].
  uint32_t class_begin[kMaxClasses + 1];
  bool has_prediction;               // any component has a predictor
  bool has_unit_steps;               // no analysis matrix, and step 1 everywhere
  StepTables steps;                  // at level 0; null if only centres are added there
  PackedMatrix analysis, synthesis;  // if the side information has them
  Requantization requantization;     // of a convolution; its arrays are filled up to whole groups of outputs
  // PlainKernels() after InitCodec; others give the same results faster (codec/kernels/dispatch.h).
  const Kernels* kernels;
};

// Geometry of a map (FORMAT.md section 3). All sizes have been checked against overflow.
struct MapPlan {
  uint32_t batch, height, width;
  uint32_t row_values;  // width * components
  uint32_t segments_per_item;
  uint32_t groups_per_item;
  uint32_t max_segment_rows;
  uint32_t stride_height, stride_width;  // DECODE writes every stride-th row and column; 1 after PlanMap
  size_t encoder_input_bytes;            // batch * height * width * input channels of ENCODE
  size_t decoder_output_bytes;           // batch * output height * output width * output channels of DECODE
  size_t item_capacity;                  // bytes per batch item that always suffice without levels
};

enum class ElementType { kInt8, kUInt8 };

struct View;  // codec/view.h

// Checks the header of side information and tells how many bytes InitCodec needs. `memory` must be 64-byte aligned.
Status CodecMemorySize(const uint8_t* side_info, size_t side_info_bytes, size_t* memory_bytes);

// Checks side information completely (checksum, tables, accumulator bounds) and builds the tables in `memory`.
Status InitCodec(const uint8_t* side_info, size_t side_info_bytes, void* memory, size_t memory_bytes, Codec* codec);

// Geometry for a map of this shape. Fails with kInvalidArgument on a dimension < 0 (batch) or < 1 (others) and on
// sizes that do not fit 32 bits in the coded tensor or size_t in memory.
Status PlanMap(const Codec& codec, int64_t batch, int64_t height, int64_t width, MapPlan* plan);

// Makes DECODE write the pixels at multiples of the stride only, from pixel (0, 0) on, as a pointwise convolution with
// that stride reads them. Fails with kInvalidArgument on a stride < 1.
Status SetDecoderStride(const Codec& codec, int64_t stride_height, int64_t stride_width, MapPlan* plan);

// For so many workers.
size_t EncodeWorkspaceSize(const Codec& codec, const MapPlan& plan, uint32_t workers = 1);
size_t DecodeWorkspaceSize(const Codec& codec, const MapPlan& plan, uint32_t workers = 1, const View* view = nullptr);

// Encodes `input` (plan.encoder_input_bytes bytes, NHWC) into at most `capacity` bytes; *payload_bytes gets the coded
// length. Without levels, capacity must be at least plan.batch * plan.item_capacity. `workspace` needs no alignment.
// The workers do not change what comes out. Never writes outside [output, output + capacity) and the workspace; never
// reads outside the input.
Status Encode(const Codec& codec, const MapPlan& plan, ElementType type, const uint8_t* input, size_t input_bytes,
              uint8_t* output, size_t capacity, size_t* payload_bytes, uint8_t* workspace, size_t workspace_bytes,
              const Workers& workers = {});

// Decodes `input` (a coded tensor; bytes behind its payload are ignored) into `output`, which has exactly
// plan.decoder_output_bytes bytes, or with a view plan.batch times ViewItemBytes (codec/view.h). Safe for any input
// bytes: never reads or writes out of bounds. On failure the output is unspecified.
Status Decode(const Codec& codec, const MapPlan& plan, ElementType type, const uint8_t* input, size_t input_bytes,
              uint8_t* output, size_t output_bytes, uint8_t* workspace, size_t workspace_bytes,
              const Workers& workers = {}, const View* view = nullptr);

}  // namespace fmtc

#endif  // FMTC_CODEC_CODEC_H_
