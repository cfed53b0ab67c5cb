#!/usr/bin/env bash
# aarch64 under emulation: all C++ tests with sanitizers, and the wheel that docs/building.md tells how to build.
# Needs Debian's g++-aarch64-linux-gnu and qemu-user-static. $1: scratch folder.
set -euo pipefail
source .ci/lib.sh

scratch=$1
cmake -S custom_ops -B "$scratch/build" -G Ninja -DCMAKE_TOOLCHAIN_FILE=cmake/aarch64-linux-gnu.cmake \
  -DCMAKE_BUILD_TYPE=RelWithDebInfo -DFMTC_BUILD_TESTS=ON -DFMTC_SANITIZE=ON -DFMTC_WERROR=ON
cmake --build "$scratch/build" --parallel 2
# The emulator has no ptrace, which the leak check wants. A processor with dot products, and one without.
export ASAN_OPTIONS=detect_leaks=0
QEMU_CPU=max ctest --test-dir "$scratch/build" --output-on-failure --no-tests=error --parallel 2
QEMU_CPU=cortex-a53 ctest --test-dir "$scratch/build" --output-on-failure --no-tests=error -R region_test\|_kernels_test

pip install --quiet ziglang auditwheel
rm -rf dist/aarch64
documented_command docs/building.md \
  "pip wheel . --no-deps -w dist/aarch64 -C cmake.define.CMAKE_TOOLCHAIN_FILE=cmake/zig.cmake -C cmake.define.FMTC_TARGET=aarch64-linux-gnu.2.17 -C wheel.tags=py3-none-manylinux_2_17_aarch64"
wheel=$(ls dist/aarch64/fmtc_tflite-*-py3-none-manylinux_2_17_aarch64.whl)
audited_wheel "$wheel" manylinux_2_17_aarch64
python -m zipfile -e "$wheel" "$scratch/wheel"
library=$(realpath "$scratch")/wheel/fmtc_tflite/_native/libfmtc_tflite.so
aarch64-linux-gnu-readelf -h "$library" | grep -E 'Machine: +AArch64'

# The wheel's library loads, and chooses the NEON kernels of the processor.
aarch64-linux-gnu-gcc -x c -o "$scratch/level" - -x none "$library" <<'C'
#include <stdio.h>
extern const char* fmtc_cpu_level(void);
int main(void) { return puts(fmtc_cpu_level()) < 0; }
C
while read -r processor expected; do
  level=$(qemu-aarch64-static -cpu "$processor" -L /usr/aarch64-linux-gnu -E LD_LIBRARY_PATH="$(dirname "$library")" \
    "$scratch/level")
  echo "kernels of $processor: $level"
  [[ "$level" == "$expected" ]]
done <<<'max neon_dotprod
cortex-a53 neon'
