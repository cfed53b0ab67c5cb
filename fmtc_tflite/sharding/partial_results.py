"""Results of an unfinished evaluation, kept in a folder so that the same evaluation can go on after an interruption.

One file for each finished shard, written under another name and then renamed, and `identity.json`, which says what they
are results of: models, data and flags.
"""

from __future__ import annotations

import fcntl
import io
import json
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np

from fmtc_tflite import files
from fmtc_tflite.errors import UsageError, reason

_IDENTITY, _LOCK = "identity.json", "lock"
_SHARD = re.compile(r"shard_(\d{6})\.npz")
_HASH_DIGITS = 12


class PartialResults:
    """The folder of one evaluation; a context manager that keeps other runs out of it."""

    def __init__(self, folder: Path, identity: Mapping[str, Any]) -> None:
        """Opens or makes the folder.

        Args:
          folder: its parent must exist.
          identity: flag or name -> value (JSON-serialisable) of all that results depend on.

        Raises:
          UsageError: it holds results of something else, other files, or another run is at work in it.
        """
        self._folder = folder
        try:
            folder.mkdir(exist_ok=True)
            strangers = [path.name for path in folder.iterdir() if not _is_ours(path.name)]
            if strangers:
                raise UsageError(f"{folder}: holds other files ({strangers[0]}); name an empty folder as --resume_dir")
            self._lock: IO[bytes] | None = self._acquire()
        except OSError as error:
            raise UsageError(
                f"{folder}: cannot keep partial results there ({reason(error)}); see --resume_dir"
            ) from error
        files.keeps(folder)
        try:
            self._check_identity(dict(identity))
        except BaseException:
            self._lock.close()
            raise

    def __enter__(self) -> PartialResults:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Lets other runs in; a folder without results goes."""
        if self._lock is not None:
            if self._folder.exists() and not self.finished:
                self.remove()
            self._lock.close()
            self._lock = None

    @property
    def finished(self) -> set[int]:
        """Numbers of the shards whose results are here."""
        matches = (_SHARD.fullmatch(path.name) for path in self._folder.iterdir())
        return {int(match[1]) for match in matches if match}

    def write(self, shard: int, state: Mapping[str, np.ndarray]) -> None:
        """Keeps a shard's results."""
        buffer = io.BytesIO()
        arrays: dict[str, Any] = dict(state)
        np.savez_compressed(buffer, **arrays)
        files.keep(self._path(shard), buffer.getvalue())

    def read(self, shard: int) -> dict[str, np.ndarray]:
        """A finished shard's results.

        Raises:
          UsageError: the file is damaged.
        """
        path = self._path(shard)
        try:
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as archive:
                return dict(archive)
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise UsageError(f"{path}: is damaged ({error}); delete it and run the same command again") from error

    def remove(self) -> None:
        """Removes everything: the evaluation is finished."""
        for path in self._folder.iterdir():
            path.unlink()
        self._folder.rmdir()

    def _path(self, shard: int) -> Path:
        return self._folder / f"shard_{shard:06}.npz"

    def _acquire(self) -> IO[bytes]:
        lock = (self._folder / _LOCK).open("wb")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return lock
        except OSError as error:
            lock.close()
            raise UsageError(f"{self._folder}: another run is at work there; wait for it to end") from error

    def _check_identity(self, identity: dict[str, Any]) -> None:
        path = self._folder / _IDENTITY
        wanted = json.loads(json.dumps(identity))
        if not path.exists():
            files.keep(path, json.dumps(wanted, indent=1).encode())
            return
        try:
            found = json.loads(path.read_bytes())
        except (OSError, ValueError, RecursionError) as error:
            raise UsageError(f"{path}: is damaged; delete the folder {self._folder} to begin anew") from error
        if found != wanted:
            raise UsageError(
                f"{self._folder}: holds results of an interrupted run that differs: {describe_changes(found, wanted)}; "
                "finish that one with its own flags, or delete the folder to begin anew"
            )


def describe_changes(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """In what two identities (flag or name -> value) differ, for a message."""
    differing = [name for name in {**found, **wanted} if found.get(name) != wanted.get(name)]
    return ", ".join(f"{name} {_short(wanted.get(name))}, was {_short(found.get(name))}" for name in differing)


def _is_ours(name: str) -> bool:
    """Whether a file is one of this module's, unfinished ones included."""
    return name in (_IDENTITY, _LOCK) or bool(_SHARD.fullmatch(name)) or files.is_temporary(name)


def _short(value: Any) -> str:
    """A value for a message; hashes need not be complete."""
    text = "unset" if value is None else str(value)
    return text[:_HASH_DIGITS] if re.fullmatch(r"[0-9a-f]{64}", text) else text
