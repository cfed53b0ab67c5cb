// ENCODE and DECODE: rows of a map become segments of the bitstream (FORMAT.md section 7), and rows again.
#include "region/coders.h"

#include <algorithm>
#include <cstring>

#include "base/bytes.h"
#include "codec/entropy.h"
#include "codec/geometry.h"
#include "region/coder_pixels.h"
#include "region/kind.h"
#include "region/segments.h"

namespace fmtc::region {
namespace {

// REGION.md section 6, so that what codecs take is bounded by a program's bytes.
constexpr uint32_t kMaxCodecs = 4096;
constexpr uint32_t kMaxComponents = 1u << 20;  // of all codecs
constexpr uint64_t kMaxSegmentValues = (uint64_t{1} << 28) - 1;

// Null unless the op's parameters and side information lie in the program.
const EncodeParameters* FindParameters(const Program& program, const OpRecord& op) {
  if (op.parameter_bytes != sizeof(EncodeParameters)) return nullptr;
  if (!program.Has(op.parameters_offset, sizeof(EncodeParameters), 1, 4)) return nullptr;
  const auto* p = program.At<EncodeParameters>(op.parameters_offset);
  return program.Has(p->side_info_offset, p->side_info_bytes, 1, kProgramAlignment) ? p : nullptr;
}

// What InitCodec takes; nothing for side information that is refused, or of more than so many components.
size_t CodecBytes(const Program& program, const OpRecord& op, uint32_t* components_left) {
  const EncodeParameters* p = FindParameters(program, op);
  if (p == nullptr) return 0;
  SideInfoSizes sizes;
  const uint8_t* info = program.bytes + p->side_info_offset;
  if (ReadSideInfoSizes(info, p->side_info_bytes, &sizes) != Status::kOk) return 0;
  if (sizes.has_analysis() || sizes.has_synthesis() || sizes.components > *components_left) return 0;
  size_t bytes = 0;
  if (CodecMemorySize(info, p->side_info_bytes, &bytes) != Status::kOk) return 0;
  *components_left -= sizes.components;
  return RoundUp(bytes, Layout::kAlignment);
}

// A quantizer of steps, and nothing that is stored beside segments: neither a level nor a checksum.
bool IsStorable(const SideInfo& info) {
  return !info.has_analysis && !info.has_synthesis && !info.has_checksum && info.max_level == 0 &&
         info.segment_rows == 0;
}

// Of the groups of columns that an ENCODE, which has been checked, makes; null: it makes one.
const uint16_t* GroupEnds(const OpView& encode) {
  const uint32_t offset = encode.parameters<EncodeParameters>().column_ends_offset;
  return offset == 0 ? nullptr : encode.program->At<uint16_t>(offset);
}

Segments SegmentsOf(const OpView& encode) { return {encode.input(0), encode.output(), GroupEnds(encode)}; }

// Of an ENCODE that has been checked.
bool HasContexts(const OpView& encode) {
  const auto& p = encode.parameters<EncodeParameters>();
  const uint8_t* const info = encode.program->bytes + p.side_info_offset;
  SideInfoSizes sizes;
  return ReadSideInfoSizes(info, p.side_info_bytes, &sizes) == Status::kOk && sizes.num_context_tables > 0;
}

// The op that writes what a DECODE, which has been checked and bound, reads.
OpView EncoderOf(const OpView& decode, const RowAccess& access) {
  return {decode.program, &decode.program->ops[access.StateOf(decode.input(0)).writer]};
}

// Segments are what ENCODE writes and DECODE reads.
Status CheckCoder(const OpView& op, const TensorRecord& map, const TensorRecord& coded) {
  if (!IsRuleOne(op)) return Status::kProgramUnsupported;
  return ValidIf(IsScratch8Bit(map) && IsScratch8Bit(coded) && coded.type == kUInt8 && coded.left == 0 &&
                 coded.right == 0 && coded.height <= map.height && coded.width <= map.width);
}

bool FitGroups(const Program& program, const EncodeParameters& p, const TensorRecord& map, uint32_t groups) {
  if (p.column_ends_offset == 0) return groups == 1;
  if (!program.Has(p.column_ends_offset, groups, sizeof(uint16_t), 2)) return false;
  const auto* ends = program.At<uint16_t>(p.column_ends_offset);
  uint32_t begin = 0;
  for (uint32_t i = 0; i < groups; begin = ends[i++]) {
    if (ends[i] <= begin) return false;
  }
  return begin == map.width;
}

Status CheckEncode(const OpView& op) {
  const TensorRecord& map = op.input(0);
  const TensorRecord& coded = op.output();
  const Status status = CheckCoder(op, map, coded);
  if (status != Status::kOk) return status;
  const EncodeParameters* p = FindParameters(*op.program, *op.op);
  if (p == nullptr || !AreZero(p->reserved) || !FitGroups(*op.program, *p, map, coded.width)) {
    return Status::kProgramInvalid;
  }
  const Segments segments = SegmentsOf(op);
  return ValidIf(segments.RowValues() <= kMaxSegmentValues && segments.MostValues() <= kMaxSegmentValues &&
                 coded.channels >= segments.MostValues() + kSlotHeaderBytes);
}

Status CheckDecode(const OpView& op) { return CheckCoder(op, op.output(), op.input(0)); }

Status BindEncode(const OpView& op, const State&, CodecBuilder* builder, OpFacts* facts) {
  const EncodeParameters* p = &op.parameters<EncodeParameters>();
  if (builder->codecs_left == 0) return Status::kProgramInvalid;
  const size_t bytes = CodecBytes(*op.program, *op.op, &builder->components_left);
  Codec* const codec = builder->codec;
  if (bytes == 0) return Status::kProgramUnsupported;
  const Status status =
      InitCodec(op.program->bytes + p->side_info_offset, p->side_info_bytes, builder->memory, bytes, codec);
  if (status != Status::kOk) return status;
  const SideInfo& info = codec->side_info;
  if (!IsStorable(info)) return Status::kProgramUnsupported;
  if (info.channels != op.input(0).channels) return Status::kProgramInvalid;
  if (op.op->memory_bytes < EncodeMemoryBytes(SegmentsOf(op), info.has_contexts())) return Status::kProgramInvalid;
  builder->memory += bytes;
  --builder->codecs_left;
  ++builder->codec;
  facts->codec = codec;
  return Status::kOk;
}

// Its map is that of the op that writes what it reads.
Status BindDecode(const OpView& op, const State& state, CodecBuilder*, OpFacts* facts) {
  const uint16_t writer = state.tensors[&op.input(0) - op.program->tensors].writer;
  if (state.ops[writer].codec == nullptr) return Status::kProgramInvalid;
  const OpView encode{op.program, &op.program->ops[writer]};
  if (encode.op->kind != kEncode || !HasShape(encode.input(0), op.output())) return Status::kProgramInvalid;
  const Codec* const codec = state.ops[writer].codec;
  const Segments segments = SegmentsOf(encode);
  const bool fits = segments.Rows(0) * segments.RowValues() <= kMaxSegmentValues &&
                    op.op->memory_bytes >= DecodeMemoryBytes(segments, codec->side_info.has_contexts());
  if (!fits) return Status::kProgramInvalid;
  facts->codec = codec;
  return Status::kOk;
}

Range EncodeRows(const OpView& op, int, int32_t step) {
  const Segments segments = SegmentsOf(op);
  const auto begin = static_cast<int32_t>(segments.Begin(static_cast<uint32_t>(step)));
  const auto rows = static_cast<int32_t>(segments.Rows(static_cast<uint32_t>(step)));
  return {std::max(begin - (HasContexts(op) ? 2 : 1), 0), begin + rows};
}

Range EncodeColumns(const OpView& op, int, Range groups) {
  const Segments segments = SegmentsOf(op);
  return {segments.Columns(static_cast<uint32_t>(groups.first)).first,
          segments.Columns(static_cast<uint32_t>(groups.end - 1)).end};
}

// Groups don't matter to it.
Range DecodeRows(const OpView& op, int, int32_t step) {
  const auto share = static_cast<int32_t>(Segments(op.output(), op.input(0), nullptr).Of(static_cast<uint32_t>(step)));
  return {share, share + 1};
}

size_t Width(Range columns) { return static_cast<size_t>(columns.end - columns.first); }

// Makes residuals of rows that follow one another, of a group's columns.
struct RowPredictor {
  const Codec& codec;
  RowShape shape;
  uint8_t* indices[2];  // of a row and the row above it

