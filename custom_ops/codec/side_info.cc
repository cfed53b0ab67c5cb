#include "codec/side_info.h"

#include <cfloat>

#include "base/crc32c.h"
#include "base/features.h"
#include "codec/tables.h"

namespace fmtc {
namespace {

constexpr uint32_t kMagic = 0x49534D46;  // "FMSI"
constexpr size_t kHeaderBytes = 32;
constexpr size_t kExtensionBytes = 16;
constexpr size_t kContextTablesAt = 34;
constexpr size_t kRequantizationRuleAt = 35;
constexpr size_t kConvolutionBytes = 16;
constexpr size_t kConvolutionFields = 4;
constexpr size_t kSectionAlignment = 16;
constexpr uint32_t kMaxMatrixShift = 30;
constexpr uint32_t kMaxExpansionShift = 40;
constexpr uint8_t kAllFlags = kHasMatrices ? 63 : 31;

// Walks over the variable part; remembers that it ran over the end instead of failing at each step.
class Cursor {
 public:
  Cursor(const uint8_t* data, size_t bytes, size_t position) : data_(data), bytes_(bytes), position_(position) {}

  FMTC_SELDOM FMTC_ONE_COPY const uint8_t* Take(size_t count) {
    if (count > bytes_ - position_) {
      overrun_ = true;
      return nullptr;
    }
    const uint8_t* piece = data_ + position_;
    position_ += count;
    return piece;
  }

  // Skips the padding; false if it is not zero.
  FMTC_SELDOM FMTC_ONE_COPY bool SkipPadding() {
    for (; position_ % kSectionAlignment != 0; ++position_) {
      if (position_ >= bytes_ || data_[position_] != 0) return false;
    }
    return true;
  }

  bool overrun() const { return overrun_; }
  bool at_end() const { return position_ == bytes_; }

