"""Readers of image files. Nothing is held in memory but file names and labels."""

from __future__ import annotations

import csv
import io
import os
import stat
import struct
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TextIO

import numpy as np
from PIL import Image

from fmtc_tflite.data import places
from fmtc_tflite.data.dataset import Items, Reader
from fmtc_tflite.data.pointer_files import is_pointer_file
from fmtc_tflite.data.preprocess import InputSpec
from fmtc_tflite.errors import CalibrationError, reason
from fmtc_tflite.text import GIT_LFS_POINTER

IMAGE_SUFFIXES = (
    ".bmp", ".gif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp",
)  # fmt: skip

AUDIO_SUFFIXES = {".wav", ".flac", ".mp3", ".ogg", ".m4a"}
AUDIO_HINT = (
    "recordings become inputs by whatever made the model's features of them (a spectrogram, MFCC): save its results as "
    "a .npz file with an array x"
)

_COLUMNS = ("file", "label")  # of a CSV

# What PIL's decoders raise on files that are damaged, truncated, absurdly large or no images.
_DECODE_ERRORS = (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError)


class ImageReader(Reader):
    """Image files, decoded one at a time."""

    def __init__(
        self,
        kind: str,
        paths: Sequence[str | Path],
        input_name: str,
        labels: np.ndarray | None = None,
        *,
        label_maps: MaskFiles | None = None,
        num_classes: int | None = None,
        sizes: Mapping[str, int] | None = None,
    ) -> None:
        """Args: sizes: of files in places that are not this machine's."""
        self._listed = sizes or {}
        self.kind, self.labels, self.label_maps, self.num_classes = kind, labels, label_maps, num_classes
        self.files = [*paths, *(label_maps.paths if label_maps is not None else ())]
        self._paths, self._masks = paths, label_maps
        self._input_name = input_name

    def file_state(self, path: str | Path) -> int | None:
        """Its size; of places that are not this machine's as they were listed."""
        try:
            return self._listed[str(path)] if places.url(path) else os.stat(path).st_size
        except (OSError, KeyError):
            return None

    def only(self, indices: np.ndarray) -> ImageReader:
        """See Reader.only."""
        paths = [places.absolute(self._paths[i]) for i in indices]
        labels = None if self.labels is None else self.labels[indices]
        masks = None
        if self._masks is not None:
            masks = MaskFiles([places.absolute(self._masks.paths[i]) for i in indices])
        chosen = ImageReader(self.kind, paths, self._input_name, labels, label_maps=masks, num_classes=self.num_classes)
        positions = [*indices, *(len(self) + indices if masks is not None else ())]
        chosen.file_states = [self.file_states[i] for i in positions]
        chosen._listed = dict(zip(map(str, chosen.files), chosen.file_states, strict=True)) if self._listed else {}
        return chosen

    def __len__(self) -> int:
        return len(self._paths)

    def name(self, index: int) -> str:
        return str(self._paths[index])

    def read(self, indices: np.ndarray) -> Iterator[Items]:
        """Raises CalibrationError naming the first file that is no readable image."""
        for index in indices:
            yield {self._input_name: decode_image(self._paths[index])}

    def readable(self, indices: np.ndarray) -> np.ndarray:
        """See Reader.readable."""
        return np.array([_is_readable(self._paths[index]) for index in indices], bool)


def _is_readable(path: str | Path) -> bool:
    try:
        decode_image(path, draft=True)
    except CalibrationError:
        return False
    return True


class MaskFiles:
    """Label maps as image files with a class number in each pixel; `paths` has one for each sample."""

    def __init__(self, paths: Sequence[str | Path]) -> None:
        self.paths = paths

    def read(self, indices: np.ndarray) -> Iterator[Image.Image]:
        """Raises CalibrationError naming the first file that is no readable image."""
        for index in indices:
            yield decode_image(self.paths[index])


def _opened(path: str | Path) -> str | Path | io.BytesIO:
    """What PIL opens."""
    place = places.url(path)
    if place is not None:
        return io.BytesIO(places.read(place))
    if not stat.S_ISREG(os.stat(path).st_mode):  # a pipe would have us wait
        raise OSError("it is no file")
    return path


def decode_image(path: str | Path, draft: bool = False, content: bytes | None = None) -> Image.Image:
    """Reads an image file, with `draft` as roughly as its format allows.

    Args:
      path: what messages call it, and where it is.
      draft: see above.
      content: the image, where it is no file of its own.

    Raises:
      CalibrationError: it is missing, damaged or no image.
    """
    try:
        with Image.open(_opened(path) if content is None else io.BytesIO(content)) as image:
            if draft:
                image.draft("RGB", (1, 1))  # lets JPEG skip most of the work, but not the reading
            image.load()
            return image
    except _DECODE_ERRORS as error:
        if content is None and not places.url(path) and is_pointer_file(Path(path)):
            raise CalibrationError(f"{path}: {GIT_LFS_POINTER}") from error
        why = reason(error).replace(str(path), "").strip(" '") or type(error).__name__
        raise CalibrationError(
            f"{path}: got no readable image ({why}); remove or repair it, or give --skip_unreadable"
        ) from error


