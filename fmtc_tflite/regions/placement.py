"""Where everything lies in scratch memory, and how much of that there must be.

Cuts that overlay one another move as one *body*; bodies and rings are put one after another at the lowest or highest
free place. Several orders are tried, the same ones in each run, until the stages' own needs are met.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fmtc_tflite.regions.ops import RegionOp, RegionTensor
from fmtc_tflite.regions.program_format import ROW_ALIGNMENT, SCRATCH_ALIGNMENT
from fmtc_tflite.regions.region import Form, align
from fmtc_tflite.regions.stages import OwnMemory, RegionSpans, Stage

_TRIALS = 300


@dataclass(frozen=True)
class Memory:
    """A tensor's rows in scratch memory, as a tensor record has them; `row_bytes` may exceed the form's."""

    form: Form
    offset: int
    depth: int
    row_bytes: int
    phase: int
    pitch: int = 1


@dataclass(frozen=True)
class Placement:
    """Places of all tensors in scratch memory and of the ops' own memory (offset, bytes)."""

    scratch_bytes: int
    tensors: dict[RegionTensor, Memory]
    own: dict[RegionOp, tuple[int, int]]


@dataclass(eq=False)
class _Circle:
    """Cuts that share a circle of rows, or a cut alone; the first is written in pass `first`."""

    members: list[RegionTensor]
    steps: list[int]  # rows from each member to the next
    depth: int
    row_bytes: int
    first: int
    last: int
    anchor_last: bool = True  # the last member has phase 0, else the first

    @property
    def bytes(self) -> int:
        return self.depth * self.row_bytes

    def phase(self, number: int) -> int:
        if self.anchor_last:
            return sum(self.steps[number:]) % self.depth
        return -sum(self.steps[:number]) % self.depth

    def addresses(self, number: int) -> np.ndarray:
        """Where each row of a member begins in the circle, int64 [height]."""
        rows = np.arange(self.members[number].height, dtype=np.int64)
        return (rows + self.phase(number)) % self.depth * self.row_bytes


@dataclass(frozen=True)
class _Part:
    """Memory [start, start + size) of a body during passes first to last; `owner` is what lies there."""

    start: int
    size: int
    first: int
    last: int
    owner: object


@dataclass(eq=False)
class _Body:
    """Parts whose distances are fixed."""

    parts: list[_Part]

    @cached_property
    def extent(self) -> int:
        return max(part.start + part.size for part in self.parts)

    @property
    def order(self) -> tuple[int, int]:
        """Large ones first, then long-lived ones."""
        return -self.extent, self.parts[0].first - self.parts[-1].last


def place(spans: RegionSpans, stages: Sequence[Stage]) -> Placement:
    """Places everything; deterministic."""
    # A circle stays where it is however many cuts follow one another in it, a chain of overlays moves with each.
    rings = _ring_bodies(stages)
    least = max(stage.scratch_bytes for stage in stages)
    best: tuple[list[_Circle], _Places] | None = None
    for prefer_circles in (True, False):
        circles, bodies = _cut_bodies(spans, stages, prefer_circles)
        places = _best_places(bodies, rings, least)
        if best is None or places.extent < best[1].extent:
            best = circles, places
        if places.extent <= least:
            break
    assert best is not None
    return _placement(spans, *best, stages)


def _best_places(bodies: list[_Body], rings: list[_Body], least: int) -> _Places:
    best = _Places(least)
    best.put_all([*sorted(bodies, key=lambda b: b.order), *rings], set())
    rng = np.random.default_rng(0)
    for _ in range(_TRIALS):
        if best.extent <= align(least, SCRATCH_ALIGNMENT):
            break
        order = sorted(bodies, key=lambda b: b.order[0] * rng.uniform(0.5, 1.5))
        trial = _Places(least)
        if trial.put_all([*order, *rings], {id(b) for b in bodies if rng.integers(2)}, below=best.extent):
            best = trial
    return best


def _cut_bodies(spans: RegionSpans, stages: Sequence[Stage], prefer_circles: bool) -> tuple[list[_Circle], list[_Body]]:
    """The circles of all cuts, and the bodies that they form."""
    number_of = {op: number for number, stage in enumerate(stages) for op in range(stage.first, stage.end)}
    links = [overlay for stage in stages for overlay in stage.overlays]
    rows = {o.new: o.circle_rows for o in links if o.circle_rows is not None and (prefer_circles or not o.is_linear)}
    after, overlaying = {overlay.old: overlay.new for overlay in links}, {overlay.new for overlay in links}
    circles: dict[RegionTensor, _Circle] = {}
    for cut in (cut for stage in stages for cut in spans.new_cuts(stage.first, stage.end)):
        if cut in rows:
            continue
        circle = _Circle([cut], [], cut.height, spans.forms[cut].row_bytes, number_of[spans.producer[cut]], 0)
        while (new := after.get(circle.members[-1])) in rows:
            circle.members.append(new)
            circle.steps.append(rows[new])
            circle.depth = max(circle.depth, new.height + rows[new])
            circle.row_bytes = max(circle.row_bytes, spans.forms[new].row_bytes)
        circle.last = number_of[spans.last_read[circle.members[-1]]]
        circle.anchor_last = cut not in overlaying
        circles |= dict.fromkeys(circle.members, circle)
    unique = list(dict.fromkeys(circles.values()))
    bodies = [_linear_body(c, circles, after, stages) for c in unique if c.members[0] not in overlaying]
    return unique, bodies


