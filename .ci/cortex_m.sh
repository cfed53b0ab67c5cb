#!/usr/bin/env bash
# The core on an emulated Cortex-M4, as it is and small: golden vectors to the byte, and the size of the small one.
# Regions on an emulated Cortex-M4 and -M55: golden vectors, whole networks, their size, and C source that builds.
# Needs Debian's gcc-arm-none-eabi, libnewlib-arm-none-eabi, libstdc++-arm-none-eabi-newlib and qemu-system-arm.
# $1: scratch folder.
set -euo pipefail

readonly MAX_BYTES=6400 # code and constants of encoder and decoder with all that they call, without the KLT
readonly MAX_REGION_BYTES=16384 # of regions with convolutions, ADD, pools, FULLY_CONNECTED and SOFTMAX
readonly MAX_BOTH_BYTES=22528   # of both

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

# $1: program without an operating system, $2: most bytes of its code and constants.
check_size() {
  arm-none-eabi-size -A "$scratch/ON/$1" | awk -v name="$1" -v most="$2" '
    $1 == ".text" || $1 == ".rodata" || $1 == ".data" || $1 == ".bss" { size[$1] = $2 }
    END {
      total = size[".text"] + size[".rodata"]
      printf "%s: %d bytes of code, %d of constants, %d of static memory; at most %d, 0\n",
        name, size[".text"], size[".rodata"], size[".data"] + size[".bss"], most
      exit size[".text"] == 0 || total > most || size[".data"] + size[".bss"] > 0
    }'
}

check_size core_size "$MAX_BYTES"
check_size region_size "$MAX_REGION_BYTES"
check_size region_codec_size "$MAX_BOTH_BYTES"
python tools/code_size.py "$scratch/ON/region_size"

# Networks whose outputs are to be this machine's, where there are models.
networks=()
if [[ -n ${FMTC_TEST_DATA:-} ]]; then
  for name in ds_cnn_kws_int8 resnet8_cifar10_int8 mobilenet_v1_0.25_96_vww_int8 tinyengine_vww; do
    networks+=("$FMTC_TEST_DATA/models/$name.tflite")
  done
  python tools/make_network_vectors.py --output "$scratch/networks.bin" "${networks[@]}"
fi
for cpu in cortex-m4 cortex-m55; do
  for vectors in tests/golden/region_vectors.bin "$scratch/networks.bin"; do
    [[ -e $vectors ]] || continue
    cmake -S custom_ops -B "$scratch/$cpu" -G Ninja -DCMAKE_TOOLCHAIN_FILE=cmake/arm-none-eabi.cmake \
      -DCMAKE_BUILD_TYPE=Release -DFMTC_CPU=$cpu -DFMTC_WERROR=ON -DFMTC_REGION_VECTORS="$(realpath "$vectors")"
    cmake --build "$scratch/$cpu" --parallel 2 --target region_golden_test
    ctest --test-dir "$scratch/$cpu" --verbose --no-tests=error --timeout 300 -R region_golden_test
  done
done
pytest -n 0 tests/unit/conversion/test_emit_c.py

# The small core's loops and limits on this machine, under sanitizers.
cmake -S custom_ops -B "$scratch/native" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo \
  -DFMTC_BUILD_TESTS=ON -DFMTC_SANITIZE=ON -DFMTC_WERROR=ON -DFMTC_SMALL=ON
cmake --build "$scratch/native" --parallel 2
ctest --test-dir "$scratch/native" --output-on-failure --no-tests=error --parallel 2
