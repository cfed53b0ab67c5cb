"""The scheme of Chmiel et al., "Feature Map Transform Coding for Energy-Efficient CNN Inference", arXiv 1905.10830.

A map's values before the activation are rotated into the basis of their principal components, all components are
quantized with one step, and one entropy code serves the whole map. The step follows from a number of bits for the main
component: its range is cut into 2^bits - 2 steps, as in the authors' code. There are no predictions, no choice per map
and no allocation over maps. It is here to compare with.

Stored coefficients have 8 bits. One whose range needs more is stored as several rows, each of which holds the part of
the coefficient that lies in a window of its own; their sum is the coefficient.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_LOW, _HIGH, _WINDOW = -128, 127, 255
_COARSER = 1.01


@dataclass(frozen=True)
class PaperFigures:
    """What the scheme came to on one map.

    Attributes:
      step: of all components, in the map's own quantization units.
      bits: log2 of the steps in the range of the main component: what was asked for, or as much as fits.
      before_activation: the producer emits coefficients; else the stored map is transformed.
      note: why there is no KLT; None if there is.
      shannon_bits_per_value, huffman_bits_per_value: of the coefficients under one distribution and one Huffman code
        for the map, made from the very coefficients that they code; over the map's values, not its coefficients.
    """

    step: float
    bits: float
    before_activation: bool
    note: str | None = None
    shannon_bits_per_value: float = math.nan
    huffman_bits_per_value: float = math.nan


@dataclass(frozen=True)
class Rows:
    """How coefficients lie in 8-bit rows: row i stores clamp(k + offset[i], -128, 127) of its component's index k.

    Attributes:
      component: int64 [rows].
      offset: int64 [rows].
      window: int64 [rows], 0 for the row that holds a component's small indices, +-1, +-2, ... for what exceeds it.
    """

    component: np.ndarray
    offset: np.ndarray
    window: np.ndarray

    @property
    def rest(self) -> np.ndarray:
        """What a row stores for index 0, int64 [rows]; the sum of (stored - rest) over a component's rows is k."""
        return np.clip(self.offset, _LOW, _HIGH)


def uniform_step(low: np.ndarray, high: np.ndarray, bits: float) -> float:
    """The step of all components of a map.

    Args:
      low, high: range of each component, [r].
      bits: for the main component.
    """
    span = _span(low, high)
    return span / (2**bits - 2) if span > 0 else 1.0


def bits_of_step(low: np.ndarray, high: np.ndarray, step: float) -> float:
    """The inverse of `uniform_step`."""
    return float(np.log2(_span(low, high) / step + 2))


def _span(low: np.ndarray, high: np.ndarray) -> float:
    return float(max(high.max(), 0.0) - min(low.min(), 0.0))


def arrange(
    low: np.ndarray, high: np.ndarray, deviation: np.ndarray, step: float, most_rows: int
) -> tuple[Rows, float]:
    """Rows for all coefficients, and the step, coarsened where their rows would be too many.

    Components that vary less than a step's rounding error give way first: quantizing them would lose as much.

    Args:
      low, high: range of each component around its mean, [r], strongest component first; r is at most `most_rows`.
      deviation: standard deviation of each component, [r].
      step: the wanted one.
      most_rows: the bitstream has at most as many rows as the map has channels.
    """
    while True:
        lowest, highest = (np.rint(x / step).astype(np.int64) for x in (np.minimum(low, 0), np.maximum(high, 0)))
        windows = [_windows(a, b) for a, b in zip(lowest.tolist(), highest.tolist(), strict=True)]
        room = most_rows - sum(len(w) for w in windows)
        for j in np.flatnonzero(deviation <= step / math.sqrt(12))[::-1].tolist():
            if room < 0:
                room += len(windows[j])
                windows[j] = []
        if room >= 0:
            rows = [(j, offset, window) for j, own in enumerate(windows) for window, offset in own]
            return Rows(*np.array(rows or [(0, 0, 0)], np.int64).T), step
        step *= _COARSER


def _windows(lowest: int, highest: int) -> list[tuple[int, int]]:
    """(window, offset) of the rows of a component with indices lowest..highest."""
    if highest - lowest <= _WINDOW and (lowest < _LOW or highest > _HIGH):
        return [(0, -((lowest + highest + 1) // 2))]
    above, below = (max(math.ceil(excess / _WINDOW), 0) for excess in (highest - _HIGH, _LOW - lowest))
    return [
        (0, 0),
        *((p, -_WINDOW * p) for p in range(1, above + 1)),
        *((-p, _WINDOW * p) for p in range(1, below + 1)),
    ]


def joint_counts(rows: Rows, counts: np.ndarray) -> np.ndarray:
    """How often each coefficient occurs, over all components together: what the scheme's one table codes.

    Args:
      rows: as the coefficients are stored.
      counts: [rows, 256], of stored values plus 128.

    Returns:
      int64, by index from the smallest that is possible on.
    """
    reach = _WINDOW * (2 + int(np.abs(rows.window).max(initial=0)))
    joint = np.zeros(2 * reach + 1, np.int64)
    for component in np.unique(rows.component).tolist():
        own = rows.component == component
        _add_component(joint, reach, rows.window[own].tolist(), rows.offset[own].tolist(), counts[own].astype(np.int64))
    return joint


def _add_component(
    joint: np.ndarray, reach: int, windows: Sequence[int], offsets: Sequence[int], counts: np.ndarray
) -> None:
    stored = np.arange(_LOW, _HIGH + 1)
    for window, offset, own in zip(windows, offsets, counts, strict=True):
        k, own = stored - offset, own.copy()
        if window > 0:
            own[0] = 0  # at rest: lower windows have it
        if window < 0:
            own[-1] = 0
        for other, outer in zip(windows, counts, strict=True):  # what this row holds saturated, the next one resolves
            if other == window + 1 and window >= 0:
                own[-1] -= outer[1:].sum()
            if other == window - 1 and window <= 0:
                own[0] -= outer[:-1].sum()
        np.add.at(joint, k + reach, own)
