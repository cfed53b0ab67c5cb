"""Files that stand for others."""

from __future__ import annotations

from pathlib import Path

from fmtc_tflite.text import is_git_lfs_pointer


def is_pointer_file(path: Path) -> bool:
    """Whether a file is a Git LFS pointer; False if it cannot be read."""
    try:
        with path.open("rb") as file:
            return is_git_lfs_pointer(file.read(64))
    except OSError:
        return False
