#!/usr/bin/env bash
# Generated files in the repository are what their generators write. $1: scratch folder.
set -euo pipefail

mkdir -p "$1"
python tools/make_golden_vectors.py --output "$1/vectors.bin"
cmp tests/golden/vectors.bin "$1/vectors.bin"
echo "tests/golden/vectors.bin is up to date"
python tools/make_region_vectors.py --check
echo "tests/golden/region_vectors.bin is up to date"
