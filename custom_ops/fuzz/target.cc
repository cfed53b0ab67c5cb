#include "fuzz/target.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "base/bytes.h"
#include "codec/side_info.h"
#include "fuzz/hostile_ops.h"
#include "fuzz/hostile_region.h"
#include "fuzz/hostile_rows.h"
#include "fuzz/mutate.h"
#include "fuzz/mutate_region.h"
#include "tests/expect.h"
#include "tests/expected_output.h"
#include "tests/levels.h"
#include "tflite/op_options.h"

namespace fmtc::fuzz {
namespace {

// One in so many is also run with the kernels of all other levels.
constexpr uint32_t kComparedInputs = 64;

const Bytes& AnyOf(Choices* choices, const std::vector<Bytes>& all) { return all[choices->Below(all.size())]; }

// --- decode: a damaged coded tensor; what comes out is the same with all kernels and workers.

Bytes MakeCoded(const FuzzCase& c, Choices* choices) { return AnyOf(choices, c.coded()); }

struct Decoded {
  Status status;
  Bytes map;
};

Decoded DecodeBytes(const FuzzCase& c, const Kernels* kernels, const Workers& workers, uint8_t fill,
                    const Bytes& coded) {
  const Codec codec = test::WithKernels(c.codec(), kernels);
  Decoded decoded{Status::kOk, Bytes(c.plan().decoder_output_bytes, fill)};
  Bytes workspace(DecodeWorkspaceSize(codec, c.plan(), workers.count), fill);
  decoded.status = Decode(codec, c.plan(), c.type(), coded.data(), coded.size(), decoded.map.data(), decoded.map.size(),
                          workspace.data(), workspace.size(), workers);
  return decoded;
}

bool RunDecode(const FuzzCase& c, const Kernels* kernels, Choices choices, const Bytes& coded) {
  const Decoded expected = DecodeBytes(c, kernels, c.workers(), choices.Byte(), coded);
  if (choices.OneIn(kComparedInputs)) {
    for (const Kernels* others : test::AllKernels()) {
      const Decoded decoded = DecodeBytes(c, others, {}, choices.Byte(), coded);
      EXPECT(decoded.status == expected.status);
      EXPECT(decoded.status != Status::kOk || decoded.map == expected.map);
    }
  }
  return expected.status == Status::kOk;
}

// --- overlap: decoding and encoding with buffers that are parts of one block, which has no byte more than they take.

class SharedBlock {
 public:
  SharedBlock(Choices* choices, std::initializer_list<size_t> sizes) : choices_(*choices) {
    size_t sum = 0, most = 0;
    for (size_t size : sizes) {
      sum += size;
      most = std::max(most, size);
    }
    block_.assign(most + (choices->OneIn(2) ? 0 : choices->Below(sum - most + 1)), choices->Byte());
    anchor_ = choices->Below(block_.size());
  }

  // Anywhere, or near where others are.
  uint8_t* Place(size_t size) {
    const size_t last = block_.size() - size;
    size_t at = choices_.Below(last + 1);
    if (choices_.OneIn(2)) at = std::min(last, anchor_ + choices_.Below(64));
    return block_.data() + at;
  }