  // Of a row whose residuals nobody needs, the indices only; where its residuals would be may be overwritten.
  void Apply(Pixels<const uint8_t> pixels, int32_t y, bool is_needed, uint8_t* residuals) const {
    if (!codec.has_prediction) return AnalyzePixels(codec, pixels, indices[0], residuals);
    uint8_t* const row = indices[y % 2];
    AnalyzePixels(codec, pixels, residuals, row);
    if (!is_needed) return;
    const uint8_t* const above = y == 0 ? nullptr : indices[(y + 1) % 2];
    codec.kernels->residuals_of_row(shape, codec.side_info.component_codes, above, row, residuals);
  }
};

// A step of an ENCODE.
class Encoder {
 public:
  Encoder(const OpView& op, const RowAccess& access, int32_t step)
      : op_(op),
        access_(access),
        codec_(*access.FactsOf(op).codec),
        segments_(SegmentsOf(op)),
        has_contexts_(codec_.side_info.has_contexts()),
        memory_(access.OwnMemory(op), segments_, has_contexts_),
        step_(step),
        first_(static_cast<int32_t>(segments_.Begin(static_cast<uint32_t>(step)))),
        rows_(segments_.Rows(static_cast<uint32_t>(step))) {}

  void EncodeGroup(uint32_t group) const {
    const auto width = static_cast<uint32_t>(Width(segments_.Columns(group)));
    const size_t values = ReadGroup(group, width);
    uint8_t* const slot = access_.Write(op_.output(), step_, static_cast<int32_t>(group));
    Store(slot, static_cast<uint32_t>(WriteSegment(width, values, slot + kSlotHeaderBytes)));
  }

