// Rows of a coded map, pulled one after the other.
#ifndef FMTC_CODEC_ROW_READER_H_
#define FMTC_CODEC_ROW_READER_H_

#include <cstddef>
#include <cstdint>

#include "base/layout.h"
#include "codec/codec.h"
#include "codec/contexts.h"
#include "codec/entropy.h"
#include "codec/geometry.h"
#include "codec/kernels.h"
#include "codec/synthesis.h"

namespace fmtc {

// A coded map whose header has been checked. Points to what it was made of.
struct CodedMap {
  const Codec* codec;
  const MapPlan* plan;
  ElementType type;
  uint32_t level;
  const uint8_t* payload;
  size_t payload_bytes;
  bool is_constant;  // there are no segments, and every index is 0
};

// Checks all of a coded map but its segments; the plan's batch is at least 1.
Status OpenCodedMap(const Codec& codec, const MapPlan& plan, ElementType type, const uint8_t* input, size_t input_bytes,
                    CodedMap* map);

// Bytes of a row of DECODE's output.
inline size_t OutputRowBytes(const Codec& codec, const MapPlan& plan) {
  return size_t{OutputWidth(plan)} * codec.side_info.channels;
}

// What is left of a payload. Lengths are checked as they are taken, and nothing that was checked is read again: the
// output may be the same memory.
struct PayloadReader {
  const uint8_t* entry;    // of the table of segment lengths
  const uint8_t* segment;  // the one that the entry is for
  const uint8_t* end;

  // The next segment, of 1 to `most` bytes; false if it is none, from then on.
  bool Take(size_t most, CodedSegment* taken);
};

// Hands out the rows of groups that follow one another (FORMAT.md section 3), in order, from a workspace of a few
// segments. Reads the payload as it goes, and survives that somebody changes it meanwhile.
class RowReader {
 public:
  static size_t WorkspaceSize(const Codec& codec, const MapPlan& plan);

  // Groups first ... end - 1, counted over all batch items. What the map points to and `workspace`, of WorkspaceSize
  // bytes and any alignment, must outlive the reader.
  RowReader(const CodedMap& map, uint32_t first, uint32_t end, uint8_t* workspace, RowsInOrder output = {});

  // Writes the next row that the plan's stride keeps, OutputRowBytes of it; each batch item has OutputHeight(plan) of
  // them. False if the coded map is damaged, or has no more rows; what comes from then on does not matter.
  bool Read(uint8_t* row);

  // Behind the last row: whether what follows, which rows need that are not kept, is whole, too, and nothing is left.
  bool Finish();

 private:
  struct Memory {
    uint8_t* residuals;   // of the batch, each segment in segment order
    uint8_t* rows;        // residuals of the segment that the walk is at, unless Residuals() are elsewhere
    uint8_t* indices[2];  // of a row and the row above it
    uint8_t* kept;        // pixels of a row that a stride keeps
    ContextMemory contexts;
    Synthesis synthesis;
  };

  // Segments of the same shape that follow one another.
  struct Batch {
    CodedSegment segments[kMaxSegmentsTogether];
    size_t count;
    size_t next;  // the first one whose rows are not there yet

    void Begin(size_t its_count) {
      if (!kHasInterleaving) return;
      count = its_count;
      next = 0;
    }
    size_t size() const { return kHasInterleaving ? count : 1; }
    bool is_used_up() const { return !kHasInterleaving || next == count; }
    const uint8_t* TakeResiduals() { return segments[kHasInterleaving ? next++ : 0].residuals; }
  };

  static void LayOut(const Codec& codec, const MapPlan& plan, Layout* layout, Memory* memory);
  bool TakeBatch();
  void MoveFromEnd();
  bool DecodeBatch(const uint8_t* above);
  const uint8_t* Residuals() const;
  bool OpenSegment();
  const uint8_t* PredictIndices();
  void PredictValues(uint8_t* row);
  void WriteRow(const uint8_t* indices, uint8_t* row);
  void Advance();

  const Codec& codec_;
  const MapPlan& plan_;
  const bool is_constant_;
  const RowsInOrder output_;
  RedzoneScope redzones_;
  Memory memory_;
  RowShape shape_;
  ContextRow context_row_;
  bool predicts_values_;
  SegmentWalk walk_;
  uint32_t row_ = 0;  // in the walk's segment, which has not been opened if it is 0
  uint32_t segment_rows_;
  PayloadReader payload_;
  const bool ends_map_;  // nothing may follow the last segment
  Batch batch_;
};

}  // namespace fmtc

#endif  // FMTC_CODEC_ROW_READER_H_
