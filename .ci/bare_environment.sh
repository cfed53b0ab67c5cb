#!/usr/bin/env bash
# Wheel $1 installs and runs where there is no compiler: in a new virtual environment, folder $2.
set -euo pipefail

"${PYTHON:-python3}" -m venv "$2"
bare=(env "PATH=$2/bin")  # pip keeps its settings
if ! "${bare[@]}" "$2/bin/python" -c 'import shutil, sys; sys.exit(any(map(shutil.which, ("cc", "c++", "gcc", "g++", "clang"))))'; then
  echo "there is a compiler in $2/bin" >&2
  exit 1
fi
"${bare[@]}" "$2/bin/python" -m pip install --quiet --only-binary=:all: "$1"
"${bare[@]}" fmtc-convert --demo
"${bare[@]}" fmtc-eval --version
