// The reader of the ops' options: all keys, ranges, and bytes that lie.
#include "tflite/op_options.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "codec/side_info.h"
#include "tests/expect.h"
#include "tests/flex_map.h"

namespace fmtc {
namespace {

using test::FlexMap;
using test::MakeOptions;

// Parses a heap copy of exact size, so that AddressSanitizer sees a read outside.
const char* Parse(const std::vector<uint8_t>& bytes, OpOptions* options) {
  auto copy = std::make_unique<uint8_t[]>(bytes.size());
  std::copy(bytes.begin(), bytes.end(), copy.get());
  return ParseOpOptions(copy.get(), bytes.size(), options);
}

bool Contains(const char* text, const char* part) { return text != nullptr && std::strstr(text, part) != nullptr; }

void TestReadsAllKeys() {
  OpOptions options;
  EXPECT(Parse(MakeOptions(224, 100000, 3, "uint8").Bytes(), &options) == nullptr);
  EXPECT(options.format_version == 1 && options.height == 224 && options.width == 100000 && options.channels == 3);
  EXPECT(options.type == ElementType::kUInt8);
  EXPECT(std::strcmp(options.tensor, "conv1/relu") == 0);
  EXPECT(Parse(MakeOptions(1, 1, 65536, "int8").Bytes(), &options) == nullptr);
  EXPECT(options.type == ElementType::kInt8);
}

// Python flexbuffers.Dumps of {format_version 1, height 224, width 224, channels 300, type int8, tensor abc}.
void TestReadsWhatPythonWrites() {
  static const char kBytes[] =
      "format_version\x00height\x00width\x00"
      "channels\x00type\x00\x04int8\x00tensor\x00\x03"
      "abc\x00\x06!>0\x10\x1c,"
      "\x00\x07\x00\x01\x00\x06\x00,\x01\x01\x00\xe0\x00\x18\x00'\x00\xe0\x00\x05\x05\x05\x14\x14\x05\x12%\x01";
  OpOptions options;
  EXPECT(Parse(std::vector<uint8_t>(kBytes, kBytes + sizeof(kBytes) - 1), &options) == nullptr);
  EXPECT(options.height == 224 && options.channels == 300 && std::strcmp(options.tensor, "abc") == 0);
}

void TestRefusesValuesOutOfRange() {
  OpOptions options;
  for (const char* key : {"format_version", "height", "width", "channels"}) {
    FlexMap map = MakeOptions(8, 8, 8, "int8");
    for (int64_t value : {int64_t{0}, int64_t{-1}, INT64_MIN}) {
      map.Set(key, value);
      EXPECT(Contains(Parse(map.Bytes(), &options), key));
    }
    map.Set(key, "8");
    EXPECT(Contains(Parse(map.Bytes(), &options), key));
  }
  FlexMap map = MakeOptions(8, 8, 65537, "int8");
  EXPECT(Contains(Parse(map.Bytes(), &options), "channels"));
  for (const char* type : {"", "int", "int88", "uint16", "float32"}) {
    EXPECT(Contains(Parse(MakeOptions(8, 8, 8, type).Bytes(), &options), "type"));
  }
}

void TestReportsMissingKeys() {
  OpOptions options;
  for (const char* key : {"format_version", "height", "width", "channels", "type", "tensor"}) {
    FlexMap map = MakeOptions(8, 8, 8, "int8");
    map.Remove(key);
    EXPECT(Contains(Parse(map.Bytes(), &options), key));
  }
  EXPECT(Contains(Parse({}, &options), "missing"));
  EXPECT(Contains(ParseOpOptions(nullptr, 0, &options), "missing"));
  EXPECT(Parse(FlexMap().Bytes(), &options) != nullptr);
}

void TestNewerVersionNeedsNothingElse() {
  FlexMap map;
  map.Set("format_version", 7);
  map.Set("tensor", "x");
  OpOptions options;
  EXPECT(Parse(map.Bytes(), &options) == nullptr);
  EXPECT(options.format_version == 7 && std::strcmp(options.tensor, "x") == 0);
}

void TestNamesAreCutAndPrintable() {
  FlexMap map = MakeOptions(8, 8, 8, "int8");
  map.Set("tensor", std::string("a\nb\xff%s") + std::string(500, 'c'));
  OpOptions options;
  EXPECT(Parse(map.Bytes(), &options) == nullptr);
  EXPECT(std::strncmp(options.tensor, "a?b?%sccc", 9) == 0);
  EXPECT(std::strlen(options.tensor) == sizeof(options.tensor) - 1);
}

void TestSurvivesAnyBytes() {
  const std::vector<uint8_t> good = MakeOptions(224, 224, 3, "int8").Bytes();
  OpOptions options;
  for (size_t length = 0; length < good.size(); ++length) {
    EXPECT(Parse({good.begin(), good.begin() + static_cast<std::ptrdiff_t>(length)}, &options) != nullptr);
    Parse({good.begin() + static_cast<std::ptrdiff_t>(length), good.end()}, &options);
  }
  for (size_t i = 0; i < good.size(); ++i) {
    for (int value = 0; value < 256; ++value) {
      std::vector<uint8_t> bad = good;
      bad[i] = static_cast<uint8_t>(value);
      Parse(bad, &options);
    }
  }
  std::mt19937 random(1);
  for (int round = 0; round < 20000; ++round) {
    std::vector<uint8_t> bytes(random() % 80);
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
    if (bytes.size() >= 2) {
      bytes.back() = static_cast<uint8_t>(1 << random() % 4);
      bytes[bytes.size() - 2] = static_cast<uint8_t>(9 << 2 | random() % 4);
    }
    Parse(bytes, &options);
  }
}

}  // namespace
}  // namespace fmtc

int main() {
  fmtc::TestReadsAllKeys();
  fmtc::TestReadsWhatPythonWrites();
  fmtc::TestRefusesValuesOutOfRange();
  fmtc::TestReportsMissingKeys();
  fmtc::TestNewerVersionNeedsNothingElse();
  fmtc::TestNamesAreCutAndPrintable();
  fmtc::TestSurvivesAnyBytes();
  return 0;
}