 private:
  Choices& choices_;
  Bytes block_;
  size_t anchor_;
};

bool RunDecodeOverlap(const FuzzCase& c, const Kernels* kernels, Choices choices, const Bytes& coded) {
  const Codec codec = test::WithKernels(c.codec(), kernels);
  const size_t output_bytes = c.plan().decoder_output_bytes;
  const size_t workspace_bytes = DecodeWorkspaceSize(codec, c.plan(), c.workers().count);
  SharedBlock block(&choices, {coded.size(), output_bytes, workspace_bytes});
  uint8_t* const input = block.Place(coded.size());
  std::copy(coded.begin(), coded.end(), input);
  uint8_t* const output = block.Place(output_bytes);
  return Decode(codec, c.plan(), c.type(), input, coded.size(), output, output_bytes, block.Place(workspace_bytes),
                workspace_bytes, c.workers()) == Status::kOk;
}

// --- encode: any map, in whatever room.

Bytes MakeMap(const FuzzCase& c, Choices* choices) { return AnyOf(choices, c.maps()); }

void MutateMap(const FuzzCase& c, Choices* choices, Bytes* map) {
  for (uint32_t left = choices->Below(4); left > 0; --left) MutateBytes(choices, AnyOf(choices, c.maps()), 0, map);
  map->resize(c.plan().encoder_input_bytes);
}

struct Room {
  size_t capacity, workspace_bytes;
};

// Enough or, one in two, not.
Room ChooseRoom(const FuzzCase& c, Choices* choices) {
  Room room{c.full_capacity(), EncodeWorkspaceSize(c.codec(), c.plan(), c.workers().count)};
  if (choices->OneIn(2)) room.capacity = choices->Below(room.capacity + 1);
  if (choices->OneIn(16)) room.workspace_bytes = choices->Below(room.workspace_bytes);
  return room;
}

struct Encoded {
  Status status;
  Bytes coded;
};

Encoded EncodeBytes(const FuzzCase& c, const Kernels* kernels, const Workers& workers, Room room, const Bytes& map) {
  const Codec codec = test::WithKernels(c.codec(), kernels);
  Encoded encoded{Status::kOk, Bytes(room.capacity)};
  Bytes workspace(room.workspace_bytes, 0xA5);
  size_t payload_bytes = 0;
  encoded.status = Encode(codec, c.plan(), c.type(), map.data(), map.size(), encoded.coded.data(), room.capacity,
                          &payload_bytes, workspace.data(), workspace.size(), workers);
  EXPECT(payload_bytes <= room.capacity);
  encoded.coded.resize(payload_bytes);
  return encoded;
}

// The pixels that the decoder's stride keeps of what the definitions give.
Bytes ExpectedPixels(const FuzzCase& c, const Bytes& coded, const Bytes& map) {
  const MapPlan& plan = c.plan();
  const Bytes whole = test::ExpectedOutput(c.spec(), c.type(), coded.empty() ? 0 : coded[6], map);
  const size_t pixel = c.spec().channels;
  Bytes kept;
  for (size_t at = 0; at < whole.size(); at += pixel) {
    const size_t x = at / pixel % plan.width, y = at / pixel / plan.width % plan.height;
    if (x % plan.stride_width != 0 || y % plan.stride_height != 0) continue;
    kept.insert(kept.end(), whole.begin() + static_cast<std::ptrdiff_t>(at),
                whole.begin() + static_cast<std::ptrdiff_t>(at + pixel));
  }
  return kept;
}

bool RunEncode(const FuzzCase& c, const Kernels* kernels, Choices choices, const Bytes& bytes) {
  Bytes map = bytes;
  map.resize(c.plan().encoder_input_bytes);
  const Room room = ChooseRoom(c, &choices);
  const Encoded encoded = EncodeBytes(c, kernels, c.workers(), room, map);
  const size_t enough = c.plan().batch == 0 ? 0 : c.spec().max_level > 0 ? 16 : c.full_capacity();
  const size_t workspace_bytes = EncodeWorkspaceSize(c.codec(), c.plan(), c.workers().count);
  const bool has_room = c.plan().batch == 0 || (room.capacity >= enough && room.workspace_bytes >= workspace_bytes);
  EXPECT(encoded.status == (has_room ? Status::kOk : Status::kBufferTooSmall));
  if (encoded.status != Status::kOk) return false;
  const Decoded decoded = DecodeBytes(c, kernels, c.workers(), choices.Byte(), encoded.coded);
  EXPECT(decoded.status == Status::kOk);
  if (choices.OneIn(kComparedInputs)) {
    EXPECT(decoded.map == ExpectedPixels(c, encoded.coded, map));
    for (const Kernels* others : test::AllKernels()) {
      EXPECT(EncodeBytes(c, others, {}, room, map).coded == encoded.coded);
    }
  }
  return true;
}

bool RunEncodeOverlap(const FuzzCase& c, const Kernels* kernels, Choices choices, const Bytes& map) {
  const Codec codec = test::WithKernels(c.codec(), kernels);
  const size_t map_bytes = c.plan().encoder_input_bytes;
  const Room room = ChooseRoom(c, &choices);
  SharedBlock block(&choices, {map_bytes, room.capacity, room.workspace_bytes});
  uint8_t* const input = block.Place(map_bytes);
  std::copy_n(map.begin(), std::min(map.size(), map_bytes), input);
  uint8_t* const output = block.Place(room.capacity);
  size_t payload_bytes = 0;
  const Status status = Encode(codec, c.plan(), c.type(), input, map_bytes, output, room.capacity, &payload_bytes,
                               block.Place(room.workspace_bytes), room.workspace_bytes, c.workers());
  EXPECT(payload_bytes <= room.capacity);
  return status == Status::kOk;
}

// --- side_info: it is refused, or makes a codec that takes any shape or refuses it, and codes maps as all kernels do.

Bytes MakeSideInfo(const FuzzCase& c, Choices*) { return c.side_info(); }

void PlanAnyShape(const Codec& codec, Choices* choices) {
  const auto any = [choices] {
    return choices->Of<int64_t>(
        {-1, 0, 1, 2, 1000, 46341, 65535, 65536, INT32_MAX, int64_t{1} << 31, INT64_MAX, INT64_MIN});
  };
  MapPlan plan;
  if (PlanMap(codec, any(), any(), any(), &plan) != Status::kOk) return;
  EXPECT(plan.batch * plan.item_capacity <= UINT32_MAX);
  if (SetDecoderStride(codec, any(), any(), &plan) != Status::kOk) return;
  EXPECT(DecodeWorkspaceSize(codec, plan) > 0 && EncodeWorkspaceSize(codec, plan) > 0);
}

// ENCODE's bytes and, behind them, DECODE's.
Bytes RoundTrip(const Codec& codec, const MapPlan& plan, const Bytes& map) {
  Bytes coded(plan.item_capacity);
  Bytes workspace(EncodeWorkspaceSize(codec, plan));
  size_t payload_bytes = 0;
  EXPECT(Encode(codec, plan, ElementType::kInt8, map.data(), map.size(), coded.data(), coded.size(), &payload_bytes,
                workspace.data(), workspace.size()) == Status::kOk);
  coded.resize(payload_bytes);
  Bytes decoded(plan.decoder_output_bytes);
  workspace.assign(DecodeWorkspaceSize(codec, plan), 0);
  EXPECT(Decode(codec, plan, ElementType::kInt8, coded.data(), coded.size(), decoded.data(), decoded.size(),
                workspace.data(), workspace.size()) == Status::kOk);
  coded.insert(coded.end(), decoded.begin(), decoded.end());
  return coded;
}

bool RunSideInfo(const FuzzCase&, const Kernels* kernels, Choices choices, const Bytes& side_info) {
  const test::OwnedCodec owned(side_info);
  if (owned.status() != Status::kOk) return false;
  const Codec& codec = owned.codec();
  PlanAnyShape(codec, &choices);
  MapPlan plan;
  const int64_t height = 1 + choices.Below(4), width = 1 + choices.Below(4);
  if (codec.side_info.channels > 1000 || PlanMap(codec, 1, height, width, &plan) != Status::kOk) return true;
  Bytes map(plan.encoder_input_bytes);
  for (uint8_t& value : map) value = choices.Byte();
  const Bytes coded = RoundTrip(test::WithKernels(codec, kernels), plan, map);
  if (!choices.OneIn(kComparedInputs)) return true;
  for (const Kernels* others : test::AllKernels()) {
    EXPECT(RoundTrip(test::WithKernels(codec, others), plan, map) == coded);
  }
  return true;
}

// --- options: those of the ops.

Bytes MakeOptions(const FuzzCase& c, Choices*) { return c.options(); }

void LieInOption(Choices* choices, test::FlexMap* options) {
  const std::string key =
      choices->Of<const char*>({"format_version", "height", "width", "channels", "type", "tensor", "stride_height",
                                "stride_width", "begin_height", "step_width", "count_channels", "before_width",
                                "after_height", "axis_of_channels", "view_height", "border", "view_type"});
  switch (choices->Below(3)) {
    case 0:
      return options->Remove(key);
    case 1:
      return options->Set(key, choices->Of<const char*>({"", "int8", "uint8", "8", "a\n\xff%s", "float32"}));
    default:
      options->Set(key, choices->Of<int64_t>({0, 1, 2, 65536, 65537, INT32_MAX, int64_t{1} << 31, -1}));
  }
}

void MutateOptions(const FuzzCase& c, Choices* choices, Bytes* bytes) {
  if (choices->OneIn(4)) {
    test::FlexMap options = OptionsOf(c);
    for (uint32_t left = 1 + choices->Below(2); left > 0; --left) LieInOption(choices, &options);
    *bytes = options.Bytes();
    if (choices->OneIn(2)) return;
  }
  const Bytes other = *bytes;
  for (uint32_t left = 1 + choices->Below(3); left > 0; --left) MutateBytes(choices, other, 0, bytes);
}

bool RunOptions(const FuzzCase&, const Kernels*, Choices, const Bytes& bytes) {
  OpOptions options;
  if (ParseOpOptions(bytes.data(), bytes.size(), &options) != nullptr) return false;
  EXPECT(std::memchr(options.tensor, '\0', sizeof(options.tensor)) != nullptr);
  for (const char* c = options.tensor; *c != '\0'; ++c) EXPECT(*c >= ' ' && *c <= '~');
  if (options.format_version > kFormatVersion) return true;
  EXPECT(options.height > 0 && options.width > 0 && options.stride_height > 0 && options.stride_width > 0);
  EXPECT(options.channels > 0 && static_cast<uint32_t>(options.channels) <= kMaxChannels);
  return true;
}

// --- ops: graphs of them in a runtime.

void MutateFewOptions(const FuzzCase& c, Choices* choices, Bytes* bytes) {
  if (choices->OneIn(4)) MutateOptions(c, choices, bytes);
}

bool RunCodecGraph(const FuzzCase& c, const Kernels*, Choices choices, const Bytes& options) {
  return RunCodecOps(c, choices, options);
}

Bytes MakeRegion(const FuzzCase& c, Choices*) { return c.program(); }

// Of programs that are as they should be; the region's own target damages them.
void KeepBytes(const FuzzCase&, Choices*, Bytes*) {}

bool RunRegionGraph(const FuzzCase& c, const Kernels*, Choices choices, const Bytes&) {
  return RunRegionOp(c, choices);
}

// --- region: programs of regions.

void DamageRegion(const FuzzCase&, Choices* choices, Bytes* bytes) { MutateRegion(choices, bytes); }

bool RunProgram(const FuzzCase&, const Kernels*, Choices choices, const Bytes& bytes) {
  return RunRegion(choices, bytes);
}

}  // namespace

const std::vector<Target> kTargets = {
    {"decode", true, MakeCoded, MutateCoded, RunDecode},
    {"decode_overlap", true, MakeCoded, MutateCoded, RunDecodeOverlap},
    {"encode", true, MakeMap, MutateMap, RunEncode},
    {"encode_overlap", true, MakeMap, MutateMap, RunEncodeOverlap},
    {"read_rows", true, MakeCoded, MutateCoded, RunReadRows},
    {"write_rows", true, MakeMap, MutateMap, RunWriteRows},
    {"side_info", true, MakeSideInfo, MutateSideInfo, RunSideInfo},
    {"options", false, MakeOptions, MutateOptions, RunOptions},
    {"codec_ops", false, MakeOptions, MutateFewOptions, RunCodecGraph},
    {"region_op", false, MakeRegion, KeepBytes, RunRegionGraph},
    {"region", false, MakeRegion, DamageRegion, RunProgram},
};

const Target* FindTarget(const char* name) {
  for (const Target& target : kTargets) {
    if (std::strcmp(target.name, name) == 0) return &target;
  }
  return nullptr;
}

Bytes WriteInput(const Input& input) {
  Bytes bytes(8);
  Store(bytes.data(), input.case_number);
  Store(bytes.data() + 4, input.choices);
  bytes.insert(bytes.end(), input.bytes.begin(), input.bytes.end());
  return bytes;
}

Input ReadInput(const uint8_t* data, size_t size) {
  if (size < 8) return {0, 0, {}};
  return {Load<uint32_t>(data), Load<uint32_t>(data + 4), Bytes(data + 8, data + size)};
}

Input MakeInput(const Target& target, const FuzzCase& c, uint32_t seed) {
  Choices choices(uint64_t{c.number()} << 32 | seed);
  const Bytes valid = target.make(c, &choices);
  Bytes bytes = valid;
  target.mutate(c, &choices, &bytes);
  return {c.number(), static_cast<uint32_t>(choices.Next()), bytes};
}

}  // namespace fmtc::fuzz
