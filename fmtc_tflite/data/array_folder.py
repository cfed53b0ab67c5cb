"""Folders of .npy or .npz files: the samples of one file after another, each a stream of its own or several."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from fmtc_tflite.data.arrays import ArrayReader, open_npy, open_npz
from fmtc_tflite.data.dataset import Items, LabelMaps, Reader
from fmtc_tflite.data.preprocess import InputSpec, Preprocessing
from fmtc_tflite.data.readers import IMAGE_SUFFIXES
from fmtc_tflite.errors import CalibrationError

_SUFFIXES = (".npy", ".npz")
T = TypeVar("T")


def array_files(folder: Path) -> list[Path]:
    """The array files of a folder, by name; none if it holds images."""
    names = [path for path in sorted(folder.iterdir()) if not path.name.startswith(".")]
    if any(path.is_dir() or path.suffix.lower() in IMAGE_SUFFIXES for path in names):
        return []
    return [path for path in names if path.suffix.lower() in _SUFFIXES]


def open_array_folder(
    files: Sequence[Path], specs: Sequence[InputSpec], preprocessing: Preprocessing, is_streamed: bool
) -> Reader:
    """The samples of all files.

    Raises:
      CalibrationError, UsageError: see open_npz; some files have labels and others none.
    """
    opened = [
        (open_npy if path.suffix.lower() == ".npy" else open_npz)(path, specs, preprocessing, is_streamed)
        for path in files
    ]
    labelled = [(reader.labels is not None, reader.label_maps is not None) for reader in opened]
    if len(set(labelled)) > 1:
        other = files[labelled.index(next(kind for kind in labelled if kind != labelled[0]))]
        raise CalibrationError(f"{other}: has labels of another kind than {files[0]}, or none; give all alike")
    return opened[0] if len(opened) == 1 else ArrayFolder(opened)


class ArrayFolder(Reader):
    """Several array files as one."""

    def __init__(self, readers: Sequence[ArrayReader]) -> None:
        self.kind = readers[0].kind
        self.files = [file for reader in readers for file in reader.files]
        self._readers = readers
        lengths = [len(reader) for reader in readers]
        self._ends = np.cumsum(lengths)
        self._offsets = [int(end) - length for end, length in zip(self._ends, lengths, strict=True)]
        starts = zip(self._offsets, readers, strict=True)
        self.stream_starts = [offset + start for offset, reader in starts for start in reader.stream_starts]
        labels = [reader.labels for reader in readers if reader.labels is not None]
        self.labels = np.concatenate(labels) if labels else None
        maps = [reader.label_maps for reader in readers if reader.label_maps is not None]
        self.label_maps = _LabelMaps(self, maps) if maps else None

    def __len__(self) -> int:
        return int(self._ends[-1])

    def name(self, index: int) -> str:
        number = int(np.searchsorted(self._ends, index, side="right"))
        return self._readers[number].name(index - self._offsets[number])

    def read(self, indices: np.ndarray) -> Iterator[Items]:
        for reader, own in self.parts(self._readers, indices):
            yield from reader.read(own)

    def parts(self, sources: Sequence[T], indices: np.ndarray) -> Iterator[tuple[T, np.ndarray]]:
        """Each file's source with its own indices."""
        for source, offset, end in zip(sources, self._offsets, self._ends, strict=True):
            own = indices[(indices >= offset) & (indices < end)] - offset
            if len(own):
                yield source, own


class _LabelMaps:
    def __init__(self, folder: ArrayFolder, maps: Sequence[LabelMaps]) -> None:
        self._folder, self._maps = folder, maps

    def read(self, indices: np.ndarray) -> Iterator[np.ndarray]:
        for maps, own in self._folder.parts(self._maps, indices):
            yield from maps.read(own)  # type: ignore[misc]  # those of arrays are arrays
