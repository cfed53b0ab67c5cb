"""Readers of image files and of .npy and .npz arrays. Nothing is held in memory but file names and labels."""

from __future__ import annotations

import csv
import os
import stat
import struct
import weakref
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image

from fmtc_tflite.data.dataset import Items, LabelMaps, Reader, is_pixels
from fmtc_tflite.data.preprocess import InputSpec, Preprocessing
from fmtc_tflite.errors import CalibrationError, UsageError, reason

IMAGE_SUFFIXES = (
    ".bmp", ".gif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp",
)  # fmt: skip

# What PIL's decoders raise on files that are damaged, truncated, absurdly large or no images.
_DECODE_ERRORS = (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError)
# What reading a damaged .npz or .npy raises.
_ARCHIVE_ERRORS = (OSError, ValueError, EOFError, RuntimeError, struct.error, zipfile.BadZipFile, zlib.error)
_LOCAL_HEADER = struct.Struct("<26xHH")  # a ZIP member's local header: lengths of its name and extra field at the end


class ImageReader(Reader):
    """Image files, decoded one at a time."""

    def __init__(
        self,
        kind: str,
        paths: Sequence[Path],
        input_name: str,
        labels: np.ndarray | None = None,
        *,
        label_maps: MaskFiles | None = None,
        num_classes: int | None = None,
    ) -> None:
        self.kind, self.labels, self.label_maps, self.num_classes = kind, labels, label_maps, num_classes
        self.files = list(paths) + (label_maps.paths if label_maps is not None else [])
        self._paths = paths
        self._input_name = input_name

    def __len__(self) -> int:
        return len(self._paths)

    def name(self, index: int) -> str:
        return str(self._paths[index])

    def read(self, indices: np.ndarray) -> Iterator[Items]:
        """Raises CalibrationError naming the first file that is no readable image."""
        for index in indices:
            yield {self._input_name: decode_image(self._paths[index])}

    def readable(self, indices: np.ndarray) -> tuple[np.ndarray, list[str]]:
        """Of these indices those that can be decoded, and the names of the others."""
        good, bad = [], []
        for index in indices:
            try:
                decode_image(self._paths[index], draft=True)
                good.append(index)
            except CalibrationError:
                bad.append(self.name(int(index)))
        return np.array(good, dtype=np.int64), bad


class MaskFiles:
    """Label maps as image files with a class number in each pixel; `paths` has one for each sample."""

    def __init__(self, paths: list[Path]) -> None:
        self.paths = paths

    def read(self, indices: np.ndarray) -> Iterator[Image.Image]:
        """Raises CalibrationError naming the first file that is no readable image."""
        for index in indices:
            yield decode_image(self.paths[index])


def decode_image(path: Path, draft: bool = False) -> Image.Image:
    """Reads an image file, with `draft` as roughly as its format allows.

    Raises:
      CalibrationError: it is missing, damaged or no image.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # a pipe would have us wait
            raise OSError("it is no file")
        with Image.open(path) as image:
            if draft:
                image.draft("RGB", (1, 1))  # lets JPEG skip most of the work, but not the reading
            image.load()
            return image
    except _DECODE_ERRORS as error:
        why = reason(error).replace(str(path), "").strip(" '") or type(error).__name__
        raise CalibrationError(
            f"{path}: got no readable image ({why}); remove or repair it, or give --skip_unreadable"
        ) from error


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
        self._length = next(iter(arrays.values())).shape[0]

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
    """

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

    def read(self, indices: np.ndarray) -> Iterator[np.ndarray]:
        """The rows of these indices (ascending). Raises CalibrationError if the file is damaged."""
        try:
            yield from self._read_mapped(indices) if self._mapped else self._read_stream(indices)
        except _ARCHIVE_ERRORS as error:
            raise self._damaged(error) from error

    def _read_mapped(self, indices: np.ndarray) -> Iterator[np.ndarray]:
        mapped: np.ndarray = np.memmap(
            self._path, self.dtype, "r", self._offset, self.shape, "F" if self._fortran_order else "C"
        )
        for index in indices:
            yield np.array(mapped[index])

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

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_stream": None}

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
        return CalibrationError(f"{self.where}: got a damaged array file ({reason(error)}); save it again")


