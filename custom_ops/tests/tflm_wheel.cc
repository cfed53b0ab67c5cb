// What the Python package tflite-micro calls to get ops of users, by name: for tests in that one version of it, on
// x86-64. Its resolver is a table of registrations, which it exports no function to extend.
#include <cstring>

#include "micro/tflm_ops.h"

namespace {

constexpr uint32_t kMostOps = 200;

// tflite::micro::MicroMutableOpResolver<200>.
struct Resolver {
  const void* virtual_functions;
  TFLMRegistration registrations[kMostOps];
  uint32_t count;
};

bool Add(const char* name, const TFLMRegistration& registration, Resolver* resolver) {
  for (uint32_t i = 0; i < resolver->count; ++i) {
    const TFLMRegistration& other = resolver->registrations[i];
    if (other.custom_name != nullptr && std::strcmp(other.custom_name, name) == 0) return true;
  }
  if (resolver->count >= kMostOps) return false;
  resolver->registrations[resolver->count++] = registration;
  return true;
}

}  // namespace

extern "C" __attribute__((visibility("default"))) bool FmtcAddOps(void* resolver) {
  auto* r = static_cast<Resolver*>(resolver);
  // Another layout has another number there.
  if (r->count == 0 || r->count > kMostOps) return false;
  return Add("FMTC_REGION", *FmtcRegisterRegion(), r) && Add("FMTC_ENCODE", *FmtcRegisterEncode(), r) &&
         Add("FMTC_DECODE", *FmtcRegisterDecode(), r);
}
