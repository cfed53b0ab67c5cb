#!/usr/bin/env bash
# The core on an emulated Cortex-M4, as it is and small: golden vectors to the byte, and the size of the small one.
# Needs Debian's gcc-arm-none-eabi, libnewlib-arm-none-eabi, libstdc++-arm-none-eabi-newlib and qemu-system-arm.
# $1: scratch folder.
set -euo pipefail

readonly MAX_BYTES=6400 # code and constants of encoder and decoder with all that they call, without the KLT

# $1: FMTC_SMALL.
run_on_board() {
  cmake -S custom_ops -B "$scratch/$1" -G Ninja -DCMAKE_TOOLCHAIN_FILE=cmake/arm-none-eabi.cmake \
    -DCMAKE_BUILD_TYPE=MinSizeRel -DFMTC_SMALL="$1" -DFMTC_WERROR=ON
  cmake --build "$scratch/$1" --parallel 2
  ctest --test-dir "$scratch/$1" --verbose --no-tests=error --timeout 300
}

scratch=$1
run_on_board OFF
run_on_board ON

arm-none-eabi-size -A "$scratch/ON/core_size" | awk -v most="$MAX_BYTES" '
  $1 == ".text" || $1 == ".rodata" || $1 == ".data" || $1 == ".bss" { size[$1] = $2 }
  END {
    total = size[".text"] + size[".rodata"]
    printf "small core: %d bytes of code, %d of constants, %d of static memory; at most %d, 0\n",
      size[".text"], size[".rodata"], size[".data"] + size[".bss"], most
    exit size[".text"] == 0 || total > most || size[".data"] + size[".bss"] > 0
  }'

# The small core's loops and limits on this machine, under sanitizers.
cmake -S custom_ops -B "$scratch/native" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo \
  -DFMTC_BUILD_TESTS=ON -DFMTC_SANITIZE=ON -DFMTC_WERROR=ON -DFMTC_SMALL=ON
cmake --build "$scratch/native" --parallel 2
ctest --test-dir "$scratch/native" --output-on-failure --no-tests=error --parallel 2
