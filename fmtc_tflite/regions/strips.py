"""Column strips: a stage that is executed several times, for one part of its output's columns after another.

Its rings then hold the columns of one strip only. What two strips need of an inner tensor is computed in both: the
halos are what strips cost.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from itertools import pairwise

from fmtc_tflite.regions.ops import RegionOp, RegionTensor

Window = tuple[int, int]  # first and end column
Windows = tuple[Window, ...]  # of each strip

_COUNTS = (2, 3, 4, 5, 6, 8, 12, 16)
_WIDER_EDGES = (Fraction(0), Fraction(1, 4), Fraction(1, 2), Fraction(1))


@dataclass(frozen=True)
class Division:
    """Where each strip ends, as a share of the width; the last one is 1."""

    ends: tuple[Fraction, ...]
    _known: dict[int, Windows | None] = field(default_factory=dict, compare=False, repr=False)  # by width

    def windows(self, width: int) -> Windows | None:
        """The strips of a tensor of so many columns; None if one would be empty."""
        if width not in self._known:
            borders = [0, *(round(end * width) for end in self.ends)]
            windows = tuple(pairwise(borders))
            self._known[width] = windows if all(first < end for first, end in windows) else None
        return self._known[width]


@cache
def divisions() -> tuple[Division, ...]:
    """What stages are tried in. The first and the last strip have a halo on one side only and may be wider."""
    found = []
    for count in _COUNTS:
        for wider in _WIDER_EDGES if count > 2 else _WIDER_EDGES[:1]:
            strip = 1 / (count + 2 * wider)
            inner = [(1 + wider + number) * strip for number in range(count - 1)]
            found.append(Division((*inner, Fraction(1))))
    return tuple(found)


class ColumnSweep:
    """From a stage's last op to its first: which columns of its output each op computes in each strip."""

    def __init__(self, division: Division) -> None:
        self._division = division
        self._needed: dict[RegionTensor, list[Window]] = {}

    def visit(self, op: RegionOp, stored: bool, operands: Iterable[int] | None = None) -> Windows | None:
        """The columns of an op, all of whose readers within the stage have been visited.

        Args:
          stored: whether the output is stored whole, for other stages or as an output of the region.
          operands: inputs of which to note what the op needs; None for all.

        Returns:
          None if strips are not for this op: it adds up whole rows, or there are fewer columns than strips.
        """
        if op.accumulates:
            return None
        needed = self._needed.get(op.output)
        windows: Windows | None
        if op.own_windows is not None:
            windows = op.own_windows
        elif stored or needed is None:
            windows = self._stored_columns(op.output.width, needed)
            if windows is None:
                return None
        else:
            windows = tuple(needed)
        for operand in range(len(op.inputs)) if operands is None else operands:
            self._note(op.inputs[operand], [op.columns_needed(operand, first, end) for first, end in windows])
        return windows

    def needed(self, tensor: RegionTensor) -> Windows:
        """What the ops visited so far need of a tensor."""
        return tuple(self._needed[tensor])

    def _note(self, tensor: RegionTensor, windows: list[Window]) -> None:
        known = self._needed.get(tensor)
        if known is not None:
            windows = [(min(a[0], b[0]), max(a[1], b[1])) for a, b in zip(known, windows, strict=True)]
        self._needed[tensor] = windows

    def _stored_columns(self, width: int, needed: Iterable[Window] | None) -> Windows | None:
        """Strips side by side, each as far to the right as its own ops read; what lies to the left is there already."""
        windows = self._division.windows(width)
        if windows is None or needed is None:
            return windows
        ends = [0]
        for (_, end), (_, read) in zip(windows, needed, strict=True):
            ends.append(max(end, read, ends[-1]))
        found = tuple(pairwise(ends))
        return found if all(first < end for first, end in found) else None


def extra_macs(op: RegionOp, windows: Windows) -> int:
    """Multiply-adds beyond those of a whole output."""
    columns = sum(end - first for first, end in windows)
    return op.macs * (columns - op.output.width) // op.output.width


def stage_windows(
    ops: Iterable[RegionOp], stored: Collection[RegionTensor], division: Division
) -> dict[RegionOp, Windows] | None:
    """The columns of each op of a stage, in execution order; None if strips are not for it."""
    sweep, found = ColumnSweep(division), {}
    for op in reversed(tuple(ops)):
        windows = sweep.visit(op, op.output in stored)
        if windows is None:
            return None
        found[op] = windows
    return found
