#!/usr/bin/env bash
# Opens reports of fmtc-profile in Debian's Chromium: on a phone and a desktop, light and dark, and printed.
# Needs the package in the environment. $1: scratch folder.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mkdir -p "$1"
cd "$1"
python - <<'PY'
import importlib.resources, pathlib
demo = importlib.resources.files("fmtc_tflite") / "demo"
for name in ("demo_int8.tflite", "demo_samples.npz"):
    pathlib.Path(name).write_bytes((demo / name).read_bytes())
PY
fmtc-convert demo_int8.tflite --execution ops --calibration_data demo_samples.npz --output converted.tflite --overwrite >convert.log 2>&1

fmtc-convert demo_int8.tflite --output regions.tflite --overwrite >regions.log 2>&1

# $1: name; the rest: arguments of fmtc-profile.
check() {
  fmtc-profile "${@:2}" --html "$1.html" --json "$1.json" --overwrite >"$1.txt"
  python "$here/check_html.py" "$1.html" "$1.json"
}
check alone demo_int8.tflite
check compared demo_int8.tflite --compare converted.tflite --memory_system npu_sram_dram --on_chip_bytes 20000 --fps 30
check regions demo_int8.tflite --compare regions.tflite --clock_hz 5e8
check measured converted.tflite --data demo_samples.npz --traffic_model as_executed --nocodec_cost
