"""Large feature maps in slices, so that copies of them in wider types stay small."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

_VALUES = 1 << 21  # of a slice: 16 MB as float64


def row_slices(shape: Sequence[int]) -> Iterator[slice]:
    """Slices of the rows of a map [N, H, W, ...]; one for all of a map of ordinary size."""
    height = shape[1]
    rows = max(_VALUES // max(prod(shape) // max(height, 1), 1), 1)
    return (slice(first, min(first + rows, height)) for first in range(0, height, rows))
