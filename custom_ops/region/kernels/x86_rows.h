// What the tables of rows need from outside, before their instructions are switched on.
#ifndef FMTC_REGION_KERNELS_X86_ROWS_H_
#define FMTC_REGION_KERNELS_X86_ROWS_H_

#include <immintrin.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#include "cpu/target.h"
#include "region/kernels/levels.h"
#include "region/packed_weights.h"
#include "region/pixel_bytes.h"
#include "region/plain_kernels.h"
#include "region/taps.h"

#endif  // FMTC_REGION_KERNELS_X86_ROWS_H_
