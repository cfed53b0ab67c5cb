#!/usr/bin/env bash
# The wheel for x86-64 that docs/building.md tells how to build keeps its tag, and runs. $1: scratch folder.
set -euo pipefail
source .ci/lib.sh

pip install --quiet ziglang auditwheel
rm -rf dist/x86_64
documented_command docs/building.md \
  "pip wheel . --no-deps -w dist/x86_64 -C cmake.define.CMAKE_TOOLCHAIN_FILE=cmake/zig.cmake -C cmake.define.FMTC_TARGET=x86_64-linux-gnu.2.17 -C wheel.tags=py3-none-manylinux_2_17_x86_64"
wheel=$(ls dist/x86_64/fmtc_tflite-*-py3-none-manylinux_2_17_x86_64.whl)
audited_wheel "$wheel" manylinux_2_17_x86_64
.ci/bare_environment.sh "$wheel" "$1/venv"

# It takes the processor's instructions as the library of the gate's compiler does.
say_level='import fmtc_tflite; print(fmtc_tflite.runtime_info()["cpu_level"])'
[[ "$("$1/venv/bin/python" -I -c "$say_level")" == "$(python -I -c "$say_level")" ]]
