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

.ci/bare_environment.sh "$1"/*.whl "$1/venv"