def open_images(path: str | Path, spec: InputSpec, sizes: Mapping[str, int] | None = None) -> ImageReader:
    """A folder of images (recursive, sorted by relative path) or one image.

    If all images lie in two or more subfolders, as in ImageNet's layout, labels are the places of the (first-level)
    subfolders in sorted order.

    Args:
      path: local, or a URL (see `places`).
      spec: the input that gets the images.
      sizes: of all files below a URL.
    """
    if sizes is None and os.path.isfile(path):
        return ImageReader("images", [path], spec.name)
    files = _files_below(path) if sizes is None else [file[len(str(path).rstrip("/")) + 1 :] for file in sizes]
    files = [file for file in files if not any(part.startswith(".") for part in file.split("/"))]
    found = sorted((file for file in files if file.lower().endswith(IMAGE_SUFFIXES)), key=lambda file: file.split("/"))
    if not found:
        others = Counter(os.path.splitext(file)[1].lower() for file in files)
        raise CalibrationError(
            f"{path}: got no images{_counted(others)}, expected files that end in {', '.join(IMAGE_SUFFIXES)}; "
            + (AUDIO_HINT if others.keys() & AUDIO_SUFFIXES else "check the path")
        )
    labels, num_classes = _folder_labels(found)
    paths = [os.path.join(path, file) for file in found]
    return ImageReader("images", paths, spec.name, labels, num_classes=num_classes, sizes=sizes)


def _files_below(path: str | Path) -> list[str]:
    """Relative paths of all files below a folder, but for those in hidden ones."""

    def fail(error: OSError) -> None:  # a folder left out would shift labels
        raise CalibrationError(f"{error.filename}: cannot be read ({reason(error)}); check its permissions") from error

    found = []
    for folder, subfolders, files in os.walk(path, onerror=fail):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        below = os.path.relpath(folder, path)
        found += files if below == os.curdir else [os.path.join(below, name) for name in files]
    return found


def list_place(pattern: str) -> dict[str, int]:
    """places.listed. Raises CalibrationError."""
    try:
        return places.listed(pattern)
    except OSError as error:
        raise CalibrationError(f"{pattern}: cannot be listed ({error}); check the place and your access") from error


def _counted(suffixes: Counter[str]) -> str:
    if not suffixes:
        return ""
    (suffix, count), *_ = suffixes.most_common(1)
    return f" but {count} files that end in '{suffix}'"


def open_csv(path: str | Path, spec: InputSpec, *, allow_missing: bool = False) -> ImageReader:
    """A CSV with the columns `file` (relative to the CSV) and, where labels are known, `label`.

    A label is an integer, or (in all lines) an image file, relative to the CSV, with the class of each pixel.

    Args:
      path: The CSV file, or its URL (see `places`); the images then lie below its folder.
      spec: The input that gets the images.
      allow_missing: Leave files that do not exist to the reader, which then treats them as unreadable.
    """
    sizes = list_place(f"{os.path.dirname(path)}/**") if places.url(path) else None

    def found(file: str, line: int) -> str:
        return _csv_file(path, file, line, sizes, allow_missing)

    paths, labels, lines = list[str](), list[str](), list[int]()
    try:
        with _open_text(path) as text:
            rows = csv.reader(text)
            columns = next(rows, [])
            if "file" not in columns:
                raise CalibrationError(
                    f"{path}: got the columns {', '.join(columns) or 'none'}, expected 'file' and 'label'; "
                    "begin it with a line 'file,label', and put commas between the columns"
                )
            file_column, label_column = (columns.index(name) if name in columns else len(columns) for name in _COLUMNS)
            for row in filter(None, rows):
                name, label = (row[i] if i < len(row) else "" for i in (file_column, label_column))
                paths.append(found(name, rows.line_num))
                labels.append(label)
                lines.append(rows.line_num)
    except (OSError, csv.Error, UnicodeDecodeError) as error:
        raise CalibrationError(f"{path}: got no readable CSV ({reason(error)}), expected UTF-8 text") from error
    if not paths:
        raise CalibrationError(f"{path}: got zero samples, expected a line for each image after the header")
    if "label" not in columns:
        return ImageReader("csv", paths, spec.name, sizes=sizes)
    if labels[0].lower().endswith(IMAGE_SUFFIXES):
        masks = MaskFiles([found(*line) for line in zip(labels, lines, strict=True)])
        return ImageReader("csv", paths, spec.name, label_maps=masks, sizes=sizes)
    numbers = [_csv_label(path, *line) for line in zip(labels, lines, strict=True)]
    return ImageReader("csv", paths, spec.name, np.array(numbers, dtype=np.int64), sizes=sizes)


def _open_text(path: str | Path) -> TextIO:
    place = places.url(path)
    if place is not None:
        return io.StringIO(places.read(place).decode("utf-8-sig"), newline="")
    return open(path, newline="", encoding="utf-8-sig")


def _folder_labels(files: Sequence[str]) -> tuple[np.ndarray, int] | tuple[None, None]:
    """Labels and the number of classes."""
    folders = [file.partition(os.sep)[0] for file in files]
    classes = sorted(set(folders))
    if len(classes) < 2 or any(os.sep not in file for file in files):
        return None, None
    place = {name: index for index, name in enumerate(classes)}
    return np.array([place[folder] for folder in folders], dtype=np.int64), len(classes)


def _csv_file(path: str | Path, file: str, line: int, sizes: Mapping[str, int] | None, allow_missing: bool) -> str:
    if not file:
        raise CalibrationError(f"{path}, line {line}: got no file name, expected a path relative to the CSV")
    folder = os.path.dirname(path)
    found = os.path.join(folder, file)
    if not allow_missing and not (os.path.isfile(found) if sizes is None else found in sizes):
        raise CalibrationError(
            f"{path}, line {line}: got '{file}', which does not exist in {folder or '.'}; correct the line, or give "
            "--skip_unreadable"
        )
    return found


def _csv_label(path: str | Path, label: str, line: int) -> int:
    try:
        return int(label)
    except ValueError:
        raise CalibrationError(
            f"{path}, line {line}: got the label '{label}', expected an integer (or image files in all lines)"
        ) from None
