"""Datasets: re-iterable sequences of model inputs over whatever a reader delivers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
from PIL import Image

from fmtc_tflite.errors import CalibrationError
from fmtc_tflite.evaluation.preprocess import InputSpec, Preprocessing

Items = dict[str, "Image.Image | np.ndarray"]


class Reader(Protocol):
    """One kind of data source; delivers a sample's raw items (images or array rows) by input name."""

    kind: str  # 'images', 'csv', 'npz', 'npy' or 'synthetic'
    labels: np.ndarray | None  # integers [len, ...]

    def __len__(self) -> int: ...

    def name(self, index: int) -> str:
        """What messages call this sample."""
        ...

    def read(self, indices: np.ndarray) -> Iterator[Items]:
        """The samples of these indices (ascending), one at a time."""
        ...


class Dataset:
    """A re-iterable sequence of samples for a model.

    Iterating yields one dict per sample, from input name to an array of exactly the input's shape and type. If a
    model has a fixed batch above 1, the batch is filled with copies of the sample. Samples are read and preprocessed
    one at a time, in the same order in each pass.

    Attributes:
        input_specs: The model's inputs.
        skipped: Names of the samples left out because they were unreadable.
    """

    def __init__(
        self,
        reader: Reader,
        input_specs: Sequence[InputSpec],
        preprocessing: Preprocessing,
        indices: np.ndarray,
        skipped: Sequence[str] = (),
    ) -> None:
        self.input_specs = tuple(input_specs)
        self.skipped = tuple(skipped)
        self._reader = reader
        self._preprocessing = preprocessing
        self._indices = indices

    @property
    def source(self) -> str:
        """Kind of the data: 'images', 'csv', 'npz', 'npy' or 'synthetic'."""
        return self._reader.kind

    @property
    def labels(self) -> np.ndarray | None:
        """Integer labels [len(self), ...] in the order of the samples, or None if the data has none."""
        return None if self._reader.labels is None else self._reader.labels[self._indices]

    def __len__(self) -> int:
        return len(self._indices)

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        for index, items in zip(self._indices, self._reader.read(self._indices), strict=True):
            where = self._reader.name(int(index))
            yield {spec.name: self._tensor(items[spec.name], spec, where) for spec in self.input_specs}

    def name(self, position: int) -> str:
        """What messages and tables call the sample at this position: its file, or archive and row."""
        return self._reader.name(int(self._indices[position]))

    def subset(self, positions: Sequence[int] | np.ndarray) -> Dataset:
        """The samples at these positions, in ascending order."""
        chosen = np.sort(self._indices[np.asarray(positions, dtype=np.int64)])
        return Dataset(self._reader, self.input_specs, self._preprocessing, chosen)

    def split(self, holdback_fraction: float = 0.3, minimum: int = 32, seed: int = 0) -> tuple[Dataset, Dataset]:
        """Splits by a seeded shuffle into samples to build from and samples held back to measure on.

        max(`minimum`, `holdback_fraction`) is held back, but never more than half: 33 samples must not leave one to
        build tables from.

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
        order = np.random.default_rng(seed).permutation(count)
        return self.subset(order[held_back:]), self.subset(order[:held_back])

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
        with np.errstate(over="ignore"):
            value = item.astype(spec.dtype)
        if spec.is_float and not np.isfinite(value).all():
            raise CalibrationError(f"{spec}: got NaN or infinite values, expected finite ones; clean the data")
        return value


def is_pixels(dtype: np.dtype, spec: InputSpec) -> bool:
    """Whether an array of this type holds pixels that preprocessing turns into the input (else: the input itself)."""
    return dtype == np.uint8 and (spec.takes_pixels or spec.is_float or spec.dtype == np.int8)
