"""Writing files so that nothing is ever half-written and nothing that existed is lost, and knowing what was written.

A new file and a regular one get their content as a whole: it is complete under another name first. Folders for it are
made. A link is followed and stays. What is no file, such as a FIFO, /dev/null or /dev/stdout, is written into; it is
never replaced.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from fmtc_tflite.errors import FmtcError, OutputExistsError, UsageError, reason

_PREFIX = ".fmtc_"
_MAX_LINKS = 40
_SMALL_BYTES = 1 << 24
_KINDS = ((stat.S_ISDIR, "folder"), (stat.S_ISSOCK, "socket"), (stat.S_ISBLK, "block device"))

# What this process has written: outputs with the identity of the file that got the name (None: written into), and
# places that keep results for the next run.
_published: dict[Path, tuple[int, int] | None] = {}
_kept: dict[Path, None] = {}


class _Target(NamedTuple):
    """What an output's name stands for.

    Attributes:
      path: as it was named.
      place: the file to create or replace: `path` unless that is a link.
      found: what is there; None if nothing.
      is_file: a regular file, or a new one.
      descriptor: of this process, where the name stands for one, such as /dev/stdout.
    """

    path: Path
    place: Path
    found: os.stat_result | None
    is_file: bool
    descriptor: int | None = None


class _Staged(NamedTuple):
    """A complete file that has not got its name yet; names are relative to the folder, a descriptor."""

    target: _Target
    folder: int
    name: str
    identity: tuple[int, int]


def check_writable(paths: Sequence[Path], overwrite: bool, inputs: Sequence[Path] = ()) -> None:
    """Fails early, before hours of work, where an output cannot be written.

    Args:
      paths: the outputs.
      overwrite: whether regular files may be replaced. What is no file is never replaced, and needs no permission.
      inputs: files that no output may replace.

    Raises:
      OutputExistsError: a path exists and `overwrite` is false.
      UsageError: a path is a folder, a socket, a block device or a link to nothing, or its folder cannot be made
        or is not writable, or it may not be written, or two paths are the same, or one is an input.
    """
    replaced = {os.path.realpath(path) for path in paths if os.path.isfile(path)}
    for path in inputs:  # first, since --overwrite, which other messages advise, would not help
        if os.path.isfile(path) and os.path.realpath(path) in replaced:
            raise UsageError(f"the output would replace {path} itself, which is read; name another file")
    _targets(paths, overwrite)


def beside(path: Path, name: str) -> Path:
    """The file of another name in the folder of a file.

    Raises:
      UsageError: `path` names a folder, such as '' or '/'.
    """
    if not path.name:
        raise UsageError(f"{path} is a folder, expected a file name")
    return path.with_name(name)


def in_folder(output: str | Path, name: str) -> Path:
    """The output as it is named; the file `name` in it where that is a folder, which need not be there yet: `new/`."""
    return Path(output, name) if str(output).endswith("/") or os.path.isdir(output) else Path(output)


def write_all(contents: Sequence[tuple[Path, bytes]], overwrite: bool) -> None:
    """Writes several files: all are complete on disk before the first one gets its name.

    Args:
      contents: outputs and what to write.
      overwrite: see `check_writable`. Without it, a file that has appeared since is not replaced either.

    Raises:
      FmtcError: the disk is full, a folder not writable or the like; it says which of the files were written.
    """
    targets = _targets([path for path, _ in contents], overwrite)
    jobs = [(target, data) for target, (_, data) in zip(targets, contents, strict=True)]
    done: list[Path] = []
    try:
        with ExitStack() as stack:
            staged = [_stage(target, data, stack) for target, data in jobs if target.is_file]
            for file in staged:
                _publish(file, overwrite)
                done.append(file.target.path)
            for target, data in jobs:  # last, since whoever reads may have us wait
                if not target.is_file:
                    _write_into(target, data)
                    done.append(target.path)
    except _WriteError as error:
        so_far = f"written: {_list(done)}" if done else "nothing was written"
        if isinstance(error.cause, FileExistsError):
            raise OutputExistsError(
                f"{error.path} was written by another process meanwhile; pass --overwrite to replace it, or name "
                f"another file; {so_far}"
            ) from error
        raise FmtcError(f"cannot write {error.path}: {reason(error.cause)}; {so_far}") from error


def keep(path: Path, data: bytes) -> None:
    """Writes, or replaces, a file of results that the next run goes on from; no output in the sense of `written`.

    Raises:
      FmtcError: the disk is full, the folder not writable or the like; the file is as it was.
    """
    try:
        write_all([(path, data)], overwrite=True)
    finally:
        _published.pop(path, None)


def keeps(place: Path) -> None:
    """Has `account` say that results for the next run are kept in a file or folder, once it exists."""
    _kept[place] = None


def written() -> list[Path]:
    """The outputs that this process has written and that are still what it wrote."""
    return [path for path, identity in _published.items() if identity is None or _identity(path) == identity]


def account() -> str:
    """What this process has written, as the end of a message."""
    done, kept = written(), [place for place in _kept if os.path.exists(place)]
    if done:
        return f"written: {_list(done)}"
    if kept:
        return f"no output was written; the same command goes on from what is kept in {_list(kept)}"
    return "nothing was written"


def read_small(path: Path) -> bytes:
    """The content of a file that people write, such as a recipe; may be a pipe.

    Raises:
      OSError: it cannot be read, or is larger than any such file is.
    """
    with path.open("rb") as file:
        content = file.read(_SMALL_BYTES + 1)
    if len(content) > _SMALL_BYTES:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return content


def is_temporary(name: str) -> bool:
    """Whether a file of this name is one that this module did not finish, as the process was killed."""
    return name.startswith(_PREFIX)


def _list(paths: Sequence[Path]) -> str:
    return ", ".join(map(str, paths))


# --- what an output's name stands for ---------------------------------------------------------------------------------


def _targets(paths: Sequence[Path], overwrite: bool) -> list[_Target]:
    """What outputs stand for, each of them something that can be written. Raises as `check_writable` does."""
    targets = []
    for path in paths:
        try:
            targets.append(_inspect(path))
            _check(targets[-1], overwrite)
        except (OSError, ValueError) as error:
            raise UsageError(f"cannot write {path}: {reason(error)}; name another file") from error
    replaced = [os.path.realpath(target.path) for target in targets if target.is_file]
    if len(set(replaced)) < len(replaced):
        raise UsageError(f"outputs {_list(paths)} are the same file; name different ones")
    return targets


def _inspect(path: Path) -> _Target:
    descriptor = _own_descriptor(path)
    if descriptor is not None:
        return _Target(path, path, os.fstat(descriptor), is_file=False, descriptor=descriptor)
    try:
        found = os.stat(path)
    except FileNotFoundError:
        if os.path.islink(path):
            raise UsageError(f"{path} is a link to {os.readlink(path)}, which does not exist; remove it") from None
        return _Target(path, path, None, is_file=True)
    kind = next((name for is_kind, name in _KINDS if is_kind(found.st_mode)), None)
    if kind is not None:
        raise UsageError(f"{path} is a {kind}, expected a file name")
    if not stat.S_ISREG(found.st_mode):
        return _Target(path, path, found, is_file=False)
    place = Path(os.path.realpath(path)) if os.path.islink(path) else path
    if _identity(place) != (found.st_dev, found.st_ino):  # another process's descriptor of a file that has no name
        raise UsageError(f"{path} is a file without a name; name another file")
    return _Target(path, place, found, is_file=True)


def _own_descriptor(path: Path) -> int | None:
    """The open file of this process that a name like /dev/stdout, /dev/fd/3 or a link to one stands for, else None."""
    for _ in range(_MAX_LINKS):
        is_own = re.fullmatch(rf"/proc/{os.getpid()}(/task/\d+)?/fd", os.path.realpath(path.parent))
        if is_own and path.name.isdecimal():
            return int(path.name)
        if not os.path.islink(path):
            return None
        path = path.parent / os.readlink(path)
    return None


def _check(target: _Target, overwrite: bool) -> None:
    path, folder = target.path, target.place.parent
    if target.descriptor is not None:
        if fcntl.fcntl(target.descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise UsageError(f"{path} is closed, or open for reading only; name a file")
        return
    if target.found is not None and target.is_file and not overwrite:
        raise OutputExistsError(f"{path} exists; pass --overwrite to replace it, or name another file")
    if target.found is not None and not os.access(path, os.W_OK):
        raise UsageError(f"{path} may not be written; name another file")
    if not target.is_file:
        return
    there = next(parent for parent in (folder, *folder.absolute().parents) if os.path.lexists(parent))
    if not there.is_dir():
        raise UsageError(f"cannot make folder {path.parent} of output {path.name}: {there} is no folder; name another")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UsageError(f"folder {path.parent if there == folder else there} is not writable; name another file")


def _identity(path: Path) -> tuple[int, int] | None:
    """What tells a file from any other; None if there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