 private:
  // Residuals of a group's rows, one after another; with contexts each is sorted. How many values they are.
  size_t ReadGroup(uint32_t group, uint32_t width) const {
    const TensorRecord& map = op_.input(0);
    const SideInfo& info = codec_.side_info;
    const size_t row_values = size_t{width} * map.channels;
    const RowPredictor predictor{codec_, {width, map.channels, 0}, {memory_.planes, memory_.planes + row_values}};
    const ContextRow row = InitContexts(codec_, width, memory_.contexts);
    const int32_t needed = has_contexts_ ? std::max(first_ - 1, 0) : first_;
    const int32_t begin = codec_.has_prediction ? std::max(needed - 1, 0) : needed;
    const int32_t end = first_ + static_cast<int32_t>(rows_), column = segments_.Columns(group).first;
    size_t at = 0;
    for (int32_t y = begin; y < end; ++y) {
      uint8_t* const residuals = has_contexts_ ? memory_.rows[y % 2] : memory_.pixels + at;
      predictor.Apply({access_.Read(map, y, column), map.pixel_bytes, width}, y, y >= needed, residuals);
      if (y < first_) continue;
      if (has_contexts_) {
        uint32_t* const lengths = memory_.lengths + static_cast<uint32_t>(y - first_) * info.num_tables();
        SortByTable(codec_, row, memory_.contexts, y == 0 ? nullptr : memory_.rows[(y + 1) % 2], residuals,
                    memory_.pixels + at, lengths);
      }
      at += row_values;
    }
    return at;
  }