 private:
  const uint8_t* data_;
  size_t bytes_;
  size_t position_;
  bool overrun_ = false;
};

bool ReadClassRecord(Cursor* cursor, ClassRecord* record) {
  const uint8_t* head = cursor->Take(3);
  if (head == nullptr) return false;
  record->offset = head[0];
  record->constant = head[1];
  record->num_tokens = head[2];
  if (record->num_tokens < 2 || record->num_tokens > kMaxTokens) return false;
  record->widths = cursor->Take((record->num_tokens + 1u) / 2);
  record->counts = cursor->Take(record->num_tokens);
  return record->widths != nullptr && record->counts != nullptr;
}

bool IsClassValid(const ClassRecord& record) {
  uint32_t values = 0;  // covered by the tokens; only the last one may reach round into the first ones
  uint32_t states = 0;
  for (uint32_t t = 0; t < record.num_tokens; ++t) {
    if (values >= 256 || record.WidthLog2(t) > 7) return false;
    if (record.counts[t] < 1 || record.counts[t] > kNumStates - 1) return false;
    values += 1u << record.WidthLog2(t);
    states += record.counts[t];
  }
  const bool unused_nibble_is_zero = record.num_tokens % 2 == 0 || record.WidthLog2(record.num_tokens) == 0;
  return values >= 256 && states == kNumStates && unused_nibble_is_zero;
}

bool IsContextMapValid(const SideInfo& info) {
  for (uint32_t j = 0; j < info.num_classes; ++j) {
    for (uint32_t context = 0; context <= kNoRowAbove; ++context) {
      if (info.TableOf(j, context) >= info.num_tables()) return false;
    }
    if (info.TableOf(j, kNoRowAbove + 1) != 0) return false;
  }
  return true;
}

bool AreComponentsValid(const SideInfo& info) {
  uint32_t used_classes = 0;
  for (uint32_t j = 0; j < info.components; ++j) {
    if (!info.has_contexts() && (info.component_codes[j] & kOneSided) != 0) return false;
    if (info.ComponentClass(j) >= info.num_classes || info.ComponentPredictor(j) >= kNumPredictors) return false;
    used_classes |= 1u << info.ComponentClass(j);
    if (info.steps != nullptr && info.steps[j] > kMaxStepCode) return false;
    if (info.ComponentStep(j) < kLosslessStep || info.ComponentStep(j) > kMaxStep) return false;
  }
  return used_classes == (1u << info.num_classes) - 1;
}

uint64_t Magnitude(int64_t value) { return static_cast<uint64_t>(value < 0 ? -value : value); }

// gain * sum(|element(row, ...)|) + |bias[row]| + rounding < 2^31 for every row, so that 32-bit sums cannot overflow;
// and every element fits 16 bits.
template <typename Element>
bool AreSumsBounded(const Element& element, const uint8_t* bias, uint32_t rows, uint32_t columns, uint64_t gain,
                    uint64_t rounding) {
  for (uint32_t row = 0; row < rows; ++row) {
    uint64_t sum = 0;
    for (uint32_t column = 0; column < columns; ++column) {
      const int64_t value = element(row, column);
      if (value < INT16_MIN || value > INT16_MAX) return false;
      sum += Magnitude(value);
    }
    const uint64_t bound = gain * sum + Magnitude(Load<int32_t>(bias + 4 * size_t{row})) + rounding;
    if (bound >= uint64_t{1} << 31) return false;
  }
  return true;
}

bool AreMatricesBounded(const SideInfo& info) {
  if (!kHasMatrices) return true;
  const auto analysis = [&info](uint32_t i, uint32_t j) {
    return int64_t{Load<int16_t>(info.analysis + 2 * (size_t{i} * info.channels + j))};
  };
  const auto synthesis = [&info](uint32_t i, uint32_t j) {
    if (info.compact_synthesis != nullptr) return info.ExpandedSynthesis(i, j);
    return int64_t{Load<int16_t>(info.synthesis + 2 * (size_t{i} * info.components + j))};
  };
  if (info.has_analysis && !AreSumsBounded(analysis, info.analysis_bias, info.components, info.channels, 128,
                                           uint64_t{1} << (info.analysis_shift + info.max_level))) {
    return false;
  }
  return !info.has_synthesis || info.is_convolution() ||  // whose sums wrap around
         AreSumsBounded(synthesis, info.synthesis_bias, info.channels, info.components, uint64_t{255} << info.max_level,
                        uint64_t{1} << info.synthesis_shift);
}

bool IsShiftValid(bool has_matrix, uint32_t shift, uint32_t level) {
  return has_matrix ? shift >= 1 && shift + level <= kMaxMatrixShift : shift == 0;
}

bool AreFixedFieldsValid(uint8_t flags, const SideInfo& info) {
  if (flags > kAllFlags || info.max_level > kMaxLevel || info.hi < info.lo) return false;
  if (!kHasMatrices) {
    return (info.analysis_shift | info.synthesis_shift | info.expansion_shift) == 0 && info.components == info.channels;
  }
  const bool is_compact = (flags & kCompactSynthesis) != 0;
  if (is_compact && info.has_analysis) return false;
  if (info.is_convolution()) {
    const bool no_shifts = (info.synthesis_shift | info.expansion_shift | info.analysis_shift) == 0;
    return is_compact && no_shifts && info.convolution.rule <= kRndnu;
  }
  if (is_compact ? info.expansion_shift < 1 || info.expansion_shift > kMaxExpansionShift : info.expansion_shift != 0) {
    return false;
  }
  if (!IsShiftValid(info.has_analysis, info.analysis_shift, info.max_level)) return false;
  if (!IsShiftValid(info.has_synthesis, info.synthesis_shift, 0)) return false;
  if (!info.has_synthesis) return !info.has_analysis && info.components == info.channels;
  if (!info.has_analysis) return true;
  return (flags & (kCentrePerComponent | kStepPerComponent)) == 0 && info.centre == 0 && info.step == kLosslessStep;
}

void ReadFixedFields(const uint8_t* data, const SideInfoSizes& sizes, SideInfo* info) {
  info->version = sizes.version;
  info->has_analysis = sizes.has_analysis();
  info->has_synthesis = sizes.has_synthesis();
  info->has_checksum = (sizes.flags & kChecksum) != 0;
  info->num_classes = sizes.num_classes;
  info->num_context_tables = sizes.num_context_tables;
  info->max_level = data[7];
  info->channels = sizes.channels;
  info->components = sizes.components;
  info->lo = static_cast<int8_t>(data[24]);
  info->hi = static_cast<int8_t>(data[25]);
  info->centre = static_cast<int8_t>(data[26]);
  info->analysis_shift = data[27];
  info->step = Load<uint16_t>(data + 28);
  info->synthesis_shift = data[30];
  info->expansion_shift = data[31];  // 0 without kCompactSynthesis
  info->convolution.rule = sizes.requantization_rule;
}

// The fields that version 2 added. False: one is unknown to this version.
bool ReadExtension(Cursor* cursor, SideInfo* info) {
  info->segment_rows = 0;
  if (!kHasVersion2 || info->version < 2) return true;
  const uint8_t* const extension = cursor->Take(kExtensionBytes);
  if (extension == nullptr) return false;
  info->segment_rows = Load<uint16_t>(extension);
  for (size_t i = kContextTablesAt + 1 - kHeaderBytes; i < kExtensionBytes; ++i) {
    const bool is_rule = kHasMatrices && i + kHeaderBytes == kRequantizationRuleAt;
    if (extension[i] != 0 && !is_rule) return false;
  }
  return true;
}

bool ReadMatrix(Cursor* cursor, uint64_t elements, uint32_t biases, const uint8_t** matrix, const uint8_t** bias) {
  *matrix = cursor->Take(elements < SIZE_MAX / 2 ? static_cast<size_t>(2 * elements) : SIZE_MAX);
  if (!cursor->SkipPadding()) return false;
  *bias = cursor->Take(4 * size_t{biases});
  return cursor->SkipPadding();
}

// As ReadMatrix, for a matrix in bytes with a multiplier for each row.
bool ReadCompactMatrix(Cursor* cursor, uint64_t elements, SideInfo* info) {
  info->compact_synthesis = cursor->Take(elements < SIZE_MAX ? static_cast<size_t>(elements) : SIZE_MAX);
  if (!cursor->SkipPadding()) return false;
  if (!info->is_convolution()) info->multipliers = cursor->Take(2 * size_t{info->channels});
  if (!cursor->SkipPadding()) return false;
  info->synthesis_bias = cursor->Take(4 * size_t{info->channels});
  return cursor->SkipPadding();
}

bool IsMultiplierValid(const ConvolutionInfo& info, size_t channel) {
  const uint8_t* const multiplier = info.multipliers + info.MultiplierBytes() * channel;
  if (info.rule == kFloat32Rule) return Load<float>(multiplier) > 0 && Load<float>(multiplier) <= FLT_MAX;
  if (info.rule == kFloat64Rule) return Load<double>(multiplier) > 0 && Load<double>(multiplier) <= DBL_MAX;
  const int32_t value = Load<int32_t>(multiplier);
  const int32_t shift = static_cast<int8_t>(info.shifts[channel]);
  return (value == 0 || value >= 1 << 30) && shift >= kMinShift && shift <= kMaxShift;
}

// What follows everything else in the side information of a convolution.
bool ReadConvolution(Cursor* cursor, SideInfo* info) {
  ConvolutionInfo* const convolution = &info->convolution;
  const uint8_t* const fields = cursor->Take(kConvolutionBytes);
  if (fields == nullptr) return false;
  convolution->weight_zero = static_cast<int8_t>(fields[0]);
  convolution->zero = fields[1];
  convolution->low = fields[2];
  convolution->high = fields[3];
  for (size_t i = kConvolutionFields; i < kConvolutionBytes; ++i) {
    if (fields[i] != 0) return false;
  }
  convolution->multipliers = cursor->Take(convolution->MultiplierBytes() * info->channels);
  if (!cursor->SkipPadding()) return false;
  convolution->shifts = convolution->HasShifts() ? cursor->Take(info->channels) : nullptr;
  if (!cursor->SkipPadding() || cursor->overrun()) return false;
  for (size_t i = 0; i < info->channels; ++i) {
    if (!IsMultiplierValid(*convolution, i)) return false;
  }
  return true;
}

// False: a field, a class record or padding is invalid. Running over the end is the cursor's to tell.
bool ReadVariableFields(uint8_t flags, Cursor* cursor, SideInfo* info) {
  const uint32_t components = info->components;
  const uint64_t elements = uint64_t{components} * info->channels;
  if (!ReadExtension(cursor, info)) return false;
  info->component_codes = cursor->Take(components);
  info->centres = (flags & kCentrePerComponent) != 0 ? cursor->Take(components) : nullptr;
  info->steps = (flags & kStepPerComponent) != 0 ? cursor->Take(components) : nullptr;
  if (info->has_contexts()) {
    info->context_map = cursor->Take(size_t{info->num_classes} * (kContextStride / 2));
    if (info->context_map == nullptr || !IsContextMapValid(*info)) return false;
  }
  for (uint32_t j = 0; j < info->num_tables(); ++j) {
    if (!ReadClassRecord(cursor, &info->classes[j]) || !IsClassValid(info->classes[j])) return false;
  }
  if (!cursor->SkipPadding()) return false;
  info->analysis = info->analysis_bias = info->synthesis = info->synthesis_bias = nullptr;
  if (!kHasMatrices) return true;
  info->compact_synthesis = info->multipliers = nullptr;
  if (info->has_analysis && !ReadMatrix(cursor, elements, components, &info->analysis, &info->analysis_bias)) {
    return false;
  }
  if ((flags & kCompactSynthesis) != 0) {
    return ReadCompactMatrix(cursor, elements, info) && (!info->is_convolution() || ReadConvolution(cursor, info));
  }
  return !info->has_synthesis || ReadMatrix(cursor, elements, info->channels, &info->synthesis, &info->synthesis_bias);
}

bool ReadContextTables(const uint8_t* data, size_t bytes, SideInfoSizes* sizes) {
  sizes->num_context_tables = 0;
  if (!kHasVersion2 || sizes->version < 2) return true;
  if (bytes < kHeaderBytes + kExtensionBytes) return false;
  sizes->num_context_tables = LoadOnce<uint8_t>(data + kContextTablesAt);
  return true;
}

}  // namespace

FMTC_SELDOM Status ReadSideInfoSizes(const uint8_t* data, size_t bytes, SideInfoSizes* sizes) {
  if (bytes < kHeaderBytes) return Status::kSideInfoTruncated;
  if (data == nullptr) return Status::kInvalidArgument;
  if (Load<uint32_t>(data) != kMagic) return Status::kSideInfoCorrupt;
  sizes->version = LoadOnce<uint8_t>(data + 4);
  if (sizes->version > kNewestVersion) return Status::kSideInfoVersion;
  if (sizes->version > kFormatVersion) return Status::kSideInfoUnsupported;
  if (sizes->version == 0) return Status::kSideInfoCorrupt;
  sizes->flags = LoadOnce<uint8_t>(data + 5);
  sizes->num_classes = LoadOnce<uint8_t>(data + 6);
  sizes->components = LoadOnce<uint32_t>(data + 20);
  sizes->channels = LoadOnce<uint32_t>(data + 16);
  if (kHasVersion2 && sizes->version >= 2 && bytes < kHeaderBytes + kExtensionBytes) return Status::kSideInfoTruncated;
  const bool may_convolve = kHasMatrices && kHasVersion2 && sizes->version >= 2;
  sizes->requantization_rule = may_convolve ? LoadOnce<uint8_t>(data + kRequantizationRuleAt) : 0;
  if (!kHasMatrices && (sizes->flags & (kAnalysisMatrix | kSynthesisMatrix)) != 0) return Status::kSideInfoUnsupported;
  if (!ReadContextTables(data, bytes, sizes)) return Status::kSideInfoTruncated;
  const bool valid = sizes->num_context_tables <= kMaxClasses && sizes->num_classes >= 1 &&
                     sizes->num_classes <= kMaxClasses && sizes->components >= 1 &&
                     sizes->components <= sizes->channels && sizes->channels <= kMaxChannels;
  if (!valid || (sizes->has_compact_synthesis() && !sizes->has_synthesis())) return Status::kSideInfoCorrupt;
  if (!kHasMatrices) return Status::kOk;
  const bool has_matrix = sizes->has_analysis() || sizes->has_synthesis();
  const uint64_t element_bytes = sizes->has_compact_synthesis() ? sizeof(int8_t) : sizeof(int16_t);
  const uint64_t matrix_bytes = element_bytes * sizes->channels * sizes->components;
  return has_matrix && matrix_bytes > bytes ? Status::kSideInfoTruncated : Status::kOk;
}

FMTC_SELDOM Status ParseSideInfo(const uint8_t* data, size_t bytes, SideInfoSizes* sizes, SideInfo* info) {
  const Status status = ReadSideInfoSizes(data, bytes, sizes);
  if (status != Status::kOk) return status;
  const uint32_t length = Load<uint32_t>(data + 8);
  if (length > bytes) return Status::kSideInfoTruncated;
  if (length < bytes || length % kSectionAlignment != 0) return Status::kSideInfoCorrupt;
  const uint32_t crc = ExtendCrc32c(ExtendCrc32c(0, data, 12), data + 16, bytes - 16);
  if (crc != Load<uint32_t>(data + 12)) return Status::kSideInfoCorrupt;

  ReadFixedFields(data, *sizes, info);
  if (!AreFixedFieldsValid(sizes->flags, *info)) return Status::kSideInfoCorrupt;
  Cursor cursor(data, bytes, kHeaderBytes);
  const bool readable = ReadVariableFields(sizes->flags, &cursor, info);
  if (cursor.overrun()) return Status::kSideInfoTruncated;
  if (!readable || !cursor.at_end()) return Status::kSideInfoCorrupt;
  return AreComponentsValid(*info) && AreMatricesBounded(*info) ? Status::kOk : Status::kSideInfoCorrupt;
}

}  // namespace fmtc