# --- writing ----------------------------------------------------------------------------------------------------------


class _WriteError(Exception):
    def __init__(self, path: Path, cause: OSError) -> None:
        super().__init__(path, cause)
        self.path, self.cause = path, cause


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Puts the output's name, as the user gave it, to whatever goes wrong."""
    try:
        yield
    except OSError as error:
        raise _WriteError(path, error) from error


def _stage(target: _Target, data: bytes, stack: ExitStack) -> _Staged:
    """Writes a file under another name in the folder of its place; leaving the stack removes what has no name then."""
    with _writing(target.path):
        _make_folder(target.place.parent, stack)
        folder = os.open(target.place.parent, os.O_PATH | os.O_DIRECTORY)
        stack.callback(os.close, folder)
        name = f"{_PREFIX}{secrets.token_hex(8)}"  # short, as the output's own name may be as long as names can be
        stack.callback(_remove, folder, name)
        handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666, dir_fd=folder)
        with os.fdopen(handle, "wb") as file:
            if target.found is not None:
                with suppress(OSError):  # only root may give files away
                    os.fchown(handle, target.found.st_uid, target.found.st_gid)
                with suppress(OSError):  # not every file system has modes
                    os.fchmod(handle, target.found.st_mode & 0o777)
            file.write(data)
            file.flush()
            os.fsync(handle)
            status = os.fstat(handle)
    return _Staged(target, folder, name, (status.st_dev, status.st_ino))


