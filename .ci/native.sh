#!/usr/bin/env bash
# Builds the native library and its tests with sanitizers and warnings as errors, and runs them; then the test of threads
# with ThreadSanitizer. $1: scratch folder.
set -euo pipefail

cmake -S custom_ops -B "$1" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo \
  -DFMTC_BUILD_TESTS=ON -DFMTC_SANITIZE=ON -DFMTC_WERROR=ON
cmake --build "$1" --parallel 2
ctest --test-dir "$1" --output-on-failure --no-tests=error --parallel 2

cmake -S custom_ops -B "$1/threads" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo \
  -DFMTC_BUILD_TESTS=ON -DFMTC_SANITIZE_THREADS=ON -DFMTC_WERROR=ON
cmake --build "$1/threads" --parallel 2 --target threads_test
"$1/threads/threads_test"
