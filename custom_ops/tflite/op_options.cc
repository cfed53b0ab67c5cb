#include "tflite/op_options.h"

#include <cstring>

namespace fmtc {
namespace {

// Type codes of the flexbuffer format.
enum FlexType : uint8_t { kFlexInt = 1, kFlexUInt = 2, kFlexString = 5, kFlexMap = 9 };

// A value that is stored at `position` in `width` bytes: a scalar itself or the distance back to its target.
struct FlexValue {
  size_t position;
  size_t width;
  uint8_t type;
  size_t target_width;  // width of what is stored at the target
};

// Reader of the one map that the options are. Every access is checked against the size.
class FlexReader {
 public:
  FlexReader(const void* data, size_t bytes) : data_(static_cast<const uint8_t*>(data)), bytes_(bytes) {}

  // The last two bytes are the root's type and width; the root stands before them.
  bool Root(FlexValue* root) const {
    if (data_ == nullptr || bytes_ < 3) return false;
    const size_t width = data_[bytes_ - 1];
    if (!IsWidth(width) || width > bytes_ - 2) return false;
    *root = MakeValue(bytes_ - 2 - width, width, data_[bytes_ - 2]);
    return true;
  }

  // Opens the map at `value`: [keys offset][keys width][size] values[size] types[size]. False if it is none.
  bool Open(const FlexValue& value) {
    size_t target;
    if (value.type != kFlexMap || !Target(value, &target)) return false;
    width_ = value.target_width;
    if (target < 3 * width_) return false;
    uint64_t key_width, entries, keys_entries;
    FlexValue keys{target - 3 * width_, width_, kFlexMap, 0};
    if (!Read(target - 2 * width_, width_, &key_width) || !IsWidth(key_width)) return false;
    if (!Read(target - width_, width_, &entries) || entries > (bytes_ - target) / (width_ + 1)) return false;
    key_width_ = static_cast<size_t>(key_width);
    if (!Target(keys, &keys_) || keys_ < key_width_) return false;
    if (!Read(keys_ - key_width_, key_width_, &keys_entries) || keys_entries != entries) return false;
    values_ = target;
    entries_ = static_cast<size_t>(entries);
    return entries_ <= (bytes_ - keys_) / key_width_;
  }

  bool Find(const char* key, FlexValue* value) const {
    const size_t key_bytes = std::strlen(key) + 1;
    for (size_t i = 0; i < entries_; ++i) {
      size_t position;
      const FlexValue entry{keys_ + i * key_width_, key_width_, kFlexString, 1};
      if (!Target(entry, &position) || key_bytes > bytes_ - position) continue;
      if (std::memcmp(data_ + position, key, key_bytes) != 0) continue;
      *value = MakeValue(values_ + i * width_, width_, data_[values_ + entries_ * width_ + i]);
      return true;
    }
    return false;
  }

  // A signed or unsigned scalar from 1 to `max`.
  bool PositiveInt(const char* key, int32_t max, int32_t* out) const { return Int(key, 1, max, out); }

  // A signed or unsigned scalar from `min`, 0 or more, to `max`.
  bool Int(const char* key, uint32_t min, int32_t max, int32_t* out) const {
    FlexValue value;
    uint64_t bits;
    if (!Find(key, &value) || (value.type != kFlexInt && value.type != kFlexUInt)) return false;
    if (!Read(value.position, value.width, &bits)) return false;
    const bool negative = value.type == kFlexInt && (bits >> (8 * value.width - 1)) != 0;
    if (negative || bits < min || bits > static_cast<uint64_t>(max)) return false;
    *out = static_cast<int32_t>(bits);
    return true;
  }

  bool String(const char* key, const char** text, size_t* text_bytes) const {
    FlexValue value;
    size_t target;
    uint64_t length;
    if (!Find(key, &value) || value.type != kFlexString || !Target(value, &target)) return false;
    if (target < value.target_width || !Read(target - value.target_width, value.target_width, &length)) return false;
    if (length > bytes_ - target) return false;
    *text = reinterpret_cast<const char*>(data_ + target);
    *text_bytes = static_cast<size_t>(length);
    return true;
  }

 private:
  static bool IsWidth(uint64_t width) { return width == 1 || width == 2 || width == 4 || width == 8; }

  static FlexValue MakeValue(size_t position, size_t width, uint8_t packed_type) {
    return {position, width, static_cast<uint8_t>(packed_type >> 2), size_t{1} << (packed_type & 3)};
  }

  bool Read(size_t position, size_t width, uint64_t* value) const {
    if (width > bytes_ || position > bytes_ - width) return false;
    *value = 0;
    for (size_t i = 0; i < width; ++i) *value |= static_cast<uint64_t>(data_[position + i]) << (8 * i);
    return true;
  }

