#!/usr/bin/env bash
# Fuzzes each target for a minute with libFuzzer. Needs clang and its runtime. $1: scratch folder.
set -euo pipefail

CC=clang CXX=clang++ cmake -S custom_ops -B "$1" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo \
  -DFMTC_BUILD_FUZZERS=ON -DFMTC_SANITIZE=ON
cmake --build "$1" --parallel 2
for source in custom_ops/fuzz/*_fuzz.cc; do
  "$1/$(basename "$source" .cc)" -max_total_time=60 -artifact_prefix="$1/" -print_final_stats=1
done
