// ENCODE and DECODE: rows of a map become segments of the bitstream (FORMAT.md section 7), and rows again.
#include "region/coders.h"

#include <algorithm>
#include <cstring>

#include "base/bytes.h"
#include "codec/analysis.h"
#include "codec/entropy.h"
#include "codec/geometry.h"
#include "codec/synthesis.h"
#include "region/kind.h"

namespace fmtc::region {
namespace {

// REGION.md section 6, so that what codecs take is bounded by a program's bytes.
constexpr uint32_t kMaxCodecs = 4096;
constexpr uint32_t kMaxComponents = 1u << 20;  // of all codecs
constexpr uint64_t kMaxSegmentValues = (uint64_t{1} << 28) - 1;

constexpr size_t kSegmentSlack = 128;
static_assert(kSegmentSlack >= kValueSlack && kSegmentSlack >= kReadSlack);
constexpr size_t kRowSlack = 64;
static_assert(kRowSlack >= kValueSlack && kSegmentSlack >= kRowSlack);

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
  return info.version == 1 && !info.has_analysis && !info.has_synthesis && !info.has_checksum && info.max_level == 0;
}

// Of the groups of columns that an ENCODE, which has been checked, makes; null: it makes one.
const uint16_t* GroupEnds(const OpView& encode) {
  const uint32_t offset = encode.parameters<EncodeParameters>().column_ends_offset;
  return offset == 0 ? nullptr : encode.program->At<uint16_t>(offset);
}

Segments SegmentsOf(const OpView& encode) { return {encode.input(0), encode.output(), GroupEnds(encode)}; }

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
                 coded.channels >= segments.MostValues() + kSlotHeaderBytes &&
                 op.op->memory_bytes >= EncodeMemoryBytes(segments));
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
  const Segments segments = SegmentsOf(encode);
  const bool fits = segments.Rows(0) * segments.RowValues() <= kMaxSegmentValues &&
                    op.op->memory_bytes >= DecodeMemoryBytes(segments);
  if (!fits) return Status::kProgramInvalid;
  facts->codec = state.ops[writer].codec;
  return Status::kOk;
}

