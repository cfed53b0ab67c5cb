// Rows of a map that is coded, pushed one after the other.
#ifndef FMTC_CODEC_ROW_WRITER_H_
#define FMTC_CODEC_ROW_WRITER_H_

#include <cstddef>
#include <cstdint>

#include "base/layout.h"
#include "codec/analysis.h"
#include "codec/codec.h"
#include "codec/contexts.h"
#include "codec/geometry.h"
#include "codec/kernels.h"

namespace fmtc {

// A map that is being coded, at one level. Points to what it is made of.
struct MapToCode {
  const Codec* codec;
  const MapPlan* plan;
  ElementType type;
  uint32_t level;  // below the constant level, if there are levels
  uint8_t* coded;
  size_t capacity;  // at least that of the header and the table of segment lengths
};

// Bytes of a row of ENCODE's input.
inline size_t InputRowBytes(const Codec& codec, const MapPlan& plan) {
  return size_t{plan.width} * codec.side_info.EncoderChannels();
}

// Where segments begin if no others come before them.
inline size_t FirstSegmentAt(const MapPlan& plan) { return kCodedHeaderBytes + SegmentTableBytes(plan); }

// Takes the rows of groups that follow one another (FORMAT.md section 3), in order, in a workspace of two segments.
class RowWriter {
 public:
  static size_t WorkspaceSize(const Codec& codec, const MapPlan& plan);

  // Groups first ... end - 1, counted over all batch items. Segments go behind one another into coded[at .. room_end),
  // their lengths into the table. What the map points to and `workspace`, of WorkspaceSize bytes and any alignment,
  // must outlive the writer.
  RowWriter(const MapToCode& map, uint32_t first, uint32_t end, size_t at, size_t room_end, uint8_t* workspace,
            RowsInOrder input = {});

  // InputRowBytes of the next row. False if a segment does not fit, or there are rows enough; what is coded from then
  // on does not matter. With as much room as PlanMap says that always suffices, everything fits.
  bool Write(const uint8_t* row);

  // Where the segments end.
  size_t at() const { return at_; }

 private:
  struct Memory {
    uint8_t* residuals;        // one segment, in segment order
    uint8_t* rows;             // residuals of the segment, then its tokens
    uint8_t* indices[2];       // of a row and the row above it
    ContextMemory contexts;    // this and the next two with contexts only
    uint8_t* context_rows[2];  // residuals of a row and the row above it
    uint32_t* lengths;         // of the segment's runs
    Analysis analysis;
  };

  static void LayOut(const Codec& codec, const MapPlan& plan, Layout* layout, Memory* memory);
  void PredictValues(bool is_first, const uint8_t* row, uint8_t* residuals);
  void PredictIndices(bool is_first, const uint8_t* row, uint8_t* residuals);
  void PredictRow(bool is_first, const uint8_t* row, uint8_t* residuals);
  void SortRow(bool is_first);
  size_t EncodeRows();
  bool FinishSegment();

  const Codec& codec_;
  const MapPlan& plan_;
  uint8_t* const coded_;
  const RowsInOrder input_;
  RedzoneScope redzones_;
  Memory memory_;
  RowShape shape_;
  ContextRow context_row_;
  bool predicts_values_;
  SegmentWalk walk_;
  uint32_t row_ = 0;  // in the walk's segment
  uint32_t segment_rows_;
  uint8_t* entry_;  // of the table
  size_t at_, room_end_;
};

// Makes coded[0 .. payload_bytes), in which all segments and their lengths are, a coded map.
void FinishCodedMap(const MapToCode& map, size_t payload_bytes);

}  // namespace fmtc

#endif  // FMTC_CODEC_ROW_WRITER_H_
