"""Writing files so that nothing is ever half-written and nothing that existed is lost."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from fmtc_tflite.errors import FmtcError, OutputExistsError, UsageError


def check_writable(paths: Sequence[Path], overwrite: bool) -> None:
    """Fails early, before hours of work, where an output cannot be written.

    Raises:
      OutputExistsError: a path exists and `overwrite` is false.
      UsageError: a path is a folder, or its folder is missing or not writable, or two paths are the same.
    """
    if len({p.resolve() for p in paths}) < len(paths):
        raise UsageError(f"outputs {', '.join(map(str, paths))} are the same file; name different ones")
    for path in paths:
        if path.is_dir():
            raise UsageError(f"{path} is a folder, expected a file name")
        if path.exists() and not overwrite:
            raise OutputExistsError(f"{path} exists; pass --overwrite to replace it, or name another file")
        if not path.parent.is_dir():
            raise UsageError(f"folder {path.parent} of output {path.name} does not exist; create it first")
        if not os.access(path.parent, os.W_OK):
            raise UsageError(f"folder {path.parent} is not writable; name another file")


def write_all(contents: Sequence[tuple[Path, bytes]]) -> None:
    """Writes several files: all are complete on disk before the first one gets its name.

    Raises:
      FmtcError: the disk is full or a folder not writable; nothing is replaced then.
    """
    staged: list[tuple[str, Path]] = []
    try:
        for path, data in contents:
            staged.append((_write_temporary(path, data), path))
        while staged:
            os.replace(*staged[0])
            staged.pop(0)
    except OSError as e:
        raise FmtcError(f"cannot write {e.filename or contents[0][0]}: {e.strerror}; nothing was replaced") from e
    finally:
        for temporary, _ in staged:
            Path(temporary).unlink(missing_ok=True)


def _write_temporary(path: Path, data: bytes) -> str:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as f:
            f.write(data)
            f.flush()
            os.fsync(f.fileno())
        os.chmod(name, 0o666 & ~_umask())
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return name


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
