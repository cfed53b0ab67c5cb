// What a program calls of regions, and no more: linked with the executor alone, this tells its size.
#include "micro/fmtc_region.h"

namespace fmtc {

// In a section of its own, which does not count.
extern const void* const region_entry_points[];
__attribute__((section(".entry_points"), used)) const void* const region_entry_points[] = {
    reinterpret_cast<const void*>(fmtc_region_scratch_bytes_of), reinterpret_cast<const void*>(fmtc_region_init),
    reinterpret_cast<const void*>(fmtc_region_invoke), reinterpret_cast<const void*>(fmtc_region_begin),
    reinterpret_cast<const void*>(fmtc_region_push_row)};

}  // namespace fmtc
