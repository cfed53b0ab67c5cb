#!/usr/bin/env bash
# Builds sdist and wheel (the wheel from the sdist) and checks what they hold. $1: scratch folder.
set -euo pipefail

pip install --quiet build
python -m build --outdir "$1" .
ls "$1"
python - "$1" <<'PY'
import pathlib
import re
import sys
import tarfile
import zipfile

folder = pathlib.Path(sys.argv[1])
(wheel,) = folder.glob("*.whl")
(sdist,) = folder.glob("*.tar.gz")
assert re.fullmatch(r"fmtc_tflite-[\w.]+-py3-none-(?!any)\w+\.whl", wheel.name), wheel.name
files = set(zipfile.ZipFile(wheel).namelist())
for needed in ("__init__.py", "py.typed", "_native/libfmtc_tflite.so", "_native/libfmtc_litert_accelerator.so"):
    assert f"fmtc_tflite/{needed}" in files, needed
foreign = {f for f in files if not re.match(r"fmtc_tflite(-[\w.]+\.dist-info)?/", f)}
assert not foreign, foreign
sources = {name.partition("/")[2] for name in tarfile.open(sdist).getnames()}
for needed in ("LICENSE", "NOTICE", "README.md", "custom_ops/CMakeLists.txt", "custom_ops/FORMAT.md", "tests/conftest.py"):
    assert needed in sources, needed
print(f"{len(files)} files in the wheel, {len(sources)} in the sdist")
PY

# The wheel that docs/building.md tells how to build runs where there is no compiler.
source .ci/lib.sh
pip install --quiet ziglang auditwheel
rm -rf dist/x86_64
documented_command docs/building.md \
  "pip wheel . --no-deps -w dist/x86_64 -C cmake.define.CMAKE_TOOLCHAIN_FILE=cmake/zig.cmake -C cmake.define.FMTC_TARGET=x86_64-linux-gnu.2.17 -C wheel.tags=py3-none-manylinux_2_17_x86_64"
wheel=$(ls dist/x86_64/fmtc_tflite-*-py3-none-manylinux_2_17_x86_64.whl)
audited_wheel "$wheel" manylinux_2_17_x86_64
"${PYTHON:-python3}" -m venv "$1/venv"
bare=(env -i "PATH=$1/venv/bin" "HOME=$1")
if "${bare[@]}" "$1/venv/bin/python" -c 'import shutil, sys; sys.exit(any(map(shutil.which, ("cc", "c++", "gcc", "g++", "clang"))))'; then
  "${bare[@]}" "$1/venv/bin/python" -m pip install --quiet --only-binary=:all: "$wheel"
  "${bare[@]}" fmtc-convert --demo
  "${bare[@]}" fmtc-eval --version
else
  echo "there is a compiler in $1/venv/bin" >&2
  exit 1
fi
