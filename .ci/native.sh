#!/usr/bin/env bash
# Builds the native library and its tests with sanitizers and warnings as errors, and runs them; then the test of threads
# with ThreadSanitizer; and checks what the compiler makes of the kernels as they are released. $1: scratch folder.
set -euo pipefail

# -O1: sanitizers make the kernels' compilation slow, and find the same without the optimizer's last tenth.
readonly sanitized=(-G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_CXX_FLAGS_RELWITHDEBINFO='-O1 -g -DNDEBUG')

cmake -S custom_ops -B "$1" "${sanitized[@]}" \
  -DFMTC_BUILD_TESTS=ON -DFMTC_BUILD_BENCH=ON -DFMTC_SANITIZE=ON -DFMTC_WERROR=ON
cmake --build "$1" --parallel 2
ctest --test-dir "$1" --output-on-failure --no-tests=error --parallel 2

# The benchmark runs, and both its outputs have their form; what it measures here means nothing.
"$1/codec_bench" --seconds 0 --shape 14x14x64 | grep -c '^| decode |' | grep -qx 3
"$1/codec_bench" --seconds 0 --shape 14x14x64 --json | python3 -c '
import json, sys
maps = json.load(sys.stdin)["maps"]
assert [round(m["bits_per_value"], 1) for m in maps] == [1.5, 2.7, 4.5], maps
for m in maps:
    speeds = {(s["what"], s["by"]): s["gbps"] for s in m["speeds"]}
    assert {("encode", "scalar"), ("indices", "scalar"), ("decode", "memcpy"), ("decode", "rANS order 0")} <= set(speeds)
    assert all(gbps > 0 for gbps in speeds.values()), speeds
'
mkdir "$1/maps"
head -c 3072 /dev/zero | tr '\0' 'a' >"$1/maps/0.raw"
head -c 3072 "$1/codec_bench" >"$1/maps/1.raw"
printf '%s\n' '0.raw 16x12x16' '1.raw 32x32x3' >"$1/maps/maps.txt"
"$1/codec_bench" --seconds 0 --network "$1/maps/maps.txt" | grep -c '^| [a-z0-9]* | [0-9.e-]* | [0-9.e-]* |$'

# Beside the package's own build, whose objects a compiler cache has then.
readonly release=cmake-build/release
rm -rf "$release"

# As released: region_bench likewise, and no kernel's hot loops spill more than the data allow, which hold for GCC.
cmake -S custom_ops -B "$release" -G Ninja -DFMTC_BUILD_BENCH=ON -DFMTC_WERROR=ON
cmake --build "$release" --parallel 2 --target region_bench fmtc_codec_kernels
"$release/region_bench" --seconds 0 --only depthwise | grep -c '^| depthwise [^|]* |\( [0-9.]* |\)*$' | grep -qx 9
"$release/region_bench" --seconds 0 --json | python3 -c '
import json, sys
rows = json.load(sys.stdin)["rows"]
assert rows[0]["what"] == "at best" and {row["what"].split()[0] for row in rows[1:]} == {"conv", "depthwise", "add"}, rows
for row in rows:
    assert [s["by"] for s in row["speeds"]] == [s["by"] for s in rows[0]["speeds"]], row
    assert all(s["giga"] > 0 and s["spread"] >= 0 for s in row["speeds"]), row
'
# Installed, it is found by CMake and by pkg-config.
cmake --build "$release" --parallel 2 --target fmtc_tflite fmtc_litert_accelerator
cmake --install "$release" --prefix "$1/installed"
cmake -S examples/cpp -B "$1/consumer" -G Ninja -DCMAKE_PREFIX_PATH="$1/installed"
cmake --build "$1/consumer"
"$1/consumer/c_api"
"$1/consumer/register_ops"
fmtc-convert fmtc_tflite/demo/demo_int8.tflite -o "$1/demo_fmtc.tflite"
litert=$(python3 -c 'import ai_edge_litert; print(ai_edge_litert.__path__[0])')/libLiteRt.so
"$1/consumer/compiled_model" "$litert" "$1/demo_fmtc.tflite" | grep -x "ran, with 1 inputs and 1 outputs"
(
  PKG_CONFIG_PATH=$(dirname "$(find "$1/installed" -name fmtc.pc)")
  export PKG_CONFIG_PATH
  # shellcheck disable=SC2046  # several flags
  "${CC:-cc}" examples/cpp/c_api.c $(pkg-config --cflags --libs fmtc) -o "$1/c_api_pkg_config"
  LD_LIBRARY_PATH=$(pkg-config --variable=libdir fmtc) "$1/c_api_pkg_config"
)

if ! "${CXX:-c++}" --version | grep clang >/dev/null; then
  python3 tools/count_spills.py "$release/libfmtc_region_kernels.a" "$release/libfmtc_codec_kernels.a" \
    --limits tools/spill_limits.json
fi

cmake -S custom_ops -B "$1/threads" "${sanitized[@]}" \
  -DFMTC_BUILD_TESTS=ON -DFMTC_SANITIZE_THREADS=ON -DFMTC_WERROR=ON
cmake --build "$1/threads" --parallel 2 --target threads_test
"$1/threads/threads_test"
