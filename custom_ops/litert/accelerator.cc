// The delegate of tflite/delegate.cc as an accelerator of LiteRT's CompiledModel. A program gets it by registering it
// (accelerator.h), or by having LiteRT look for accelerators' libraries in a folder with this one:
// LiteRtAcceleratorImpl is the name that it looks up then.
#include "litert/accelerator.h"

#include <dlfcn.h>

#include <cstddef>
#include <cstdio>

#include "litert/litert_abi.h"

extern "C" {
void* tflite_plugin_create_delegate(char** keys, char** values, size_t num_options, void (*report_error)(const char*));
void tflite_plugin_destroy_delegate(void* delegate);
}

namespace fmtc {
namespace litert {
namespace {

constexpr char kOtherVersion[] =
    "fmtc-tflite: this LiteRT's interface to accelerators is another one; those of LiteRT 2.2 and 2.3 are tested";

void Report(const char* message) { std::fprintf(stderr, "%s\n", message); }

Status Name(const void*, const char** name) {
  *name = "fmtc";
  return kOk;
}

Status Version(const void*, ApiVersion* version) {
  *version = {0, 1, 0};
  return kOk;
}

Status Hardware(const void*, int* hardware) {
  *hardware = kCpu;
  return kOk;
}

// True has LiteRT apply the delegate to a model as it is, without a compiler's plug-in.
Status Compiles(const void*, bool* does) {
  *does = true;
  return kOk;
}

Status Create(RuntimeContext* runtime, void*, const void*, void*, void** wrapper) {
  if (runtime == nullptr || runtime->header.major_version != kMajorVersion ||
      runtime->header.struct_bytes < sizeof(RuntimeContext) || runtime->wrap_delegate == nullptr) {
    Report(kOtherVersion);
    return kUnsupported;
  }
  void* delegate = tflite_plugin_create_delegate(nullptr, nullptr, 0, Report);
  if (delegate == nullptr) return kRuntimeFailure;
  return runtime->wrap_delegate(delegate, tflite_plugin_destroy_delegate, wrapper);
}

// A function of LiteRT's C API; false if it has none of this name.
template <class Function>
bool Find(const char* name, Function* function) {
  *function = reinterpret_cast<Function>(dlsym(RTLD_DEFAULT, name));
  return *function != nullptr;
}

}  // namespace
}  // namespace litert
}  // namespace fmtc

extern "C" __attribute__((visibility("default"))) const fmtc::litert::AcceleratorDefinition LiteRtAcceleratorImpl;
const fmtc::litert::AcceleratorDefinition LiteRtAcceleratorImpl = {
    {sizeof(fmtc::litert::AcceleratorDefinition), fmtc::litert::kMajorVersion, 0, 0},
    fmtc::litert::Name,
    fmtc::litert::Version,
    fmtc::litert::Hardware,
    fmtc::litert::Compiles,
    fmtc::litert::Create,
    {},
    {},
};

const char* fmtc_litert_register(void* environment) {
  using namespace fmtc::litert;
  Status (*create)(void** accelerator);
  Status (*set_name)(void* accelerator, GetName function);
  Status (*set_version)(void* accelerator, GetVersion function);
  Status (*set_hardware)(void* accelerator, GetHardware function);
  Status (*set_compiles)(void* accelerator, CompilesItself function);
  Status (*set_delegate)(void* accelerator, CreateDelegate function);
  Status (*add)(void* environment, void* accelerator, void* data, void (*release)(void*));
  if (!Find("LiteRtCreateAccelerator", &create) || !Find("LiteRtSetAcceleratorGetName", &set_name) ||
      !Find("LiteRtSetAcceleratorGetVersion", &set_version) ||
      !Find("LiteRtSetAcceleratorGetHardwareSupport", &set_hardware) ||
      !Find("LiteRtSetIsAcceleratorDelegateResponsibleForJitCompilation", &set_compiles) ||
      !Find("LiteRtSetDelegateFunction", &set_delegate) || !Find("LiteRtRegisterAccelerator", &add)) {
    return "LiteRT's functions are not visible; link libLiteRt of version 2.2 or 2.3, or open it with RTLD_GLOBAL";
  }
  void* accelerator;
  if (create(&accelerator) != kOk) return "LiteRT made no accelerator";
  // On failure, LiteRT releases the accelerator.
  const bool is_set = set_name(accelerator, Name) == kOk && set_version(accelerator, Version) == kOk &&
                      set_hardware(accelerator, Hardware) == kOk && set_compiles(accelerator, Compiles) == kOk &&
                      set_delegate(accelerator, Create) == kOk;
  if (!is_set || add(environment, accelerator, nullptr, nullptr) != kOk) return "LiteRT refused the accelerator";
  return nullptr;
}
