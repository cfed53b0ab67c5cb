"""Which files hold many images each, and what opens them: tar, TFRecord and Parquet files."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from fmtc_tflite.data import places
from fmtc_tflite.data.packed_images import PackedReader
from fmtc_tflite.data.parquet_reader import open_parquet
from fmtc_tflite.data.readers import IMAGE_SUFFIXES, list_place
from fmtc_tflite.data.tar_reader import open_tar
from fmtc_tflite.data.tfrecord_reader import open_tfrecord
from fmtc_tflite.errors import CalibrationError

# The second of TFRecord's: train-00000-of-01024, a shard of ImageNet as TensorFlow's tools write it.
_TFRECORD = re.compile(r"\.tfrec(ord)?s?(-\d+-of-\d+)?$|^[^.]+-\d+-of-\d+$")
_KINDS: dict[Callable[[Sequence[str | Path], str], PackedReader], re.Pattern[str]] = {
    open_tar: re.compile(r"\.tar$"),
    open_parquet: re.compile(r"\.parquet$"),
    open_tfrecord: _TFRECORD,
}
_NUMBER = re.compile(r"\d+")

T = TypeVar("T", str, Path)


def matching(pattern: str | Path) -> list[str]:
    """The files of a pattern with `*`, by name; none if it is a path.

    Raises:
      CalibrationError: there is no such file.
    """
    place = places.url(pattern)
    if not glob.has_magic(str(pattern)) or (place is None and os.path.exists(pattern)):
        return []
    found = glob.glob(str(pattern)) if place is None else list_place(place)
    if not found:
        raise CalibrationError(f"{pattern}: got no such files; check the pattern")
    return sorted(found)


def packed_files(path: Path) -> list[Path]:
    """A file that holds many images, or those of a folder that holds some and no images."""
    if path.is_file():
        return [path] if _opener(path) is not None else []
    names = [name for name in sorted(path.iterdir()) if not name.name.startswith(".")] if path.is_dir() else []
    if any(name.is_dir() or name.suffix.lower() in IMAGE_SUFFIXES for name in names):
        return []
    return _one_set([name for name in names if _opener(name) is not None])


def packed_places(found: Iterable[str]) -> list[str]:
    """Those of a folder's files that hold many images."""
    return _one_set([place for place in found if _opener(place) is not None])


def open_packed(files: Sequence[str | Path], input_name: str) -> PackedReader:
    """Opens files as one data set.

    Args:
      files: in their order.
      input_name: the input that gets the images.

    Raises:
      CalibrationError: files of several kinds; see the kinds' own functions.
    """
    openers = {_opener(file) for file in files}
    (opener, *others) = openers
    if opener is None or others:
        raise CalibrationError(
            f"{os.path.dirname(files[0])}: got files of several kinds, or that hold no images, expected tar, TFRecord "
            "or Parquet files of one kind; give a pattern such as 'FOLDER/*.tar'"
        )
    return opener(files, input_name)


def _one_set(files: list[T]) -> list[T]:
    """The same files, unless they have other names than numbers make: a folder may hold training and test images."""
    names = sorted({_NUMBER.sub("N", os.path.basename(file)) for file in files})
    if len(names) > 1 and open_tar not in map(_opener, files):
        folder = os.path.dirname(files[0])
        raise CalibrationError(
            f"{folder}: got several sets of files, {', '.join(names[:3])}; give a pattern for one of them, such as "
            f"'{folder}/{names[0].partition('N')[0]}*'"
        )
    return files


def _opener(file: str | Path) -> Callable[[Sequence[str | Path], str], PackedReader] | None:
    name = os.path.basename(file).lower()
    return next((opener for opener, pattern in _KINDS.items() if pattern.search(name)), None)