def open_images(path: Path, spec: InputSpec) -> ImageReader:
    """A folder of images (recursive, sorted by relative path) or one image.

    If all images lie in two or more subfolders, as in ImageNet's layout, labels are the places of the (first-level)
    subfolders in sorted order.
    """
    if path.is_file():
        return ImageReader("images", [path], spec.name)

    def fail(error: OSError) -> None:  # a folder left out would shift labels
        raise CalibrationError(f"{error.filename}: cannot be read ({reason(error)}); check its permissions") from error

    found = []
    for folder, subfolders, files in os.walk(path, onerror=fail):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        found += [
            Path(folder, name).relative_to(path)
            for name in files
            if name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith(".")
        ]
    found.sort(key=lambda file: file.parts)
    if not found:
        raise CalibrationError(
            f"{path}: got no images, expected files that end in {', '.join(IMAGE_SUFFIXES)}; check the path"
        )
    labels, num_classes = _folder_labels(found)
    return ImageReader("images", [path / file for file in found], spec.name, labels, num_classes=num_classes)


def open_csv(path: Path, spec: InputSpec, *, allow_missing: bool = False) -> ImageReader:
    """A CSV with the columns `file` (relative to the CSV) and, where labels are known, `label`.

    A label is an integer, or (in all lines) an image file, relative to the CSV, with the class of each pixel.

    Args:
      path: The CSV file.
      spec: The input that gets the images.
      allow_missing: Leave files that do not exist to the reader, which then treats them as unreadable.
    """
    paths, labels, places = [], [], []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            columns = rows.fieldnames or []
            if "file" not in columns:
                raise CalibrationError(
                    f"{path}: got the columns {', '.join(columns) or 'none'}, expected 'file' and 'label'; "
                    "add a first line 'file,label'"
                )
            for row in rows:
                places.append(f"{path}, line {rows.line_num}")
                paths.append(_csv_file(path.parent, row["file"], places[-1], allow_missing))
                labels.append(row.get("label") or "")
    except (OSError, csv.Error, UnicodeDecodeError) as error:
        raise CalibrationError(f"{path}: got no readable CSV ({reason(error)}), expected UTF-8 text") from error
    if not paths:
        raise CalibrationError(f"{path}: got zero samples, expected a line for each image after the header")
    if "label" not in columns:
        return ImageReader("csv", paths, spec.name)
    if labels[0].lower().endswith(IMAGE_SUFFIXES):
        masks = [_csv_file(path.parent, *line, allow_missing) for line in zip(labels, places, strict=True)]
        return ImageReader("csv", paths, spec.name, label_maps=MaskFiles(masks))
    numbers = [_csv_label(*line) for line in zip(labels, places, strict=True)]
    return ImageReader("csv", paths, spec.name, np.array(numbers, dtype=np.int64))


def open_npy(path: Path, specs: Sequence[InputSpec], preprocessing: Preprocessing) -> ArrayReader:
    """A .npy file with the samples [N, ...] of a model's only input."""
    arrays = {specs[0].name: ArrayRows(path)}
    _check_arrays(arrays, specs, preprocessing)
    return ArrayReader("npy", path, arrays)


