#!/usr/bin/env bash
# Style and types, with the tools of the virtual environment in use.
set -euo pipefail

ruff check .
ruff format --check .
mypy
git ls-files -z '*.cc' '*.h' | xargs -0 clang-format --dry-run -Werror
