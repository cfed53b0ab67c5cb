"""The calibration store: one file with what was measured on calibration samples, so that it is measured once.

An `.npz` file whose member `header` is JSON: the version of this format, the identity of the calibration (model, data
and flags: what all results depend on) and, for each result, its stage and parameters. The other members are the
results' arrays, `<number of the result>/<name>`. Nothing in it names a place on a machine: data is known by its hash.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import os
import time
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from fmtc_tflite import files
from fmtc_tflite.data.dataset import Dataset
from fmtc_tflite.errors import UsageError
from fmtc_tflite.graph.model_io import Model, Tensor
from fmtc_tflite.runtime.interpreter import available_runtimes
from fmtc_tflite.sharding.partial_results import describe_changes
from fmtc_tflite.types import CalibrationOptions

# To be raised whenever the layout changes, or what a stage measures under the same parameters.
FORMAT_VERSION = 2
_FORMAT = "fmtc-tflite calibration store"
_HEADER = "header"
_FLAG = "--calibration_store"
_SAVING_SHARE = 0.05  # of the time is spent on saving at most, unless something ends
# What reading a damaged archive or header raises.
_DAMAGE = (
    OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, EOFError, RuntimeError, MemoryError,
    SyntaxError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip

Arrays = Mapping[str, np.ndarray]
Parameters = Mapping[str, Any]


class CalibrationStore:
    """Results of calibration stages; a context manager that saves what it holds in the end, whatever happens.

    Results are saved while they come in, so that what is interrupted goes on from there. Several runs of one
    calibration may share the file: each keeps what the others have saved.
    """

    def __init__(self, path: Path | None, identity: Parameters) -> None:
        """Opens a store.

        Args:
          path: the file; None keeps nothing. Its folder must exist.
          identity: flag or name -> value (JSON-serialisable) of all that every result depends on.

        Raises:
          UsageError: the file is damaged, no calibration store, of another version or of another calibration, or
            cannot be written.
        """
        self._path = path
        self._identity = json.loads(json.dumps(dict(identity)))
        self._entries: dict[str, Arrays] = {}
        self._unsaved = False
        self._seen: tuple[int, int, int] | None = None  # the file as it was last read or written
        self._saved_at, self._saving_seconds = 0.0, 0.0
        if path is not None:
            files.check_writable([path], overwrite=True)
            if path.exists() and not path.is_file():
                raise UsageError(f"{_FLAG} {path}: is no file; name another one")
            self._take_in_file()
            files.keeps(path)

    def __enter__(self) -> CalibrationStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.save()

    def get(self, stage: str, parameters: Parameters) -> Arrays | None:
        """What `put` was given under these names, now or in an earlier run; None if nothing."""
        return self._entries.get(_key(stage, parameters))

    def put(self, stage: str, parameters: Parameters, arrays: Arrays) -> None:
        """Keeps a result.

        Args:
          stage: what was measured.
          parameters: what the result depends on beside the store's identity; JSON-serialisable.
          arrays: of numbers or truth values, by name.
        """
        if self._path is None:
            return
        self._entries[_key(stage, parameters)] = dict(arrays)
        self._unsaved = True
        if time.monotonic() - self._saved_at >= self._saving_seconds / _SAVING_SHARE:
            self.save()

    def get_or_measure(self, stage: str, parameters: Parameters, measure: Callable[[], Arrays]) -> Arrays:
        """The kept result, or that of `measure`, which is then kept. See `put`."""
        return self.get_or_measure_each(stage, [parameters], lambda missing: [measure()])[0]

    def get_or_measure_each(
        self, stage: str, parameters: Sequence[Parameters], measure: Callable[[list[int]], Iterable[Arrays]]
    ) -> list[Arrays]:
        """Results of a stage that has several, such as one for each feature map.

        Args:
          stage, parameters: see `put`; one mapping for each result.
          measure: gets the places in `parameters` whose results are missing, if any, and gives those in this order.
            What it gives is kept one by one, so a generator that is interrupted goes on where it was.
        """
        results = {i: found for i, wanted in enumerate(parameters) if (found := self.get(stage, wanted)) is not None}
        missing = [i for i in range(len(parameters)) if i not in results]
        if missing:
            for i, arrays in zip(missing, measure(missing), strict=True):
                results[i] = arrays
                self.put(stage, parameters[i], arrays)
        return [results[i] for i in range(len(parameters))]

    def save(self) -> None:
        """Writes the file, if anything came in; it is replaced as a whole.

        Raises:
          FmtcError: the disk is full or the folder not writable; the file is as it was.
        """
        if self._path is None or not self._unsaved:
            return
        start = time.monotonic()
        with _locked(self._path.parent):
            self._take_in_file()
            files.keep(self._path, self._to_bytes())
            self._seen = _state_of(self._path)
        self._unsaved = False
        self._saved_at = time.monotonic()
        self._saving_seconds = self._saved_at - start

    def _to_bytes(self) -> bytes:
        keys = sorted(self._entries)
        header = {
            "format": _FORMAT,
            "version": FORMAT_VERSION,
            "identity": self._identity,
            "results": [json.loads(key) for key in keys],
        }
        arrays = {_HEADER: np.frombuffer(json.dumps(header, indent=1).encode(), np.uint8)}
        for number, key in enumerate(keys):
            arrays |= {f"{number}/{name}": value for name, value in self._entries[key].items()}
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)  # type: ignore[arg-type]
        return buffer.getvalue()

    def _take_in_file(self) -> None:
        """Adds what the file holds, unless it is what this object last read or wrote."""
        assert self._path is not None
        state = _state_of(self._path)
        if state is None or state == self._seen:
            return
        header, entries = _read(self._path)
        if header["identity"] != self._identity:
            changes = describe_changes(header["identity"], self._identity)
            raise UsageError(
                f"{_FLAG} {self._path}: holds another calibration: {changes}; give the flags and data that it was made "
                "with, or name another file"
            )
        self._entries = {**entries, **self._entries}
        self._seen = state


def calibration_identity(content: bytes, options: CalibrationOptions, data: Dataset) -> dict[str, Any]:
    """What all measurements of a calibration depend on, by the flag that says it.

    Args:
      content: the model.
      options: where the samples come from.
      data: the data, or any part of it.
    """
    return {
        "MODEL": hashlib.sha256(content).hexdigest(),
        "--calibration_data": data.fingerprint(),
        **options.by_flag(),
        "runtime": next(iter(available_runtimes()), None),
    }


def tensor_key(model: Model, tensor: Tensor) -> str:
    """A name for one tensor of a model, for parameters: numbers of subgraph and tensor."""
    for i, subgraph in enumerate(model.subgraphs):
        for j, candidate in enumerate(subgraph.tensors):
            if candidate is tensor:
                return f"{i}:{j}"
    raise ValueError(f"tensor {tensor.name!r} is not of this model")


def _key(stage: str, parameters: Parameters) -> str:
    return json.dumps({"stage": stage, "parameters": dict(parameters)}, sort_keys=True)


def _state_of(path: Path) -> tuple[int, int, int] | None:
    """What changes when a file is replaced; None if there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keeps other runs from saving in a folder meanwhile."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Arrays]]:
    """Header and results of a file.

    Raises:
      UsageError: it is damaged, no store, or of another version.
    """
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as archive:
            members = dict(archive) if isinstance(archive, np.lib.npyio.NpzFile) else {}
        header = json.loads(members.pop(_HEADER).tobytes())
        if header["format"] != _FORMAT:
            raise ValueError(f"it says {header['format']!r}")
        version = header["version"]
        if version == FORMAT_VERSION:
            return header, _entries(header, members)
    except _DAMAGE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UsageError(
            f"{_FLAG} {path}: is no calibration store, or a damaged one ({reason}); name another file, or delete it to "
            "measure anew"
        ) from error
    raise UsageError(
        f"{_FLAG} {path}: is of format version {version}, expected {FORMAT_VERSION}; name another file, or delete it "
        "to measure anew"
    )


def _entries(header: Mapping[str, Any], members: Mapping[str, np.ndarray]) -> dict[str, Arrays]:
    if not isinstance(header["identity"], dict):
        raise ValueError("its identity is damaged")
    entries: list[dict[str, np.ndarray]] = [{} for _ in header["results"]]
    for member, values in members.items():
        number, _, name = member.partition("/")
        entries[int(number)][name] = values
    keys = [_key(result["stage"], result["parameters"]) for result in header["results"]]
    return dict(zip(keys, entries, strict=True))
