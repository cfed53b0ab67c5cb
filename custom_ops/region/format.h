// The records of a region's program, as REGION.md section 3 lays them out.
#ifndef FMTC_REGION_FORMAT_H_
#define FMTC_REGION_FORMAT_H_

#include <cstdint>

namespace fmtc::region {

constexpr uint32_t kMagic = 0x47524D46;  // the bytes "FMRG"
constexpr uint16_t kVersion = 1;
constexpr uint32_t kProgramAlignment = 16;

struct Header {
  uint32_t magic;
  uint16_t version;
  uint8_t kernel_set;
  uint8_t reserved0;
  uint32_t bytes;
  uint32_t checksum;
  uint16_t tensors;
  uint16_t ops;
  uint16_t passes;
  uint16_t inputs;
  uint16_t outputs;
  uint16_t reserved1;
  uint32_t scratch_bytes;
  uint32_t tensors_offset;
  uint32_t ops_offset;
  uint32_t passes_offset;
  uint32_t steps_offset;
  uint32_t steps;
  uint32_t reserved2[3];
};
static_assert(sizeof(Header) == 64);

enum Place : uint8_t { kScratch = 0, kInput = 1, kOutput = 2 };

// TFLite's numbers.
enum Type : uint8_t { kFloat32 = 1, kInt32 = 2, kUInt8 = 3, kInt64 = 4, kInt8 = 9 };

struct TensorRecord {
  uint8_t place;
  uint8_t type;
  uint16_t number;
  uint32_t height;
  uint32_t width;
  uint32_t channels;
  uint32_t offset;
  uint32_t depth;
  uint32_t row_bytes;
  uint32_t pixel_bytes;
  uint16_t left;
  uint16_t right;
  uint8_t padding;
  uint8_t windowed;
  uint8_t form;
  uint8_t reserved0;
  uint32_t phase;
  uint32_t between;  // rows of other tensors
};
static_assert(sizeof(TensorRecord) == 48);

struct OpRecord {
  uint8_t kind;
  uint8_t rule;
  uint16_t inputs;
  uint16_t output;
  uint16_t reserved0;
  uint32_t inputs_offset;
  uint32_t parameters_offset;
  uint32_t parameter_bytes;
  uint32_t memory_offset;
  uint32_t memory_bytes;
  uint32_t reserved1;
};
static_assert(sizeof(OpRecord) == 32);

struct PassRecord {
  uint16_t first_op;
  uint16_t ops;
  uint32_t first_step;
  uint32_t steps;
  uint32_t windows_offset;  // 0: all columns
};
static_assert(sizeof(PassRecord) == 16);

struct Window {
  uint16_t first;
  uint16_t end;
};
static_assert(sizeof(Window) == 4);

}  // namespace fmtc::region

#endif  // FMTC_REGION_FORMAT_H_
