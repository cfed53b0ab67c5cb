"""Datasets: re-iterable sequences of model inputs over whatever a reader delivers."""

from __future__ import annotations

import copy
import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from fmtc_tflite.data.preprocess import InputSpec, Preprocessing, quantize_real
from fmtc_tflite.errors import CalibrationError
from fmtc_tflite.types import StreamStart

_LEAST_STEPS = 256
_ENOUGH_TO_BUILD, _ENOUGH_TO_JUDGE = 100, 400  # samples
_END_BYTES = 1 << 20

Items = dict[str, "Image.Image | np.ndarray"]


class LabelMaps(Protocol):
    """Labels of segmentation data, read when they are needed."""

    def read(self, indices: np.ndarray) -> Iterator[Image.Image | np.ndarray]:
        """The maps of these samples (ascending): 8-bit images of class numbers, or integers [H, W]."""
        ...


class Reader(ABC):
    """One kind of data source; delivers a sample's raw items (images or array rows) by input name.

    It can be pickled: worker processes get copies.

    Attributes:
      kind: 'images', 'csv', 'tar', 'tfrecord', 'parquet', 'npz', 'npy', 'tfds' or 'synthetic'.
      labels: Integers [len], or None.
      label_maps: Labels of each pixel, or None.
      num_classes: Number of classes if the data tells it: labels are 0 ... num_classes - 1.
      files: The files that samples and labels lie in.
      files_tell_labels: Whether labels cannot change without the files; they are then read when they are asked for.
      stream_starts: Indices at which streams begin, for models that keep state.
    """

    kind: str
    labels: np.ndarray | None = None
    label_maps: LabelMaps | None = None
    num_classes: int | None = None
    files: Sequence[str | Path] = ()
    files_tell_labels: bool = False
    stream_starts: Sequence[int] = (0,)

    @cached_property
    def file_states(self) -> list[Any]:
        """`file_state` of each of `files`."""
        return list(map(self.file_state, self.files))

    def file_state(self, path: str | Path) -> Any:
        """What tells a file's content from another's; None where it is missing."""
        return _size_and_ends(path)

    def readable(self, indices: np.ndarray) -> np.ndarray:
        """Whether each of these samples can be read, bool [len(indices)]."""
        return np.ones(len(indices), bool)

    def only(self, indices: np.ndarray) -> Reader:
        """A reader of these samples alone, numbered from 0: other processes get it without what the others need."""
        return _Selected(self, indices)

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def name(self, index: int) -> str:
        """What messages call this sample."""

    @abstractmethod
    def read(self, indices: np.ndarray) -> Iterator[Items]:
        """The samples of these indices (ascending), one at a time."""


class _Selected(Reader):
    """Some samples of a reader whose parts cannot be told apart; the labels of the others stay behind."""

    def __init__(self, reader: Reader, indices: np.ndarray) -> None:
        self.kind, self.num_classes = reader.kind, reader.num_classes
        self.files = [os.path.abspath(file) for file in reader.files]
        self.labels = None if reader.labels is None else reader.labels[indices]
        self.label_maps = None if reader.label_maps is None else _SelectedMaps(reader.label_maps, indices)
        self.file_states = reader.file_states
        self._reader, self._indices = copy.copy(reader), indices
        self._reader.labels = self._reader.label_maps = None

    def __len__(self) -> int:
        return len(self._indices)

    def name(self, index: int) -> str:
        return self._reader.name(int(self._indices[index]))

    def read(self, indices: np.ndarray) -> Iterator[Items]:
        return self._reader.read(self._indices[indices])


class _SelectedMaps:
    def __init__(self, label_maps: LabelMaps, indices: np.ndarray) -> None:
        self._label_maps, self._indices = label_maps, indices

    def read(self, indices: np.ndarray) -> Iterator[Image.Image | np.ndarray]:
        return self._label_maps.read(self._indices[indices])


def _size_and_ends(path: str | Path) -> tuple[int, str] | None:
    """Size, and SHA-256 of beginning and end: arrays of one shape have one size."""
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            content = file.read(_END_BYTES)
            file.seek(max(size - _END_BYTES, 0))
            return size, hashlib.sha256(content + file.read(_END_BYTES)).hexdigest()
    except OSError:
        return None


def _relative_names(files: Sequence[str | Path]) -> list[str]:
    """The files' places below the folder that they share, which may lie anywhere."""
    if not files:
        return []
    paths = [os.path.abspath(file) for file in files]
    first, last = min(paths), max(paths)  # what these share, all share
    start = len(os.path.join(os.path.dirname(first) if first == last else os.path.commonpath([first, last]), ""))
    return [path[start:] for path in paths]


