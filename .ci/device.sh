#!/usr/bin/env bash
# An emulated device: the aarch64 wheel beside tflite-runtime in a Debian root of arm64 with Python 3.11 runs converted
# models, and codes and outputs the same bytes as this machine.
# Needs Debian's debootstrap and qemu-user-static, root, the package in the environment, and the wheel that
# .ci/aarch64.sh leaves in dist/aarch64. $1: scratch folder, which must not exist.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
wheels=("$here"/../dist/aarch64/fmtc_tflite-*_aarch64.whl)
if [[ ! -f "${wheels[0]}" ]]; then
  echo "$0: no wheel in dist/aarch64; docs/building.md, Wheels, has the command that builds it" >&2
  exit 1
fi
mkdir -p "$(dirname "$1")"
mkdir "$1"
cd "$1"

# debootstrap's second stage would configure the packages, with programs that this machine cannot start; Python runs
# without that.
root=$PWD/root
debootstrap --arch=arm64 --foreign --variant=minbase --include=python3,libstdc++6 bookworm "$root" >debootstrap.log || {
  tail debootstrap.log >&2
  exit 1
}
for package in $(<"$root/debootstrap/base"); do
  dpkg-deb --fsys-tarfile "$root/var/cache/apt/archives/${package}"_*.deb | tar -C "$root" -x --keep-directory-symlink
done
pip install --quiet --no-deps --only-binary=:all: --python-version 3.11 \
  --platform manylinux_2_34_aarch64 --platform manylinux_2_17_aarch64 --platform manylinux2014_aarch64 --target "$root/usr/lib/python3/dist-packages" \
  tflite-runtime 'numpy<2' "${wheels[@]}"

python - <<'PY'
import importlib.resources, pathlib
demo = importlib.resources.files("fmtc_tflite") / "demo"
for name, copy in (("demo_int8.tflite", "original.tflite"), ("demo_samples.npz", "samples.npz")):
    pathlib.Path(copy).write_bytes((demo / name).read_bytes())
PY
fmtc-convert original.tflite --execution ops --calibration_data samples.npz --output lossy.tflite >lossy.log
# Folded maps and regions compute as one set of kernels does; the reference kernels are the ones that all processors share.
fmtc-convert original.tflite --execution ops --calibration_data samples.npz --lossless --kernels reference \
  --output lossless.tflite >lossless.log
fmtc-convert original.tflite --kernels reference --output regions.tflite >regions.log

python "$here/device_run.py" host.npz
for level in "" scalar neon neon_dotprod; do
  env -i ${level:+FMTC_CPU_LEVEL=$level} qemu-aarch64-static -L "$root" "$root/usr/bin/python3" -s \
    "$here/device_run.py" "device_${level:-default}.npz"
  python "$here/device_compare.py" host.npz "device_${level:-default}.npz" "${level:-neon_dotprod}"
done
