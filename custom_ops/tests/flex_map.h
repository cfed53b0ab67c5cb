// Writes the flexbuffer maps that the ops' options are, for tests.
#ifndef FMTC_TESTS_FLEX_MAP_H_
#define FMTC_TESTS_FLEX_MAP_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace fmtc {
namespace test {

// A map of integers and strings, all widths four bytes.
class FlexMap {
 public:
  void Set(const std::string& key, int64_t value) { entries_[key] = {true, value, ""}; }
  void Set(const std::string& key, const std::string& text) { entries_[key] = {false, 0, text}; }
  void Remove(const std::string& key) { entries_.erase(key); }

  std::vector<uint8_t> Bytes() const {
    std::vector<uint8_t> out;
    std::vector<size_t> key_positions, text_positions;
    for (const auto& [key, entry] : entries_) {
      key_positions.push_back(out.size());
      out.insert(out.end(), key.c_str(), key.c_str() + key.size() + 1);
      Append(&out, entry.text.size());
      text_positions.push_back(out.size());
      out.insert(out.end(), entry.text.c_str(), entry.text.c_str() + entry.text.size() + 1);
    }
    Append(&out, entries_.size());
    const size_t keys = out.size();
    for (size_t position : key_positions) Append(&out, out.size() - position);
    Append(&out, out.size() - keys);
    Append(&out, 4);
    Append(&out, entries_.size());
    const size_t values = out.size();
    size_t i = 0;
    for (const auto& [key, entry] : entries_) {
      const size_t distance = out.size() - text_positions[i++];
      Append(&out, entry.is_int ? static_cast<size_t>(entry.value) : distance);
    }
    for (const auto& [key, entry] : entries_) out.push_back(entry.is_int ? 1 << 2 | 2 : 5 << 2 | 2);
    Append(&out, out.size() - values);
    out.push_back(9 << 2 | 2);
    out.push_back(4);
    return out;
  }

 private:
  struct Entry {
    bool is_int;
    int64_t value;
    std::string text;
  };

  static void Append(std::vector<uint8_t>* out, size_t value) {
    for (int i = 0; i < 4; ++i) out->push_back(static_cast<uint8_t>(value >> (8 * i)));
  }

  std::map<std::string, Entry> entries_;
};

inline FlexMap MakeOptions(int height, int width, int channels, const std::string& type) {
  FlexMap options;
  options.Set("format_version", 1);
  options.Set("height", height);
  options.Set("width", width);
  options.Set("channels", channels);
  options.Set("type", type);
  options.Set("tensor", "conv1/relu");
  return options;
}

}  // namespace test
}  // namespace fmtc

#endif  // FMTC_TESTS_FLEX_MAP_H_
