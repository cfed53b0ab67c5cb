"""Readers of .npy and .npz arrays, of which rows are read one at a time."""

from __future__ import annotations

import os
import struct
import weakref
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import numpy as np

from fmtc_tflite.data.dataset import Items, LabelMaps, Reader, is_pixels
from fmtc_tflite.data.pointer_files import is_pointer_file
from fmtc_tflite.data.preprocess import InputSpec, Preprocessing
from fmtc_tflite.errors import CalibrationError, UsageError, reason
from fmtc_tflite.text import GIT_LFS_POINTER

# What reading a damaged .npz or .npy raises.
_ARCHIVE_ERRORS = (OSError, ValueError, EOFError, RuntimeError, struct.error, zipfile.BadZipFile, zlib.error)
_LOCAL_HEADER = struct.Struct("<26xHH")  # a ZIP member's local header: lengths of its name and extra field at the end


class ArrayReader(Reader):
    """Rows of arrays in a .npy file, or in a .npz file by name."""

    def __init__(
        self,
        kind: str,
        path: Path,
        arrays: dict[str, ArrayRows],
        labels: np.ndarray | None = None,
        label_maps: LabelMaps | None = None,
    ) -> None:
        self.kind, self.labels, self.label_maps = kind, labels, label_maps
        self.files = [path]
        self._path = path
        self._arrays = arrays
        first = next(iter(arrays.values()))
        self._length = first.shape[0]
        self.stream_starts = range(0, max(self._length, 1), first.steps or max(self._length, 1))

    def __len__(self) -> int:
        return self._length

    def name(self, index: int) -> str:
        return f"{self._path}[{index}]"

    def read(self, indices: np.ndarray) -> Iterator[Items]:
        streams = [rows.read(indices) for rows in self._arrays.values()]
        for values in zip(*streams, strict=True):
            yield dict(zip(self._arrays, values, strict=True))


