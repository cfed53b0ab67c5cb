"""Samples that are gone through again and again."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import chain
from math import prod

import numpy as np

from fmtc_tflite.data.dataset import Dataset

_KEPT_BYTES = 32 << 20


class RepeatedSamples(Collection[dict[str, np.ndarray]]):
    """Samples of one or more datasets of a model: in memory if they are small, else read again each time."""

    def __init__(self, *datasets: Dataset) -> None:
        self._datasets = datasets
        self._length = sum(map(len, datasets))
        specs = datasets[0].input_specs
        size = self._length * sum(prod(spec.shape) * np.dtype(spec.dtype).itemsize for spec in specs)
        self._kept = list(chain(*datasets)) if size <= _KEPT_BYTES else None

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        return chain(*self._datasets) if self._kept is None else iter(self._kept)

    def __contains__(self, sample: object) -> bool:
        return any(own is sample for own in self._kept or ())
