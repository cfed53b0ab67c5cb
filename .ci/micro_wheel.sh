#!/usr/bin/env bash
# The ops in TensorFlow Lite Micro on this machine: its Python package, of the one version whose layout they know.
# Wants a virtual environment with this package and its test extras in use. $1: scratch folder.
set -euo pipefail

readonly TFLITE_MICRO=tflite-micro==0.dev20261023182759

if ! pip install --quiet "$TFLITE_MICRO"; then
  echo "$TFLITE_MICRO cannot be installed for $(python --version) on $(uname -m): skipped" >&2
  exit 0
fi
cmake -S custom_ops -B "$1" -G Ninja -DFMTC_BUILD_TESTS=ON -DFMTC_WERROR=ON
cmake --build "$1" --parallel 2 --target tflm_wheel
FMTC_TFLM_WHEEL="$1/libtflm_wheel.so" pytest tests/e2e/test_micro_wheel.py