class ArrayRows:
    """The rows of one array file: mapped into memory where the file allows it, else (compressed) streamed.

    Attributes:
      where: The file, and the member's name.
      shape: Shape of the whole array.
      dtype: Its type, as stored.
      steps: Rows of each stream; None where the file does not say.
    """

    steps: int | None = None

    def __init__(self, path: Path, member: zipfile.ZipInfo | None = None) -> None:
        self.where = str(path) if member is None else f"{path}, '{member.filename.removesuffix('.npy')}'"
        self._path = path
        self._member = member
        self._mapped = member is None or member.compress_type == zipfile.ZIP_STORED
        self._stream: IO[bytes] | None = None
        try:
            with self._open() as file:
                self.shape, self._fortran_order, self.dtype = _read_npy_header(file)
                self._offset = file.tell()
        except _ARCHIVE_ERRORS as error:
            raise self._damaged(error) from error
        if self.dtype.hasobject:
            raise CalibrationError(f"{self.where}: got Python objects, expected numbers; save one plain array")
        if self._fortran_order and not self._mapped:
            raise CalibrationError(
                f"{self.where}: got a compressed array in Fortran order, expected rows one after the other; "
                "save np.ascontiguousarray(x)"
            )

    def merge_streams(self) -> None:
        """Takes an array [streams, steps, ...] for the rows of one stream after the other."""
        self.steps = self.shape[1]
        self.shape = (self.shape[0] * self.steps, *self.shape[2:])

    def read(self, indices: np.ndarray) -> Iterator[np.ndarray]:
        """The rows of these indices (ascending). Raises CalibrationError if the file is damaged."""
        try:
            yield from self._read_mapped(indices) if self._mapped else self._read_stream(indices)
        except _ARCHIVE_ERRORS as error:
            raise self._damaged(error) from error

    def _read_mapped(self, indices: np.ndarray) -> Iterator[np.ndarray]:
        shape = self.shape if self.steps is None else (len(self) // self.steps, self.steps, *self.shape[1:])
        mapped: np.ndarray = np.memmap(
            self._path, self.dtype, "r", self._offset, shape, "F" if self._fortran_order else "C"
        )
        for index in indices:
            yield np.array(mapped[index] if self.steps is None else mapped[divmod(int(index), self.steps)])

    def _read_stream(self, indices: np.ndarray) -> Iterator[np.ndarray]:
        row_shape = self.shape[1:]
        row_bytes = self.dtype.itemsize * int(np.prod(row_shape, dtype=np.int64))
        for index in indices:
            # Kept open: reading on from where the last rows ended, instead of inflating all before them again.
            if self._stream is None:
                self._stream = self._open()
                weakref.finalize(self, self._stream.close)
            self._stream.seek(self._offset + int(index) * row_bytes)
            data = self._stream.read(row_bytes)
            if len(data) != row_bytes:
                raise EOFError(f"ends in row {index}")
            yield np.frombuffer(data, self.dtype).reshape(row_shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getstate__(self) -> dict[str, object]:
        # The process that gets a copy may be in another folder.
        return {**self.__dict__, "_stream": None, "_path": self._path.absolute()}

    def _open(self) -> IO[bytes]:
        """The array's bytes from its header on; of a mapped array the whole file, so that positions are the file's."""
        if self._member is None:
            return self._path.open("rb")
        if not self._mapped:
            with zipfile.ZipFile(self._path) as archive:
                return archive.open(self._member)
        file = self._path.open("rb")
        file.seek(self._member.header_offset)
        name_bytes, extra_bytes = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
        file.seek(name_bytes + extra_bytes, os.SEEK_CUR)
        return file

    def _damaged(self, error: Exception) -> CalibrationError:
        if is_pointer_file(self._path):
            return CalibrationError(f"{self._path}: {GIT_LFS_POINTER}")
        return CalibrationError(f"{self.where}: got a damaged array file ({reason(error)}); save it again")


def open_npy(
    path: Path, specs: Sequence[InputSpec], preprocessing: Preprocessing, is_streamed: bool = False
) -> ArrayReader:
    """A .npy file with the samples [N, ...] of a model's only input; see open_npz for streams."""
    arrays = {specs[0].name: ArrayRows(path)}
    _merge_streams(arrays, specs, is_streamed)
    _check_arrays(arrays, specs, preprocessing)
    return ArrayReader("npy", path, arrays)


def open_npz(
    path: Path, specs: Sequence[InputSpec], preprocessing: Preprocessing, is_streamed: bool = False
) -> ArrayReader:
    """A .npz file with an array [N, ...] for each input by name (`x` for an only input) and, optionally, labels `y`.

    Labels are integers: [N], or [N, H, W] for a class of each pixel. For a model that keeps state, arrays and labels
    may be [streams, steps, ...].
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
    except _ARCHIVE_ERRORS as error:
        if is_pointer_file(path):
            raise CalibrationError(f"{path}: {GIT_LFS_POINTER}") from error
        raise CalibrationError(f"{path}: got no readable .npz file ({reason(error)}); save it again") from error
    arrays = {}
    for spec in specs:
        names = [spec.name, *spec.aliases] + (["x"] if len(specs) == 1 else [])
        key = next((name for name in names if name in members), None)
        if key is None:
            raise CalibrationError(
                f"{path}: got the arrays {', '.join(sorted(members)) or 'none'}, expected "
                f"'{names[-1]}' for {spec}; name the arrays after the inputs"
            )
        arrays[spec.name] = ArrayRows(path, members[key])
    steps = _merge_streams(arrays, specs, is_streamed)
    _check_arrays(arrays, specs, preprocessing)
    length = next(iter(arrays.values())).shape[0]
    labels = _labels(ArrayRows(path, members["y"]), length, steps) if "y" in members else None
    if isinstance(labels, ArrayRows):
        return ArrayReader("npz", path, arrays, label_maps=labels)
    return ArrayReader("npz", path, arrays, labels)


def _merge_streams(arrays: dict[str, ArrayRows], specs: Sequence[InputSpec], is_streamed: bool) -> int | None:
    """Takes arrays [streams, steps, ...] apart; gives the steps of a stream, or None if there are no such arrays."""
    streams = [rows for spec in specs if _has_streams(rows := arrays[spec.name], spec)] if is_streamed else []
    for rows in streams:
        rows.merge_streams()
    return next((rows.steps for rows in streams), None)


def _has_streams(rows: ArrayRows, spec: InputSpec) -> bool:
    return len(rows.shape) > 1 and rows.shape[1:] not in spec.layouts() and rows.shape[2:] in spec.layouts()


def _labels(rows: ArrayRows, length: int, steps: int | None = None) -> np.ndarray | ArrayRows | None:
    """One label a sample, or the rows of label maps, or None for what is neither (targets of a regression, say)."""
    if steps is not None and rows.shape[1:2] == (steps,):
        rows.merge_streams()
    if rows.shape[:1] != (length,):
        raise CalibrationError(
            f"{rows.where}: got the shape {list(rows.shape)}, expected {length} labels, one a sample"
        )
    if len(rows.shape) == 2 and rows.shape[1] > 1:
        return _from_one_hot(rows)
    if rows.dtype.kind not in "iu" or len(rows.shape) not in (1, 2, 3):
        return None
    if len(rows.shape) == 3:
        return rows
    values = np.stack(list(rows.read(np.arange(length)))).astype(np.int64)
    return values.reshape(length) if values.size == length else None


def _from_one_hot(rows: ArrayRows) -> np.ndarray | None:
    """The labels that rows all 0 but for one 1 stand for; None if they are something else."""
    labels = []
    for row in rows.read(np.arange(len(rows))):
        places = np.flatnonzero(row)
        if len(places) != 1 or row[places[0]] != 1:
            return None
        labels.append(int(places[0]))
    return np.array(labels, np.int64)


def _check_arrays(arrays: dict[str, ArrayRows], specs: Sequence[InputSpec], preprocessing: Preprocessing) -> None:
    any_pixels = False
    for spec in specs:
        rows = arrays[spec.name]
        _check_type(rows, spec)
        pixels = is_pixels(rows.dtype, spec)
        _check_shape(rows, spec, movable=pixels and preprocessing.moves_pixels)
        if pixels:
            preprocessing.check(spec)
            any_pixels = True
    if preprocessing.moves_pixels and not any_pixels:
        raise UsageError(
            f"{rows.where}: got {rows.dtype} values, but --resize and --central_crop need uint8 pixels; drop the flags"
        )
    lengths = {name: rows.shape[0] for name, rows in arrays.items()}
    if len({rows.steps for rows in arrays.values()}) > 1:
        raise CalibrationError(f"{rows.where}: some arrays are [streams, steps, ...] and others not; give all alike")
    if len(set(lengths.values())) > 1:
        raise CalibrationError(f"{rows.where}: got different numbers of samples, {lengths}, expected one number")


def _check_type(rows: ArrayRows, spec: InputSpec) -> None:
    real_values = rows.dtype.kind == "f" and (spec.is_float or spec.takes_real_values)
    same = rows.dtype.newbyteorder("=") == spec.dtype
    if not (real_values or same or is_pixels(rows.dtype, spec)):
        is_pixel_type = is_pixels(spec.dtype, spec)
        expected = spec.dtype.name + (" (pixels)" if is_pixel_type else " (already quantized)" * spec.is_8_bit)
        if spec.takes_real_values:
            expected += ", float32 (real values, quantized with the input's scale)"
        if is_pixels(np.dtype(np.uint8), spec) and not is_pixel_type:
            expected += " or uint8 (pixels)"
        raise CalibrationError(f"{rows.where}: got values of type {rows.dtype}, expected {expected} for {spec}")


def _check_shape(rows: ArrayRows, spec: InputSpec, movable: bool) -> None:
    expected = spec.item_shape
    if rows.shape[:1] == (0,):
        raise CalibrationError(f"{rows.where}: got zero samples, expected at least one")
    got = rows.shape[1:]
    if got in spec.layouts():
        return
    if movable and spec.image_shape is not None:
        channels = spec.image_shape[2]
        if (len(got) == 3 and channels in (got[0], got[2])) or (len(got) == 2 and channels == 1):
            return
    shape = ", ".join(["N", *map(str, expected)])
    can_resize = is_pixels(rows.dtype, spec) and spec.takes_pixels
    hint = "give --resize HxW to resize pixels" if can_resize else "prepare the array for this model"
    if rows.shape in spec.layouts():
        hint = "the dimension of samples is missing: save x[None], or all samples in one array"
    elif spec.image_shape is not None and got == spec.image_shape[:2]:
        hint = f"the dimension of channels is missing: save {spec.image_shape[2]} of them"
    elif len(expected) > 1 and expected[-1] == 1 and got == expected[:-1]:
        hint = "the last dimension is missing: save x[..., None]"
    raise CalibrationError(f"{rows.where}: got the shape {list(rows.shape)}, expected [{shape}] for {spec}; {hint}")


def _read_npy_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(file)
    if version == (2, 0):
        return np.lib.format.read_array_header_2_0(file)
    raise ValueError(f"npy version {version[0]}.{version[1]}")