  // How long it is.
  size_t WriteSegment(uint32_t width, size_t values, uint8_t* out) const {
    const SideInfo& info = codec_.side_info;
    if (has_contexts_) {
      const SegmentRuns runs{&codec_, memory_.lengths, size_t{rows_} * info.num_tables(), values};
      return EncodeRuns(runs, memory_.pixels, memory_.planes, out, values);
    }
    const SegmentShape shape{&codec_, size_t{rows_} * width};
    codec_.kernels->pixels_to_planes({info.components, shape.plane_bytes}, codec_.place, memory_.pixels,
                                     memory_.planes);
    return EncodeSegment(shape, memory_.planes, memory_.pixels, out, values);
  }

  const OpView& op_;
  const RowAccess& access_;
  const Codec& codec_;
  const Segments segments_;
  const bool has_contexts_;
  const EncodeMemory memory_;
  const int32_t step_;
  const int32_t first_;
  const uint32_t rows_;
};

void RunEncode(const OpView& op, const RowAccess& access, const RowKernels&, int32_t step) {
  const Encoder encoder(op, access, step);
  const Range groups = access.Window(op);
  for (int32_t i = groups.first; i < groups.end; ++i) encoder.EncodeGroup(static_cast<uint32_t>(i));
}

// A step of a DECODE.
class Decoder {
 public:
  Decoder(const OpView& op, const RowAccess& access, const Segments& segments, int32_t step)
      : op_(op),
        access_(access),
        codec_(*access.FactsOf(op).codec),
        segments_(segments),
        has_contexts_(codec_.side_info.has_contexts()),
        memory_(access.OwnMemory(op), segments_, has_contexts_),
        step_(step),
        share_(segments_.Of(static_cast<uint32_t>(step))),
        row_(static_cast<uint32_t>(step) - segments_.Begin(share_)),
        rows_(segments_.Rows(share_)) {}

  // The columns of it that the step writes.
  void DecodeGroup(uint32_t group, Range columns) const {
    const auto channels = size_t{op_.output().channels};
    const size_t before = static_cast<size_t>(columns.first) * channels, row_values = Width(columns) * channels;
    const auto width = static_cast<uint32_t>(Width(columns));
    uint8_t* const pixels = memory_.pixels + rows_ * before;
    if (row_ == 0) DecodeShare(group, width, before, pixels);
    const uint8_t* row = pixels + row_ * row_values;
    if (codec_.has_prediction) {
      uint8_t* const last = memory_.last + before;
      const RowShape shape{width, op_.output().channels, 0};
      codec_.kernels->indices_of_row(shape, codec_.side_info.component_codes, step_ == 0 ? nullptr : last, row,
                                     memory_.planes);
      MoveBytes(last, memory_.planes, row_values);
      row = last;
    }
    const Range window = access_.Window(op_);
    const int32_t from = std::max(columns.first, window.first), to = std::min(columns.end, window.end);
    SynthesizePixels(codec_, row + static_cast<size_t>(from - columns.first) * channels, memory_.planes,
                     {access_.Write(op_.output(), step_, from), op_.output().pixel_bytes, Width({from, to})});
  }

 private:
  // The residuals of a group's columns; zeros if the segment is damaged, as the slots of a hostile program are.
  void DecodeShare(uint32_t group, uint32_t width, size_t before, uint8_t* pixels) const {
    uint8_t* const above = has_contexts_ ? memory_.above + before : nullptr;
    const uint8_t* const slot = access_.Read(op_.input(0), static_cast<int32_t>(share_), static_cast<int32_t>(group));
    const size_t row_values = size_t{width} * op_.output().channels;
    if (!ReadSegment(slot, width, step_ == 0 ? nullptr : above, pixels)) {
      *access_.damaged = true;
      memset(pixels, 0, rows_ * row_values);
    }
    if (has_contexts_) MoveBytes(above, pixels + (rows_ - 1) * row_values, row_values);
  }

