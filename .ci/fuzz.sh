#!/usr/bin/env bash
# Runs each fuzz target with sanitizers on inputs from seeds, 10^8 of them over all targets and levels of kernels and
# 10^7 more hostile programs of regions, and 10^6 for the executor of microcontrollers; then for half a minute with
# libFuzzer. Needs clang and its runtime. $1: scratch folder. Inputs that fail go to dist/fuzz.
set -euo pipefail

readonly INPUTS=100000000 REGION_INPUTS=10000000 PROCESSES=2

cmake -S custom_ops -B "$1" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DFMTC_BUILD_TESTS=ON -DFMTC_SANITIZE=ON
cmake --build "$1" --parallel 2 --target fuzz_driver fuzz_micro
CC=clang CXX=clang++ cmake -S custom_ops -B "$1/libfuzzer" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo \
  -DFMTC_BUILD_FUZZERS=ON -DFMTC_SANITIZE=ON
cmake --build "$1/libfuzzer" --parallel 2 --target fuzz_libfuzzer

mkdir -p dist/fuzz
pids=()
for ((seed = 1; seed <= PROCESSES; ++seed)); do
  "$1/fuzz_driver" --seed "$seed" --inputs $((INPUTS / PROCESSES)) --artifacts dist/fuzz >"$1/seed_$seed.txt" &
  pids+=($!)
  "$1/fuzz_driver" --target region --seed $((1000 + seed)) --inputs $((REGION_INPUTS / PROCESSES)) \
    --artifacts dist/fuzz >"$1/seed_region_$seed.txt" &
  pids+=($!)
done
"$1/fuzz_micro" tests/golden/region_vectors.bin 1000000 7
failed=0
for pid in "${pids[@]}"; do wait "$pid" || failed=1; done
cat "$1"/seed_*.txt
cat "$1"/seed_*.txt | awk -v least="$((INPUTS + REGION_INPUTS))" -v failed="$failed" '
  NF == 2 && $2 == "inputs" { total += $1 }
  END { print total " inputs in total"; exit failed || total < least }'

for target in $("$1/fuzz_driver" --targets); do
  echo "--- libFuzzer: $target"
  FMTC_FUZZ_TARGET=$target "$1/libfuzzer/fuzz_libfuzzer" -max_total_time=30 -artifact_prefix="dist/fuzz/$target-" \
    -print_final_stats=1
done
