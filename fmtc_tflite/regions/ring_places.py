"""Where the rings of a stage lie: rows that are dead for a while leave their place to rows of other rings.

A row that is read right behind where it is written is soon dead, such as those that a depthwise convolution hands to
the 1x1 convolution behind it: of several such rings of one row, only one has a row that somebody still wants, so that
they share a place. And of the three rows that a 3x3 convolution reads, one is dead from then on until the next row is
written: rings of one depth d that grow side by side lie in one *circle* of rows, of which each needs d - 1 and all of
them together one more.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from fmtc_tflite.regions.ops import RegionOp, RegionTensor
from fmtc_tflite.regions.region import Form
from fmtc_tflite.regions.rows import Pull, RowTable

_MOST_TRIALS = 500  # of phases in a circle

Lives = Mapping[RegionTensor, Sequence[int]]


@dataclass(frozen=True)
class RingPlace:
    """A place in memory for rings: a circle of rows, mostly of a single ring.

    Attributes:
      tensors: whose rows are never in the same row of the circle at the same time.
      depth: rows of the circle.
      row_bytes: of the longest.
      phases: which row of the circle each tensor's row 0 is.
      pitch: rows of the circle from a tensor's row to its next one.
    """

    tensors: tuple[RegionTensor, ...]
    depth: int
    row_bytes: int
    phases: tuple[int, ...]
    pitch: int = 1

    @property
    def bytes(self) -> int:
        return self.depth * self.row_bytes


def ring_places(
    ops: Sequence[RegionOp], found: Pull, rings: Mapping[RegionTensor, Form], table: RowTable
) -> tuple[RingPlace, ...]:
    """Places for the rings of a stage, as few rows as are found.

    Args:
      ops, found: the stage's execution.
      rings: with their forms.
      table: rows that ops need.
    """
    lives = _lives(ops, found.steps, rings, table)
    sizes = {tensor: form.row_bytes for tensor, form in rings.items()}
    classes: dict[tuple[int, int], list[RegionTensor]] = {}
    for tensor in sorted(rings, key=lambda t: -sizes[t]):
        depth = found.depths[tensor]
        classes.setdefault((depth, 0 if depth == 1 else tensor.height), []).append(tensor)
    places: list[RingPlace] = []
    for (depth, _), tensors in classes.items():
        places += _single_rows(tensors, sizes, lives) if depth == 1 else _circles(tensors, depth, sizes, lives)
    return tuple(places)


class RingBound:
    """What rings take at least: of each all rows but one, and of those of one height one more row."""

    def __init__(self) -> None:
        self._own = 0
        self._shared: dict[int, int] = {}  # by height; 0: of rings of one row

    def add(self, height: int, depth: int, row_bytes: int) -> None:
        """Counts one more ring."""
        self._own += (depth - 1) * row_bytes
        key = height if depth > 1 else 0
        self._shared[key] = max(self._shared.get(key, 0), row_bytes)

    def with_rings(self, rings: Iterable[tuple[int, int, int]]) -> int:
        """The bytes with some more rings."""
        more = RingBound()
        more._own, more._shared = self._own, dict(self._shared)
        for ring in rings:
            more.add(*ring)
        return more.bytes

    @property
    def bytes(self) -> int:
        return self._own + sum(self._shared.values())


def _single_rows(tensors: Iterable[RegionTensor], sizes: Mapping[RegionTensor, int], lives: Lives) -> list[RingPlace]:
    """Places for rings of one row, the longest first."""
    shared: list[tuple[list[RegionTensor], int]] = []
    for tensor in tensors:
        own = _union(lives[tensor])
        number = next((n for n, (_, taken) in enumerate(shared) if not taken & own), len(shared))
        members, taken = shared[number] if number < len(shared) else ([], 0)
        shared[number : number + 1] = [([*members, tensor], taken | own)]
    return [RingPlace(tuple(members), 1, sizes[members[0]], (0,) * len(members)) for members, _ in shared]


def _circles(
    tensors: Iterable[RegionTensor], depth: int, sizes: Mapping[RegionTensor, int], lives: Lives
) -> list[RingPlace]:
    """Places for rings of some rows and one height, the longest rows first."""
    places: list[RingPlace] = []
    for tensor in tensors:
        alone = RingPlace((tensor,), depth, sizes[tensor], (0,))
        joint = _joined(places[-1], tensor, depth, lives) if places else None
        if joint is not None and joint.bytes < places[-1].bytes + alone.bytes:
            places[-1] = joint
        else:
            places.append(alone)
    return places


def _joined(place: RingPlace, tensor: RegionTensor, depth: int, lives: Lives) -> RingPlace | None:
    """A circle with one more ring of this depth, whose rows are not longer; None if rows would meet."""
    members = (*place.tensors, tensor)
    pitch = len(members)
    rows = pitch * (depth - 1) + 1
    # What rows of a tensor take in each row of the circle if row y is row (y * pitch) mod rows, at phase 0.
    taken = [[0] * rows for _ in members]
    for own, member in zip(taken, members, strict=True):
        for y, life in enumerate(lives[member]):
            own[y * pitch % rows] |= life
    phases = _phases(taken, [_MOST_TRIALS])
    return None if phases is None else RingPlace(members, rows, place.row_bytes, phases, pitch)


def _phases(taken: Sequence[Sequence[int]], trials: list[int], chosen: tuple[int, ...] = ()) -> tuple[int, ...] | None:
    """Phases at which no two tensors are in a row of the circle together; None if none are found.

    Args:
      taken: of each tensor at phase 0, the turns at which it takes each row of the circle, as sets of bits.
      trials: how many may still be made.
      chosen: phases of the first tensors.
    """
    if len(chosen) == len(taken):
        return chosen
    for phase in range(len(taken[0])) if chosen else (0,):
        trials[0] -= 1
        if trials[0] < 0:
            return None
        own = _turned(taken[len(chosen)], phase)
        others = map(_turned, taken, chosen)
        if all(not any(map(operator.and_, own, other)) for other in others):
            found = _phases(taken, trials, (*chosen, phase))
            if found is not None:
                return found
    return None


def _turned(taken: Sequence[int], phase: int) -> Sequence[int]:
    """What a tensor takes of a circle at another phase than 0."""
    return [*taken[-phase:], *taken[:-phase]] if phase else taken


def _union(lives: Iterable[int]) -> int:
    found = 0
    for life in lives:
        found |= life
    return found


def _lives(
    ops: Sequence[RegionOp], steps: Sequence[int], rings: Mapping[RegionTensor, Form], table: RowTable
) -> dict[RegionTensor, list[int]]:
    """Of each row of rings the turns from where it is written to where it is read last, as a set of bits."""
    written = {op.output: [0] * op.output.height for op in ops if op.output in rings}
    last = {tensor: list(turns) for tensor, turns in written.items()}
    reads = [[(last[t], rows) for t, rows in zip(op.inputs, table.of(op), strict=True) if t in rings] for op in ops]
    done = [0] * len(ops)
    for turn, number in enumerate(steps):
        op, step = ops[number], done[number]
        done[number] += 1
        for turns, rows in reads[number]:
            for row in range(rows.first[step], rows.last[step] + 1):
                turns[row] = turn
        if op.output in rings and (not op.accumulates or step + 1 == op.steps):
            row = 0 if op.accumulates else step
            written[op.output][row] = last[op.output][row] = turn
    return {
        tensor: [(2 << end) - (1 << first) for first, end in zip(written[tensor], last[tensor], strict=True)]
        for tensor in written
    }