class Dataset:
    """A re-iterable sequence of samples for a model.

    Iterating yields one dict per sample, from input name to an array of exactly the input's shape and type. If a
    model has a fixed batch above 1, the batch is filled with copies of the sample. Samples are read and preprocessed
    one at a time, in the same order in each pass.

    For a model that keeps state, samples are the steps of streams: parts are contiguous, and each begins with a
    StreamStart.

    Attributes:
      input_specs: The model's inputs.
      skipped: Names of the samples left out because they were unreadable.
      is_streamed: Whether the samples are steps of streams.
    """

    def __init__(
        self,
        reader: Reader,
        input_specs: Sequence[InputSpec],
        preprocessing: Preprocessing,
        indices: np.ndarray,
        skipped: Sequence[str] = (),
        is_streamed: bool = False,
    ) -> None:
        self.is_streamed = is_streamed
        self.input_specs = tuple(input_specs)
        self.skipped = tuple(skipped)
        self._reader = reader
        self._preprocessing = preprocessing
        self._indices = indices

    @property
    def source(self) -> str:
        """Kind of the data: 'images', 'csv', 'tar', 'tfrecord', 'parquet', 'npz', 'npy', 'tfds' or 'synthetic'."""
        return self._reader.kind

    @property
    def labels(self) -> np.ndarray | None:
        """Integer labels [len(self)] in the order of the samples, or None if the data has none."""
        return None if self._reader.labels is None else self._reader.labels[self._indices]

    @property
    def num_classes(self) -> int | None:
        """Number of classes of the whole data, if it tells."""
        return self._reader.num_classes

    @property
    def has_label_maps(self) -> bool:
        """Whether there is a label for each pixel; see read_label_maps."""
        return self._reader.label_maps is not None

    def read_label_maps(self, size: tuple[int, int]) -> Iterator[np.ndarray]:
        """Label maps, integers [H, W], in the order of the samples; nothing if the data has none.

        Args:
          size: (H, W) of the model's output. Image files are cropped as the samples are and brought to this size by
            nearest neighbour; arrays must have it.
        """
        if self._reader.label_maps is not None:
            for label_map in self._reader.label_maps.read(self._indices):
                if isinstance(label_map, Image.Image):
                    yield self._preprocessing.apply_to_labels(label_map, size)
                else:
                    yield label_map

    def first_real_values(self) -> dict[str, np.ndarray]:
        """For each quantized input that gets real values and has a known range: those of the first sample."""
        specs = [spec for spec in self.input_specs if spec.takes_real_values and spec.real_range is not None]
        if not specs:
            return {}
        items = next(iter(self._reader.read(self._indices[:1])))
        found = {spec.name: items[spec.name] for spec in specs}
        return {name: item for name, item in found.items() if isinstance(item, np.ndarray) and item.dtype.kind == "f"}

    @cached_property
    def _fingerprint(self) -> str:
        digest = hashlib.sha256(repr((self.source, len(self._reader), self._reader.num_classes)).encode())
        for named in zip(_relative_names(self._reader.files), self._reader.file_states, strict=True):
            digest.update(repr(named).encode())
        if not self._reader.files_tell_labels and self._reader.labels is not None:
            digest.update(np.ascontiguousarray(self._reader.labels).tobytes())
        return digest.hexdigest()

    def fingerprint(self) -> str:
        """SHA-256 of the data that the samples are chosen from: labels, and each file's relative path and size.

        Of arrays, whose size says little, also of both ends of the file. Where the data lie does not matter.
        """
        return self._fingerprint

    def part(self, positions: np.ndarray) -> Dataset:
        """A subset for another process, which gets nothing of the other samples, and absolute paths."""
        chosen = self.subset(positions)
        if self.is_streamed:  # where streams begin is told by the original numbers
            return chosen
        reader, everything = self._reader.only(chosen._indices), np.arange(len(chosen))
        return Dataset(reader, self.input_specs, self._preprocessing, everything)

    def unreadable(self) -> np.ndarray:
        """Positions of the samples that cannot be read; reads all."""
        return np.flatnonzero(~self._reader.readable(self._indices))

    def without(self, positions: np.ndarray) -> Dataset:
        """The other samples; these count as skipped."""
        skipped = [self.name(int(position)) for position in positions]
        indices = np.delete(self._indices, positions)
        return Dataset(
            self._reader, self.input_specs, self._preprocessing, indices, skipped, is_streamed=self.is_streamed
        )

    def file_states(self, anew: bool = False) -> dict[str, Any]:
        """What each file of the data is like, by its path; `anew`: as this machine sees it now."""
        reader = self._reader
        states = map(reader.file_state, reader.files) if anew else reader.file_states
        return dict(zip(map(str, reader.files), states, strict=True))

    def selection(self) -> str:
        """SHA-256 of which samples of the data these are."""
        return hashlib.sha256(self._indices.astype("<i8").tobytes()).hexdigest()

    def __len__(self) -> int:
        return len(self._indices)

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        starts = {int(part[0]) for part in self.streams()} if self.is_streamed else set()
        streams = zip(self._indices, self._reader.read(self._indices), strict=True)
        for position, (index, items) in enumerate(streams):
            where = self._reader.name(int(index))
            sample = {spec.name: self._tensor(items[spec.name], spec, where) for spec in self.input_specs}
            yield StreamStart(sample) if position in starts else sample

    def streams(self) -> list[np.ndarray]:
        """Positions of the samples of each stream, or part of one, in order."""
        indices = self._indices
        begins = np.isin(indices, self._reader.stream_starts) | (np.diff(indices, prepend=-2) != 1)
        return [part for part in np.split(np.arange(len(indices)), np.flatnonzero(begins)) if len(part)]

    def name(self, position: int) -> str:
        """What messages and tables call the sample at this position: its file, or archive and row."""
        return self._reader.name(int(self._indices[position]))

    def subset(self, positions: Sequence[int] | np.ndarray) -> Dataset:
        """The samples at these positions, in ascending order."""
        chosen = np.sort(self._indices[np.asarray(positions, dtype=np.int64)])
        return Dataset(self._reader, self.input_specs, self._preprocessing, chosen, is_streamed=self.is_streamed)

    def evenly(self, count: int) -> Dataset:
        """At most `count` samples, evenly spread: data is often sorted by class.

        Of streams the beginnings, and not fewer than 256 steps, since the first ones come from an empty state.
        """
        if self.is_streamed:
            return self.beginnings(max(count, _LEAST_STEPS))
        count = min(count, len(self))
        return self.subset(np.arange(count) * len(self) // max(count, 1))

    def beginnings(self, count: int) -> Dataset:
        """About `count` steps, of each stream the same share from its start on."""
        share = min(count / max(len(self), 1), 1.0)
        return self.subset(np.concatenate([part[: max(int(len(part) * share), 1)] for part in self.streams()]))

    def split(self, holdback_fraction: float = 0.3, minimum: int = 32, seed: int = 0) -> tuple[Dataset, Dataset]:
        """Splits by a seeded shuffle into samples to build from and samples held back to measure on.

        max(`minimum`, `holdback_fraction`) is held back, but never more than half: 33 samples must not leave one to
        build tables from. What is more than enough to build from is held back as well, up to 400 samples, since a rare
        one can have most of a network's divergence. Of streams whole ones are held back, of a single one its end.

        Raises:
          CalibrationError: fewer than two samples.
        """
        count = len(self)
        if count < 2:
            raise CalibrationError(
                f"calibration data: got {count} sample, expected at least 2 (one to build from, one to measure on); "
                "give 100 or more"
            )
        held_back = min(max(minimum, -int(-holdback_fraction * count // 1)), count // 2)
        if self.is_streamed:
            return self._split_streams(held_back, seed)
        held_back = max(held_back, min(count - _ENOUGH_TO_BUILD, _ENOUGH_TO_JUDGE))
        order = np.random.default_rng(seed).permutation(count)
        return self.subset(order[held_back:]), self.subset(order[:held_back])

    def folds(self, count: int, seed: int = 0) -> list[Dataset]:
        """The samples in `count` parts for cross-validation, shuffled by a seed; streams in pieces, in their order."""
        positions = np.arange(len(self))
        if not self.is_streamed:
            positions = np.random.default_rng(seed).permutation(positions)
        return [self.subset(part) for part in np.array_split(positions, count)]

    def _split_streams(self, held_back: int, seed: int) -> tuple[Dataset, Dataset]:
        """Held back are whole streams, as many as come to `held_back` steps."""
        parts = self.streams()
        if len(parts) == 1:
            return self.subset(parts[0][:-held_back]), self.subset(parts[0][-held_back:])
        order = np.random.default_rng(seed).permutation(len(parts))
        ends = np.cumsum([len(parts[i]) for i in order])
        count = min(int(np.searchsorted(ends, held_back)) + 1, len(parts) - 1)
        chosen, others = ([parts[i] for i in group] for group in (order[:count], order[count:]))
        return self.subset(np.concatenate(others)), self.subset(np.concatenate(chosen))

    def _tensor(self, item: Image.Image | np.ndarray, spec: InputSpec, where: str) -> np.ndarray:
        try:
            value = self._item_value(item, spec)
        except CalibrationError as error:
            raise CalibrationError(f"{where}: {error}") from error
        if not spec.shape:
            return value.reshape(())
        return np.repeat(value.reshape((1, *spec.item_shape)), spec.shape[0], axis=0)

    def _item_value(self, item: Image.Image | np.ndarray, spec: InputSpec) -> np.ndarray:
        if isinstance(item, Image.Image) or is_pixels(item.dtype, spec):
            return self._preprocessing.apply(item, spec)
        if item.dtype.kind == "f":
            with np.errstate(over="ignore"):
                item = item.astype(np.float32 if spec.takes_real_values else spec.dtype)
            if not np.isfinite(item).all():
                raise CalibrationError(f"{spec}: got NaN or infinite values, expected finite ones; clean the data")
            item = quantize_real(item, spec)
        return spec.laid_out(item.astype(spec.dtype))


def is_pixels(dtype: np.dtype, spec: InputSpec) -> bool:
    """Whether an array of this type holds pixels that preprocessing turns into the input (else: the input itself)."""
    return dtype == np.uint8 and (spec.takes_pixels or spec.is_float or spec.dtype == np.int8)
