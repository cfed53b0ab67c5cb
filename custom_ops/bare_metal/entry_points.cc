// What a program calls, and no more: linked with the codec alone, this tells the codec's size.
#include "codec/codec.h"

namespace fmtc {

// In a section of its own, which does not count.
extern const void* const entry_points[];
__attribute__((section(".entry_points"), used)) const void* const entry_points[] = {
    reinterpret_cast<const void*>(CodecMemorySize), reinterpret_cast<const void*>(InitCodec),
    reinterpret_cast<const void*>(PlanMap),         reinterpret_cast<const void*>(EncodeWorkspaceSize),
    reinterpret_cast<const void*>(Encode),          reinterpret_cast<const void*>(DecodeWorkspaceSize),
    reinterpret_cast<const void*>(Decode)};

}  // namespace fmtc