def _linear_body(
    circle: _Circle,
    circles: dict[RegionTensor, _Circle],
    after: dict[RegionTensor, RegionTensor],
    stages: Sequence[Stage],
) -> _Body:
    """A circle and those that overlay it one after another, each a little below the one before."""
    chain, starts = [circle], [0]
    while (cut := after.get(chain[-1].members[-1])) is not None:
        old, new = chain[-1], circles[cut]
        lowest = stages[new.first].pull.lowest[old.members[-1], cut]
        starts.append(starts[-1] - _least_distance(old, new, np.array(lowest)))
        chain.append(new)
    base = min(starts)
    return _Body([_Part(s - base, c.bytes, c.first, c.last, c) for s, c in zip(starts, chain, strict=True)])


def _least_distance(old: _Circle, new: _Circle, lowest: np.ndarray) -> int:
    """Bytes from a circle up to the one that it overlays such that no row is written over one still to be read."""
    written, read = new.addresses(0), old.addresses(len(old.members) - 1)
    rows, needed = np.nonzero(np.arange(len(read))[None, :] >= lowest[:, None])
    if not len(rows):
        return 0
    # Rows written and rows needed meet where the distance between the circles lies between these.
    low = written[rows] - read[needed] - old.row_bytes
    high = written[rows] + new.row_bytes - read[needed]
    distance = 0
    for start, end in sorted(set(zip(low.tolist(), high.tolist(), strict=True))):
        if start < distance < end:
            distance = align(end, ROW_ALIGNMENT)
    return distance


def _ring_bodies(stages: Sequence[Stage]) -> list[_Body]:
    """What lives in one stage only: rings and the ops' own memory."""
    bodies = []
    for number, stage in enumerate(stages):
        bodies += [_Body([_Part(0, place.bytes, number, number, place)]) for place in stage.places]
        own = OwnMemory.of(stage.ops)
        bodies += [
            _Body([_Part(0, size, number, number, op)]) for op, size in own.kept.items() if op is not own.neighbour
        ]
        start = own.kept.get(own.neighbour, 0) if own.neighbour else 0
        parts = [_Part(0, start, number, number, own.neighbour)] if own.neighbour else []
        if own.shared:
            bodies.append(_Body([*parts, _Part(start, own.shared, number, number, number)]))
    return sorted(bodies, key=lambda b: b.order)


class _Places:
    """Bodies put into memory one after another."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken: dict[int, list[tuple[int, int]]] = {}  # by pass: (start, end)
        self.start_of: dict[object, int] = {}
        self.extent = 0

    def put_all(self, bodies: Iterable[_Body], on_top: set[int], below: float = math.inf) -> bool:
        """Whether all were put into less than `below`; it gives up where that cannot be."""
        for body in bodies:
            self._put(body, id(body) in on_top)
            if self.extent >= below:
                return False
        return True

    def _put(self, body: _Body, on_top: bool) -> None:
        offset = self._offset(body, on_top)
        for part in body.parts:
            start, end = offset + part.start, offset + part.start + part.size
            self.start_of[part.owner] = start
            for number in range(part.first, part.last + 1):
                self._taken.setdefault(number, []).append((start, end))
        self.extent = max(self.extent, offset + body.extent)

    def _offset(self, body: _Body, on_top: bool) -> int:
        """The lowest offset at which no part meets another in its passes; the highest below the limit for `on_top`."""
        forbidden = sorted(
            {
                (start - part.start - part.size, end - part.start)
                for part in body.parts
                for number in range(part.first, part.last + 1)
                for start, end in self._taken.get(number, ())
            }
        )
        highest = self._limit - body.extent
        if on_top and highest >= 0:
            offset = highest // ROW_ALIGNMENT * ROW_ALIGNMENT
            for start, end in sorted(forbidden, key=lambda pair: -pair[1]):
                if start < offset < end:
                    offset = start // ROW_ALIGNMENT * ROW_ALIGNMENT
            if offset >= 0:
                return offset
        offset = 0
        for start, end in forbidden:
            if start < offset < end:
                offset = align(end, ROW_ALIGNMENT)
        return offset


def _placement(spans: RegionSpans, circles: list[_Circle], places: _Places, stages: Sequence[Stage]) -> Placement:
    tensors: dict[RegionTensor, Memory] = {}
    for circle in circles:
        start = places.start_of[circle]
        for number, member in enumerate(circle.members):
            tensors[member] = Memory(spans.forms[member], start, circle.depth, circle.row_bytes, circle.phase(number))
    own: dict[RegionOp, tuple[int, int]] = {}
    for number, stage in enumerate(stages):
        for place_ in stage.places:
            rows = places.start_of[place_], place_.depth, place_.row_bytes
            for tensor, phase in zip(place_.tensors, place_.phases, strict=True):
                tensors[tensor] = Memory(stage.rings[tensor], *rows, phase, place_.pitch)
        for op in stage.ops:
            if op.own_memory_bytes:
                own[op] = places.start_of[op if op.kept_memory_bytes else number], op.own_memory_bytes
    return Placement(align(places.extent, SCRATCH_ALIGNMENT), tensors, own)