Range EncodeRows(const OpView& op, int, int32_t step) {
  const Segments segments = SegmentsOf(op);
  const uint32_t begin = segments.Begin(static_cast<uint32_t>(step));
  const uint32_t end = begin + segments.Rows(static_cast<uint32_t>(step));
  return {static_cast<int32_t>(begin > 0 ? begin - 1 : 0), static_cast<int32_t>(end)};
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

// Pixels with something added to each value, modulo 256.
void AddToPixels(uint8_t addend, const uint8_t* in, size_t in_bytes, uint8_t* out, size_t out_bytes, size_t channels,
                 size_t columns) {
  if (in_bytes == channels && out_bytes == channels) {
    for (size_t i = 0; i < channels * columns; ++i) out[i] = static_cast<uint8_t>(in[i] + addend);
    return;
  }
  for (; columns > 0; --columns, in += in_bytes, out += out_bytes) {
    for (size_t c = 0; c < channels; ++c) out[c] = static_cast<uint8_t>(in[c] + addend);
  }
}

// Whether values are indices plus one number.
bool AddsOffsetOnly(const Codec& codec) {
  const SideInfo& info = codec.side_info;
  return kHasStepTables && AddsCentresOnly(codec, 0) && info.centres == nullptr && info.lo == -128 && info.hi == 127;
}

// Columns of a row of a map, in the unsigned domain.
template <typename Byte>
struct Pixels {
  Byte* values;
  size_t pixel_bytes;
  size_t width;
};

// `spare` has room for a row of indices.
void AnalyzePixels(const Codec& codec, Pixels<const uint8_t> pixels, uint8_t* spare, uint8_t* indices) {
  const size_t channels = codec.side_info.channels;
  if (AddsOffsetOnly(codec)) {
    const auto addend = static_cast<uint8_t>(-ValueOffset(codec, ElementType::kUInt8));
    return AddToPixels(addend, pixels.values, pixels.pixel_bytes, indices, channels, channels, pixels.width);
  }
  if (pixels.pixel_bytes != channels) {
    AddToPixels(0, pixels.values, pixels.pixel_bytes, spare, channels, channels, pixels.width);
    pixels.values = spare;
  }
  Analysis analysis{};
  InitAnalysis(codec, ElementType::kUInt8, 0, &analysis);
  AnalyzeRow(analysis, static_cast<uint32_t>(pixels.width), pixels.values, indices);
}

// Likewise.
void SynthesizePixels(const Codec& codec, const uint8_t* indices, uint8_t* spare, Pixels<uint8_t> pixels) {
  const size_t channels = codec.side_info.channels;
  if (AddsOffsetOnly(codec)) {
    const uint8_t offset = ValueOffset(codec, ElementType::kUInt8);
    return AddToPixels(offset, indices, channels, pixels.values, pixels.pixel_bytes, channels, pixels.width);
  }
  const bool is_dense = pixels.pixel_bytes == channels;
  Synthesis synthesis{};
  InitSynthesis(codec, ElementType::kUInt8, 0, &synthesis);
  SynthesizeRow(synthesis, static_cast<uint32_t>(pixels.width), indices, is_dense ? pixels.values : spare);
  if (!is_dense) AddToPixels(0, spare, channels, pixels.values, pixels.pixel_bytes, channels, pixels.width);
}

size_t Width(Range columns) { return static_cast<size_t>(columns.end - columns.first); }

void EncodeGroup(const OpView& op, const RowAccess& access, const Segments& segments, int32_t step, uint32_t group) {
  const Codec& codec = *access.FactsOf(op).codec;
  const TensorRecord& map = op.input(0);
  const Range columns = segments.Columns(group);
  const size_t row_values = Width(columns) * map.channels;
  const RowShape shape{static_cast<uint32_t>(Width(columns)), map.channels, 0};
  uint8_t* const pixels = access.OwnMemory(op);
  uint8_t* const planes = pixels + segments.Rows(static_cast<uint32_t>(step)) * row_values + kSegmentSlack;
  // Rows of indices are where the planes will be, and rows on their way to them where their residuals will be.
  uint8_t* const indices[2] = {planes, planes + row_values + kRowSlack};
  const Range rows = EncodeRows(op, 0, step);
  const auto first = static_cast<int32_t>(segments.Begin(static_cast<uint32_t>(step)));
  uint8_t* residuals = pixels;
  for (int32_t y = codec.has_prediction ? rows.first : first; y < rows.end; ++y) {
    const Pixels<const uint8_t> row_pixels{access.Read(map, y, columns.first), map.pixel_bytes, shape.width};
    uint8_t* const row = codec.has_prediction ? indices[y % 2] : residuals;
    AnalyzePixels(codec, row_pixels, codec.has_prediction ? residuals : planes, row);
    if (y < first) continue;
    if (codec.has_prediction) {
      const uint8_t* const above = y == 0 ? nullptr : indices[(y + 1) % 2];
      codec.kernels->residuals_of_row(shape, codec.side_info.component_codes, above, row, residuals);
    }
    residuals += row_values;
  }
  const SegmentShape segment{&codec, static_cast<size_t>(rows.end - first) * shape.width};
  codec.kernels->pixels_to_planes({map.channels, segment.plane_bytes}, codec.place, pixels, planes);
  uint8_t* const slot = access.Write(op.output(), step, static_cast<int32_t>(group));
  const size_t bytes = EncodeSegment(segment, planes, pixels, slot + kSlotHeaderBytes, segment.num_values());
  Store(slot, static_cast<uint32_t>(bytes));
}

void RunEncode(const OpView& op, const RowAccess& access, const RowKernels&, int32_t step) {
  const Segments segments = SegmentsOf(op);
  const Range groups = access.Window(op);
  for (int32_t i = groups.first; i < groups.end; ++i) {
    EncodeGroup(op, access, segments, step, static_cast<uint32_t>(i));
  }
}

// A segment's residuals, pixel by pixel. False if it is damaged, as the slots of a hostile program are.
bool ReadSegment(const Codec& codec, size_t plane_bytes, const uint8_t* slot, uint8_t* planes, uint8_t* pixels) {
  const SegmentShape shape{&codec, plane_bytes};
  const size_t bytes = LoadOnce<uint32_t>(slot);
  if (bytes < 1 || bytes > shape.num_values()) return false;
  MoveBytes(pixels, slot + kSlotHeaderBytes, bytes);  // behind them the decoder reads
  memset(pixels + bytes, 0, kReadSlack);
  const CodedSegment segment{pixels, bytes, planes};
  if (!DecodeSegments(shape, &segment, 1)) return false;
  codec.kernels->planes_to_pixels({codec.side_info.components, plane_bytes}, codec.place, planes, pixels);
  return true;
}

// What DECODE keeps from step to step is in front; the pixels of a share's groups follow one another.
struct DecodeMemory {
  uint8_t* last;  // indices of the row before
  uint8_t* pixels;
  uint8_t* planes;  // of a segment, then a group's part of a row of indices, then of values

  DecodeMemory(uint8_t* own, const Segments& segments)
      : last(own),
        pixels(last + segments.RowValues() + kRowSlack),
        planes(pixels + segments.Rows(0) * segments.RowValues() + kSegmentSlack) {}
};

void DecodeGroup(const OpView& op, const RowAccess& access, const Segments& segments, int32_t step, uint32_t group) {
  const Codec& codec = *access.FactsOf(op).codec;
  const TensorRecord& map = op.output();
  const DecodeMemory memory(access.OwnMemory(op), segments);
  const Range columns = segments.Columns(group);
  const size_t before = static_cast<size_t>(columns.first) * map.channels, row_values = Width(columns) * map.channels;
  const auto y = static_cast<uint32_t>(step);
  const uint32_t share = segments.Of(y), first = segments.Begin(share), rows = segments.Rows(share);
  uint8_t* const pixels = memory.pixels + rows * before;
  if (y == first) {
    const size_t plane_bytes = rows * Width(columns);
    const uint8_t* const slot = access.Read(op.input(0), static_cast<int32_t>(share), static_cast<int32_t>(group));
    if (!ReadSegment(codec, plane_bytes, slot, memory.planes, pixels)) {
      *access.damaged = true;
      memset(pixels, 0, plane_bytes * map.channels);
    }
  }
  const uint8_t* row = pixels + (y - first) * row_values;
  if (codec.has_prediction) {
    uint8_t* const last = memory.last + before;
    const RowShape shape{static_cast<uint32_t>(Width(columns)), map.channels, 0};
    codec.kernels->indices_of_row(shape, codec.side_info.component_codes, y == 0 ? nullptr : last, row, memory.planes);
    MoveBytes(last, memory.planes, row_values);
    row = last;
  }
  const Range window = access.Window(op);
  const int32_t from = std::max(columns.first, window.first), to = std::min(columns.end, window.end);
  SynthesizePixels(codec, row + static_cast<size_t>(from - columns.first) * map.channels, memory.planes,
                   {access.Write(map, step, from), map.pixel_bytes, static_cast<size_t>(to - from)});
}

// In their order: what is written behind the pixels of one group is the next one's.
void RunDecode(const OpView& op, const RowAccess& access, const RowKernels&, int32_t step) {
  const Segments segments = SegmentsOf(EncoderOf(op, access));
  const Range window = access.Window(op);
  for (uint32_t i = 0; i < segments.groups; ++i) {
    const Range columns = segments.Columns(i);
    if (columns.first < window.end && columns.end > window.first) DecodeGroup(op, access, segments, step, i);
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

uint32_t Segments::Begin(uint32_t segment) const { return ShareBegin(height, count, segment); }
uint32_t Segments::Rows(uint32_t segment) const { return ShareOf(height, count, segment); }

uint32_t Segments::Of(uint32_t row) const {
  const uint32_t least = height / count, larger = height % count;
  const uint32_t in_larger = larger * (least + 1);
  return row < in_larger ? row / (least + 1) : larger + (row - in_larger) / least;
}

Range Segments::Columns(uint32_t group) const {
  if (ends == nullptr) return {0, static_cast<int32_t>(width)};
  return {group == 0 ? 0 : int32_t{ends[group - 1]}, int32_t{ends[group]}};
}

uint64_t Segments::MostRowValues() const {
  int32_t most = 0;
  for (uint32_t i = 0; i < groups; ++i) most = std::max(most, Columns(i).end - Columns(i).first);
  return uint64_t{static_cast<uint32_t>(most)} * channels;
}

uint64_t EncodeMemoryBytes(const Segments& segments) {
  return 2 * (segments.MostValues() + kSegmentSlack) + segments.MostRowValues() + kRowSlack;
}

uint64_t DecodeMemoryBytes(const Segments& segments) {
  return segments.RowValues() + kRowSlack + segments.Rows(0) * segments.RowValues() + kSegmentSlack +
         segments.MostValues() + kSegmentSlack;
}

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
