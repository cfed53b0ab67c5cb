"""Readers of image files. Nothing is held in memory but file names and labels."""

from __future__ import annotations

import csv
import os
import stat
import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

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

# What PIL's decoders raise on files that are damaged, truncated, absurdly large or no images.
_DECODE_ERRORS = (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError)


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
        if is_pointer_file(path):
            raise CalibrationError(f"{path}: {GIT_LFS_POINTER}") from error
        why = reason(error).replace(str(path), "").strip(" '") or type(error).__name__
        raise CalibrationError(
            f"{path}: got no readable image ({why}); remove or repair it, or give --skip_unreadable"
        ) from error


def open_images(path: Path, spec: InputSpec) -> ImageReader:
    """A folder of images (recursive, sorted by relative path) or one image.

    If all images lie in two or more subfolders, as in ImageNet's layout, labels are the places of the (first-level)
    subfolders in sorted order.
    """
    if path.is_file():
        return ImageReader("images", [path], spec.name)

    def fail(error: OSError) -> None:  # a folder left out would shift labels
        raise CalibrationError(f"{error.filename}: cannot be read ({reason(error)}); check its permissions") from error

    found, others = [], Counter[str]()
    for folder, subfolders, files in os.walk(path, onerror=fail):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        others.update(Path(name).suffix.lower() for name in files if not name.startswith("."))
        found += [
            Path(folder, name).relative_to(path)
            for name in files
            if name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith(".")
        ]
    found.sort(key=lambda file: file.parts)
    if not found:
        raise CalibrationError(
            f"{path}: got no images{_counted(others)}, expected files that end in {', '.join(IMAGE_SUFFIXES)}; "
            + (AUDIO_HINT if others.keys() & AUDIO_SUFFIXES else "check the path")
        )
    labels, num_classes = _folder_labels(found)
    return ImageReader("images", [path / file for file in found], spec.name, labels, num_classes=num_classes)


def _counted(suffixes: Counter[str]) -> str:
    if not suffixes:
        return ""
    (suffix, count), *_ = suffixes.most_common(1)
    return f" but {count} files that end in '{suffix}'"


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
