// The loops that exist in versions for different processors, as a table of functions. All versions compute the same to
// the last bit; those in plain C++ are part of the codec and define what that is.
//
// Where a caller lets buffers overlap, values and component codes may change under a kernel. What it computes does not
// matter then, but it never uses such a byte as an index that the table behind it does not have.
#ifndef FMTC_CODEC_KERNELS_H_
#define FMTC_CODEC_KERNELS_H_

#include <cstddef>
#include <cstdint>

#include "base/features.h"
#include "codec/bit_streams.h"
#include "codec/tables.h"

namespace fmtc {

constexpr size_t kLanes = 64;
// Segments that are decoded together at most, so that their chains of dependent operations overlap.
constexpr size_t kMaxSegmentsTogether = kHasInterleaving ? 4 : 1;
// Bytes behind the values, tokens and rows given to kernels that may be read, and written with what they hold or with
// what does not matter.
constexpr size_t kValueSlack = 64;

// Lanes of a segment that is being decoded.
struct LaneDecoder {
  uint8_t states[kLanes];
  BitReader tokens;
  BitReader raw;
  uint8_t* values;  // of the run
};

// A run of one class in a segment. The values of its last step, 64 of them, cost no token bits if `ends_segment`.
struct RunShape {
  size_t length;
  bool ends_segment;

  size_t PartialStep() const { return length % kLanes; }
  size_t FreeLanes() const { return ends_segment && length >= kLanes ? kLanes : 0; }
  // Whole steps that read tokens.
  size_t WholeSteps() const { return (length - FreeLanes()) / kLanes; }
};

// Lanes of a segment that is being encoded.
struct LaneEncoder {
  uint8_t states[kLanes];  // 64 + p
  TokenWriter writer;
};

// `components` bytes a pixel; `plane_bytes` pixels.
struct PlaneShape {
  uint32_t components;
  size_t plane_bytes;
};

// A row of the map: NHWC, `width` pixels of `components` bytes. Where bytes stand for indices, they are those plus
// `offset`, which can be other than 0 for kernels that predict values.
struct RowShape {
  uint32_t width;
  uint32_t components;
  uint8_t offset;
};

// A row of residuals of which each has a table by its context: see contexts.h. Codes beyond the row are readable, too.
struct ContextRow {
  size_t values;
  uint32_t components;
  const uint8_t* codes;  // [values + kValueSlack] component codes, pixel by pixel
  const uint8_t* map;    // [kMaxClasses][kContextStride] tables by class and context
  uint32_t num_classes, num_tables;
};

struct Analysis;   // analysis.h
struct Synthesis;  // synthesis.h

// Filled by name, since some entries have the same type.
struct Kernels {
  // A row of the map to indices and back, see AnalyzeRow and SynthesizeRow.
  void (*analyze_row)(const Analysis& analysis, uint32_t width, const uint8_t* row, uint8_t* indices);
  void (*synthesize_row)(const Synthesis& synthesis, uint32_t width, const uint8_t* indices, uint8_t* row);

  // Decodes a run of 1 ... kMaxSegmentsTogether segments.
  void (*decode_run)(const DecodeTable& table, RunShape run, LaneDecoder* const* segments, size_t count);

  // Splits values into tokens and raw bits. kValueSlack bytes behind the tokens may be overwritten.
  void (*split_run)(const ClassTables& tables, const uint8_t* values, size_t n, uint8_t* tokens, RawWriter* raw);

  // Codes tokens that the class has, from the last to the first. The writer may write over tokens once they are coded:
  // a token takes less than a byte.
  void (*encode_run)(const ClassTables& tables, const uint8_t* tokens, size_t n, LaneEncoder* encoder);

  // Between one plane a component and components interleaved; component j is plane place[j]. kValueSlack bytes must
  // follow the planes and the pixels; behind the pixels they may be overwritten.
  void (*planes_to_pixels)(PlaneShape shape, const uint32_t* place, const uint8_t* planes, uint8_t* pixels);
  void (*pixels_to_planes)(PlaneShape shape, const uint32_t* place, const uint8_t* pixels, uint8_t* planes);

  // From a row of indices to residuals and back, in another place. `codes` are the component codes of the side
  // information; `above` is the row above in indices, null in the first row of a group. kValueSlack bytes must follow
  // each row; behind the row that is written they may be overwritten.
  void (*residuals_of_row)(RowShape shape, const uint8_t* codes, const uint8_t* above, const uint8_t* indices,
                           uint8_t* residuals);
  void (*indices_of_row)(RowShape shape, const uint8_t* codes, const uint8_t* above, const uint8_t* residuals,
                         uint8_t* indices);

  // The tables of a row's residuals from those of the row above, which is null in the first row of a group; and how
  // many residuals have each of kMaxClasses tables. Scratch memory is magnitudes[values + 2 * components +
  // kValueSlack]. kValueSlack bytes must follow both rows, and are for the next two functions to read.
  void (*tables_of_row)(const ContextRow& row, const uint8_t* above, uint8_t* magnitudes, uint8_t* tables,
                        uint32_t* counts);
  // From a row of residuals to one that is sorted by table, and back. kValueSlack bytes must follow each row; behind
  // the row that is written they may be overwritten.
  void (*sort_row)(const ContextRow& row, const uint8_t* tables, const uint32_t* counts, const uint8_t* values,
                   uint8_t* sorted);
  void (*unsort_row)(const ContextRow& row, const uint8_t* tables, const uint32_t* counts, const uint8_t* sorted,
                     uint8_t* values);

  uint32_t (*extend_crc32c)(uint32_t crc, const uint8_t* data, size_t bytes);

  // Rows of indices may have an offset, so that values of the map, which differ from their indices by no more than
  // that in a lossless map, need not become indices first.
  bool predicts_values;
};

// Plain C++.
const Kernels& PlainKernels();

}  // namespace fmtc

#endif  // FMTC_CODEC_KERNELS_H_