  bool ReadSegment(const uint8_t* slot, uint32_t width, const uint8_t* above, uint8_t* pixels) const {
    const SegmentShape shape{&codec_, size_t{rows_} * width};
    const size_t bytes = LoadOnce<uint32_t>(slot);
    if (bytes < 1 || bytes > shape.num_values()) return false;
    uint8_t* const stored = has_contexts_ ? memory_.planes : pixels;
    MoveBytes(stored, slot + kSlotHeaderBytes, bytes);  // behind them the decoder reads
    memset(stored + bytes, 0, kReadSlack);
    if (has_contexts_) {
      const ContextRow row = InitContexts(codec_, width, memory_.contexts);
      return DecodeRows(codec_, row, memory_.contexts, above, rows_, {stored, bytes, pixels});
    }
    const CodedSegment segment{stored, bytes, memory_.planes};
    if (!DecodeSegments(shape, &segment, 1)) return false;
    codec_.kernels->planes_to_pixels({codec_.side_info.components, shape.plane_bytes}, codec_.place, memory_.planes,
                                     pixels);
    return true;
  }

  const OpView& op_;
  const RowAccess& access_;
  const Codec& codec_;
  const Segments& segments_;
  const bool has_contexts_;
  const DecodeMemory memory_;
  const int32_t step_;
  const uint32_t share_;
  const uint32_t row_;  // of the share
  const uint32_t rows_;
};

// In their order: what is written behind the pixels of one group is the next one's.
void RunDecode(const OpView& op, const RowAccess& access, const RowKernels&, int32_t step) {
  const Segments segments = SegmentsOf(EncoderOf(op, access));
  const Decoder decoder(op, access, segments, step);
  const Range window = access.Window(op);
  for (uint32_t i = 0; i < segments.groups; ++i) {
    const Range columns = segments.Columns(i);
    if (columns.first < window.end && columns.end > window.first) decoder.DecodeGroup(i, columns);
  }
}

size_t SlotBytes(const uint8_t* slot) { return kSlotHeaderBytes + Load<uint32_t>(slot); }

constexpr Kind MakeEncode() {
  Kind kind;
  kind.parameter_bytes = sizeof(EncodeParameters);
  kind.check = CheckEncode;
  kind.bind = BindEncode;
  kind.rows = EncodeRows;
  kind.columns = EncodeColumns;
  kind.run = RunEncode;
  kind.pixel_bytes = SlotBytes;
  return kind;
}

constexpr Kind MakeDecode() {
  Kind kind;
  kind.check = CheckDecode;
  kind.bind = BindDecode;
  kind.rows = DecodeRows;
  kind.columns = AllColumns;
  kind.keeps_memory = Always;
  kind.run = RunDecode;
  return kind;
}

}  // namespace

const Kind kEncodeKind = MakeEncode();
const Kind kDecodeKind = MakeDecode();

CodecRoom CodecRoomOf(const Program& program) {
  CodecRoom room{0, 0};
  uint32_t components_left = kMaxComponents;
  for (int i = 0; i < program.header->ops && room.codecs < kMaxCodecs; ++i) {
    if (program.ops[i].kind != kEncode) continue;
    ++room.codecs;
    room.bytes += CodecBytes(program, program.ops[i], &components_left);
  }
  return room;
}

CodecBuilder MakeCodecBuilder(const Program& program, const State& state) {
  return {state.codecs, state.codec_memory, CodecRoomOf(program).codecs, kMaxComponents};
}

void UseCodecKernels(const Program& program, const Kernels& kernels, State* state) {
  for (uint32_t i = 0; i < CodecRoomOf(program).codecs; ++i) state->codecs[i].kernels = &kernels;
}

}  // namespace fmtc::region