def _make_folder(folder: Path, stack: ExitStack) -> None:
    """Makes a folder and those above it; leaving the stack removes them again if there is nothing in them."""
    missing = [parent for parent in (folder, *folder.parents) if not os.path.isdir(parent)]
    for parent in reversed(missing):
        with suppress(FileExistsError):  # another process was first; if it is no folder, using it fails
            os.mkdir(parent)
            stack.callback(_remove_if_empty, parent)


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):
        os.rmdir(folder)


def _publish(file: _Staged, overwrite: bool) -> None:
    """Gives a complete file its name."""
    name, folder = file.target.place.name, file.folder
    _published[file.target.path] = file.identity  # before it is so, since an interrupt may come right after
    with _writing(file.target.path):
        if not overwrite:
            try:
                os.link(file.name, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
                return
            except FileExistsError:
                raise
            except OSError:  # a file system without hard links
                _replace_reserved(file)
                return
        os.replace(file.name, name, src_dir_fd=folder, dst_dir_fd=folder)


def _replace_reserved(file: _Staged) -> None:
    """Takes the name first, so that no other process can have it. Raises FileExistsError if one has."""
    name, folder = file.target.place.name, file.folder
    os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, dir_fd=folder))
    try:
        os.replace(file.name, name, src_dir_fd=folder, dst_dir_fd=folder)
    except OSError:
        _remove(folder, name)
        raise


def _remove(folder: int, name: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)


def _write_into(target: _Target, data: bytes) -> None:
    with _writing(target.path):
        if target.descriptor is None:
            handle = os.open(target.path, os.O_WRONLY | os.O_NOCTTY)
        else:
            for stream in (sys.stdout, sys.stderr):  # what was printed comes before
                if stream is not None:
                    stream.flush()
            handle = os.dup(target.descriptor)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
    _published[target.path] = None