def open_npz(path: Path, specs: Sequence[InputSpec], preprocessing: Preprocessing) -> ArrayReader:
    """A .npz file with an array [N, ...] for each input by name (`x` for an only input) and, optionally, labels `y`.

    Labels are integers: [N], or [N, H, W] for a class of each pixel.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
    except _ARCHIVE_ERRORS as error:
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
    _check_arrays(arrays, specs, preprocessing)
    length = next(iter(arrays.values())).shape[0]
    labels = _labels(ArrayRows(path, members["y"]), length) if "y" in members else None
    if isinstance(labels, ArrayRows):
        return ArrayReader("npz", path, arrays, label_maps=labels)
    return ArrayReader("npz", path, arrays, labels)


def _folder_labels(files: Sequence[Path]) -> tuple[np.ndarray, int] | tuple[None, None]:
    """Labels and the number of classes."""
    classes = sorted({file.parts[0] for file in files})
    if len(classes) < 2 or any(len(file.parts) < 2 for file in files):
        return None, None
    place = {name: index for index, name in enumerate(classes)}
    return np.array([place[file.parts[0]] for file in files], dtype=np.int64), len(classes)


def _csv_file(folder: Path, file: str | None, where: str, allow_missing: bool) -> Path:
    if not file:
        raise CalibrationError(f"{where}: got no file name, expected a path relative to the CSV")
    if not allow_missing and not os.path.isfile(folder / file):
        raise CalibrationError(
            f"{where}: got '{file}', which does not exist in {folder}; correct the line, or give --skip_unreadable"
        )
    return folder / file


def _csv_label(label: str, where: str) -> int:
    try:
        return int(label)
    except ValueError:
        raise CalibrationError(
            f"{where}: got the label '{label}', expected an integer (or image files in all lines)"
        ) from None


def _labels(rows: ArrayRows, length: int) -> np.ndarray | ArrayRows | None:
    """One label a sample, or the rows of label maps, or None for what is neither (targets of a regression, say)."""
    if rows.shape[:1] != (length,):
        raise CalibrationError(
            f"{rows.where}: got the shape {list(rows.shape)}, expected {length} labels, one a sample"
        )
    if rows.dtype.kind not in "iu" or len(rows.shape) not in (1, 2, 3):
        return None
    if len(rows.shape) == 3:
        return rows
    values = np.stack(list(rows.read(np.arange(length)))).astype(np.int64)
    return values.reshape(length) if values.size == length else None


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
    if len(set(lengths.values())) > 1:
        raise CalibrationError(f"{rows.where}: got different numbers of samples, {lengths}, expected one number")


def _check_type(rows: ArrayRows, spec: InputSpec) -> None:
    both_float = rows.dtype.kind == "f" and spec.is_float
    same = rows.dtype.newbyteorder("=") == spec.dtype
    if not (both_float or same or is_pixels(rows.dtype, spec)):
        expected = spec.dtype.name + (" (already quantized)" if spec.is_8_bit else "")
        if is_pixels(np.dtype(np.uint8), spec):
            expected += " or uint8 (pixels)"
        raise CalibrationError(f"{rows.where}: got values of type {rows.dtype}, expected {expected} for {spec}")


def _check_shape(rows: ArrayRows, spec: InputSpec, movable: bool) -> None:
    expected = spec.item_shape
    if rows.shape[:1] == (0,):
        raise CalibrationError(f"{rows.where}: got zero samples, expected at least one")
    got = rows.shape[1:]
    if got == expected or (len(expected) == 3 and expected[2] == 1 and got == expected[:2]):
        return
    if movable and spec.takes_pixels and len(got) == 3 and got[2] == expected[2]:
        return
    if movable and spec.takes_pixels and len(got) == 2 and expected[2] == 1:
        return
    shape = ", ".join(["N", *map(str, expected)])
    can_resize = is_pixels(rows.dtype, spec) and spec.takes_pixels
    hint = "give --resize HxW to resize pixels" if can_resize else "prepare the array for this model"
    raise CalibrationError(f"{rows.where}: got the shape {list(rows.shape)}, expected [{shape}] for {spec}; {hint}")


def _read_npy_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(file)
    if version == (2, 0):
        return np.lib.format.read_array_header_2_0(file)
    raise ValueError(f"npy version {version[0]}.{version[1]}")
