// What LiteRT 2.2 and 2.3 and their accelerators tell one another, as far as it is used here. It is internal to LiteRT
// (litert/c/internal there) and has versions of its own, in the headers that the structs begin with.
#ifndef FMTC_LITERT_LITERT_ABI_H_
#define FMTC_LITERT_LITERT_ABI_H_

#include <cstdint>

namespace fmtc {
namespace litert {

enum Status : int { kOk = 0, kUnsupported = 5, kRuntimeFailure = 3 };

constexpr int kCpu = 1;  // a set of one kind of hardware
constexpr uint16_t kMajorVersion = 1;

struct AbiHeader {
  uint16_t struct_bytes;  // this header included
  uint16_t major_version;
  uint16_t minor_version;
  uint16_t reserved;
};

struct ApiVersion {
  int major, minor, patch;
};

// Functions of LiteRT that accelerators may call.
struct RuntimeContext {
  AbiHeader header;
  void* others[17];
  Status (*wrap_delegate)(void* delegate, void (*destroy)(void* delegate), void** wrapper);
};

using GetName = Status (*)(const void* accelerator, const char** name);
using GetVersion = Status (*)(const void* accelerator, ApiVersion* version);
using GetHardware = Status (*)(const void* accelerator, int* hardware);
using CompilesItself = Status (*)(const void* accelerator, bool* does);
using CreateDelegate = Status (*)(RuntimeContext* runtime, void* environment, const void* accelerator, void* options,
                                  void** wrapper);

// What a library says of its accelerator.
struct AcceleratorDefinition {
  AbiHeader header;
  GetName get_name;
  GetVersion get_version;
  GetHardware get_hardware;
  CompilesItself compiles_itself;
  CreateDelegate create_delegate;
  void* metrics[3];
  void* own_buffers[16];  // null: none of its own
};
static_assert(sizeof(AcceleratorDefinition) == 200, "the size that LiteRT 2.2 and 2.3 check");

}  // namespace litert
}  // namespace fmtc

#endif  // FMTC_LITERT_LITERT_ABI_H_