  bool Target(const FlexValue& value, size_t* target) const {
    uint64_t distance;
    if (!Read(value.position, value.width, &distance) || distance > value.position) return false;
    *target = value.position - static_cast<size_t>(distance);
    return true;
  }

  const uint8_t* data_;
  size_t bytes_;
  size_t width_ = 0, key_width_ = 0;  // bytes of a value, of a key's offset
  size_t values_ = 0, keys_ = 0;      // positions of the first value, of the first key's offset
  size_t entries_ = 0;
};

bool ParseType(const FlexReader& reader, const char* key, ElementType* type) {
  const char* text;
  size_t bytes;
  if (!reader.String(key, &text, &bytes)) return false;
  const bool is_int8 = bytes == 4 && std::memcmp(text, "int8", 4) == 0;
  const bool is_uint8 = bytes == 5 && std::memcmp(text, "uint8", 5) == 0;
  *type = is_int8 ? ElementType::kInt8 : ElementType::kUInt8;
  return is_int8 || is_uint8;
}

// The options of a view (FORMAT.md section 9): all of them are there, or none.
bool ParseView(const FlexReader& reader, OpOptions* options) {
  static const char* const kKeys[kViewAxes][6] = {
      {"begin_height", "step_height", "count_height", "before_height", "after_height", "view_height"},
      {"begin_width", "step_width", "count_width", "before_width", "after_width", "view_width"},
      {"begin_channels", "step_channels", "count_channels", "before_channels", "after_channels", "view_channels"}};
  static const uint8_t kLeast[6] = {0, 1, 1, 0, 0, 1};
  for (int i = 0; i < kViewAxes; ++i) {
    int32_t values[6], order;
    for (int j = 0; j < 6; ++j) {
      if (!reader.Int(kKeys[i][j], kLeast[j], INT32_MAX, &values[j])) return false;
    }
    static const char* const kOrderKeys[kViewAxes] = {"axis_of_height", "axis_of_width", "axis_of_channels"};
    if (!reader.PositiveInt(kOrderKeys[i], kViewAxes, &order)) return false;
    ViewAxis* const axis = &options->view.axes[i];
    *axis = {static_cast<uint32_t>(values[0]), static_cast<uint32_t>(values[1]), static_cast<uint32_t>(values[2]),
             static_cast<uint32_t>(values[3]), static_cast<uint32_t>(values[4])};
    options->view_shape[i] = values[5];
    options->view.order[i] = static_cast<uint8_t>(order - 1);
  }
  int32_t border;
  if (!reader.Int("border", 0, 255, &border) || !ParseType(reader, "view_type", &options->view_type)) return false;
  options->view.border = static_cast<uint8_t>(border);
  return true;
}

}  // namespace

void CopyPrintable(const char* name, size_t bytes, char* out, size_t capacity) {
  const size_t length = bytes < capacity ? bytes : capacity - 1;
  for (size_t i = 0; i < length; ++i) out[i] = name[i] >= ' ' && name[i] <= '~' ? name[i] : '?';
  out[length] = '\0';
}

const char* ParseOpOptions(const void* data, size_t bytes, OpOptions* options) {
  *options = OpOptions{};
  if (data == nullptr || bytes == 0) return "its options are missing";
  FlexReader reader(data, bytes);
  FlexValue root;
  if (!reader.Root(&root) || !reader.Open(root)) return "its options are not a flexbuffer map";
  const char* name;
  size_t name_bytes;
  if (!reader.String("tensor", &name, &name_bytes)) return "its option 'tensor' is missing or no string";
  CopyPrintable(name, name_bytes, options->tensor, sizeof(options->tensor));
  if (!reader.PositiveInt("format_version", INT32_MAX, &options->format_version)) {
    return "its option 'format_version' is missing or not positive";
  }
  if (options->format_version > kFormatVersion) return nullptr;
  if (!reader.PositiveInt("height", INT32_MAX, &options->height) ||
      !reader.PositiveInt("width", INT32_MAX, &options->width) ||
      !reader.PositiveInt("channels", 65536, &options->channels)) {
    return "its option 'height', 'width' or 'channels' is missing or out of range";
  }
  options->stride_height = options->stride_width = 1;
  FlexValue stride;
  if ((reader.Find("stride_height", &stride) &&
       !reader.PositiveInt("stride_height", INT32_MAX, &options->stride_height)) ||
      (reader.Find("stride_width", &stride) &&
       !reader.PositiveInt("stride_width", INT32_MAX, &options->stride_width))) {
    return "its option 'stride_height' or 'stride_width' is out of range";
  }
  if (!ParseType(reader, "type", &options->type)) return "its option 'type' is neither 'int8' nor 'uint8'";
  FlexValue view;
  options->has_view = reader.Find("view_type", &view);
  if (options->has_view && !ParseView(reader, options)) return "its options of a view are incomplete or out of range";
  return nullptr;
}

}  // namespace fmtc
