"""Cuts the ops of a region into stages such that the largest need of scratch memory is least: exact, over the op order.

Within a stage all tensors are rings; what a later stage reads (a *cut*) is stored whole. One stage needs

    the cuts that are live + its new cuts + its rings + the ops' own memory - what an overlay saves,

where a new cut may lie over a dying one as far as its rows are written behind those that are still read. The least
largest need over all ways to cut the order is a bottleneck path. Lower bounds of the needs are cheap, and exact ones,
which take an execution on row counters, are found only for the stages that a best path uses.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cached_property

from fmtc_tflite.graph.model import Tensor
from fmtc_tflite.regions.copy import Copy
from fmtc_tflite.regions.ops import RegionOp, RegionTensor
from fmtc_tflite.regions.program_format import ROW_ALIGNMENT
from fmtc_tflite.regions.region import Form, Read, Region, align, form_of, is_read_in_place
from fmtc_tflite.regions.rows import Pull, RowTable, pull

_CIRCLE_SLACK = 1.2  # cuts of one height share a circle where the longer row is at most this many times the shorter
_INFINITE = 1 << 62


@dataclass(frozen=True)
class Overlay:
    """A new cut that lies over a dying one.

    Attributes:
      saved_bytes: of what both would take.
      circle_rows: in a circle of rows, which saves as much: each row lies so many rows before the old cut's; or None.
      is_linear: whether the new cut saves as much where it begins some bytes before the old one.
    """

    old: RegionTensor
    new: RegionTensor
    saved_bytes: int
    circle_rows: int | None
    is_linear: bool


@dataclass(frozen=True)
class Stage:
    """Ops [first, end) of the region, executed together.

    Attributes:
      ops: copies of region inputs first, then the region's own, whose reads of copied inputs go to the copies.
      pull: their execution; its step numbers count within `ops`.
      rings: tensors that live within the stage, in their form.
      overlays: of new cuts over dying ones.
      scratch_bytes: what the stage needs.
    """

    first: int
    end: int
    ops: tuple[RegionOp, ...]
    pull: Pull
    rings: dict[RegionTensor, Form]
    overlays: tuple[Overlay, ...]
    scratch_bytes: int


class StageCosts:
    """What every stage of a region needs; results are kept.

    Attributes:
      last_ends: for each first op, where a stage must end at the latest.
    """

    def __init__(self, region: Region, table: RowTable | None = None, forced_cuts: Collection[Tensor] = ()) -> None:
        self.region = region
        self.table = table or RowTable()
        self.producer = {op.output: number for number, op in enumerate(region.ops)}
        self.reads: dict[RegionTensor, list[tuple[int, Read]]] = {}
        for number, op in enumerate(region.ops):
            for operand, tensor in enumerate(op.inputs):
                self.reads.setdefault(tensor, []).append((number, (op, operand)))
        outputs = set(region.outputs)
        self.inner = [op.output for op in region.ops if op.output not in outputs]
        self.forms = {t: form_of(t, [read for _, read in self.reads.get(t, [])]) for t in self.inner}
        self.last_read = {t: max((n for n, _ in self.reads.get(t, [])), default=self.producer[t]) for t in self.inner}
        self.last_ends = self._last_ends(forced_cuts)
        self._exact: dict[tuple[int, int], Stage] = {}

    @property
    def op_count(self) -> int:
        return len(self.region.ops)

    def _last_ends(self, forced_cuts: Collection[Tensor]) -> list[int]:
        """For each first op, where a stage must end at the latest: none has all that concerns a forced cut in it."""
        ends = [self.op_count] * self.op_count
        for tensor, last in self.last_read.items():
            if tensor.source in forced_cuts and last > self.producer[tensor]:
                for first in range(self.producer[tensor] + 1):
                    ends[first] = min(ends[first], last)
        return ends

    def cut_bytes(self, tensor: RegionTensor) -> int:
        """Of the whole tensor in scratch memory."""
        return tensor.height * self.forms[tensor].row_bytes

    def live(self, first: int) -> list[RegionTensor]:
        """Cuts that are stored when a stage begins."""
        return [t for t in self.inner if self.producer[t] < first <= self.last_read[t]]

    def new_cuts(self, first: int, end: int) -> list[RegionTensor]:
        """Cuts that the stage writes."""
        return [op.output for op in self.region.ops[first:end] if self.last_read.get(op.output, -1) >= end]

    def dying(self, first: int, end: int) -> list[RegionTensor]:
        """Cuts that nobody reads after the stage."""
        return [t for t in self.live(first) if self.last_read[t] < end]

    def is_known(self, first: int, end: int) -> bool:
        return (first, end) in self._exact

    def stage(self, first: int, end: int) -> Stage:
        """The exact plan of one stage."""
        if (first, end) not in self._exact:
            self._exact[first, end] = self._plan(first, end)
        return self._exact[first, end]

    def bound(self, first: int, end: int) -> int:
        """The exact need where it is known, else a lower bound."""
        known = self._exact.get((first, end))
        return self.lower_bounds[first][end - first - 1] if known is None else known.scratch_bytes

    @cached_property
    def lower_bounds(self) -> list[list[int]]:
        """For each first op and each length: the need with the fewest rows that single reads ask for."""
        least = {t: self._least_ring_bytes(t) for t in self.inner}
        return [self._lower_bounds_from(first, least) for first in range(self.op_count)]

    @cached_property
    def stored_bytes(self) -> list[list[int]]:
        """For each first op and each length: bytes of the cuts that the stage writes."""
        table = []
        for first in range(self.op_count):
            stored, row = 0, []
            for number in range(first, self.op_count):
                output = self.region.ops[number].output
                stored += self.cut_bytes(output) if output in self.last_read else 0
                stored -= sum(self.cut_bytes(t) for t in self._last_reads[number] if self.producer[t] >= first)
                row.append(stored)
            table.append(row)
        return table

    @cached_property
    def _last_reads(self) -> list[list[RegionTensor]]:
        """For each op, the cuts that nobody reads after it."""
        found: list[list[RegionTensor]] = [[] for _ in range(self.op_count)]
        for tensor, number in self.last_read.items():
            found[number].append(tensor)
        return found

    def _lower_bounds_from(self, first: int, least: dict[RegionTensor, int]) -> list[int]:
        live = sum(self.cut_bytes(t) for t in self.live(first))
        bounds, rings, kept, shared, dying = [], 0, 0, 0, 0
        copies: dict[RegionTensor, int] = {}
        for number, stored in enumerate(self.stored_bytes[first], start=first):
            op = self.region.ops[number]
            rings += sum(least[t] for t in self._last_reads[number] if self.producer[t] >= first)
            dying += sum(self.cut_bytes(t) for t in self._last_reads[number] if self.producer[t] < first)
            for operand, tensor in enumerate(op.inputs):
                if tensor not in self.producer and not is_read_in_place(op, operand):
                    rows, form = self.table.of(op)[operand], form_of(tensor, [(op, operand)])
                    depth = max(b - a + 1 for a, b in zip(rows.first, rows.last, strict=True))
                    copies[tensor] = max(copies.get(tensor, 0), depth * form.row_bytes)
            own = align(op.own_memory_bytes, ROW_ALIGNMENT)
            kept, shared = (kept + own, shared) if op.accumulates else (kept, max(shared, own))
            bounds.append(live + stored - min(stored, dying) + rings + sum(copies.values()) + kept + shared)
        return bounds

    def _least_ring_bytes(self, tensor: RegionTensor) -> int:
        depth = 1
        for _, (op, operand) in self.reads.get(tensor, []):
            rows = self.table.of(op)[operand]
            depth = max(depth, *(b - a + 1 for a, b in zip(rows.first, rows.last, strict=True)))
        return depth * self.forms[tensor].row_bytes

    def _plan(self, first: int, end: int) -> Stage:
        ops = self._with_copies(self.region.ops[first:end])
        written = {op.output for op in ops}
        read = {tensor for op in ops for tensor in op.inputs}
        new, dying = self.new_cuts(first, end), self.dying(first, end)
        wanted = written - read | set(new)
        found = pull(ops, wanted, self.table, dying if new else ())
        rings = self._rings(ops, set(new))
        overlays = self._overlays(found, new, dying)
        need = sum(self.cut_bytes(t) for t in [*self.live(first), *new]) - sum(o.saved_bytes for o in overlays)
        need += sum(found.depths[t] * form.row_bytes for t, form in rings.items())
        kept, shared = own_memory(ops)
        return Stage(first, end, ops, found, rings, overlays, need + sum(kept) + shared)

    def _with_copies(self, ops: tuple[RegionOp, ...]) -> tuple[RegionOp, ...]:
        """Puts a copy of each region input before the first op that cannot read the input itself."""
        copies: dict[RegionTensor, Copy] = {}
        changed: list[RegionOp] = []
        for op in ops:
            inputs = list(op.inputs)
            for operand, tensor in enumerate(op.inputs):
                if tensor not in self.producer and not is_read_in_place(op, operand):
                    copies.setdefault(tensor, Copy.of(tensor))
                    inputs[operand] = copies[tensor].output
            changed.append(op if tuple(inputs) == op.inputs else replace(op, inputs=tuple(inputs)))
        return (*copies.values(), *changed)

    def _rings(self, ops: tuple[RegionOp, ...], stored: set[RegionTensor]) -> dict[RegionTensor, Form]:
        """The tensors that only this stage knows."""
        rings = {}
        for op in ops:
            tensor = op.output
            if tensor in self.region.outputs or tensor in stored:
                continue
            reads = [(reader, k) for reader in ops for k, source in enumerate(reader.inputs) if source is tensor]
            rings[tensor] = form_of(tensor, reads)
        return rings

    def _overlays(self, found: Pull, new: list[RegionTensor], dying: list[RegionTensor]) -> tuple[Overlay, ...]:
        """Pairs of new and dying cuts, those that save most first; each cut takes part once."""
        pairs = [self._overlay(old, cut, found.lowest[old, cut]) for cut in new for old in dying
                 if (old, cut) in found.lowest]  # fmt: skip
        chosen: list[Overlay] = []
        for pair in sorted((p for p in pairs if p.saved_bytes > 0), key=lambda p: -p.saved_bytes):
            if all(pair.old is not other.old and pair.new is not other.new for other in chosen):
                chosen.append(pair)
        return tuple(chosen)

    def _overlay(self, old: RegionTensor, new: RegionTensor, lowest: tuple[int, ...]) -> Overlay:
        rows = (self.forms[old].row_bytes, self.forms[new].row_bytes)
        both = self.cut_bytes(old) + self.cut_bytes(new)
        needed = [(y, low) for y, low in enumerate(lowest) if low < old.height]
        ahead = align(max((0, *((y + 1) * rows[1] - low * rows[0] for y, low in needed))), ROW_ALIGNMENT)
        linear = both - max(self.cut_bytes(new), ahead + self.cut_bytes(old))
        if old.height != new.height or max(rows) > _CIRCLE_SLACK * min(rows):
            return Overlay(old, new, linear, None, True)
        distance = max((0, *(y + 1 - low for y, low in needed)))
        circle = both - (old.height + distance) * max(rows)
        saved = max(circle, linear)
        return Overlay(old, new, saved, distance if circle == saved else None, linear == saved)


def own_memory(ops: tuple[RegionOp, ...]) -> tuple[list[int], int]:
    """Bytes of each op that keeps its own memory from step to step, and of what the others share."""
    kept = [align(op.own_memory_bytes, ROW_ALIGNMENT) for op in ops if op.accumulates]
    shared = max((align(op.own_memory_bytes, ROW_ALIGNMENT) for op in ops if not op.accumulates), default=0)
    return kept, shared


def least_scratch(costs: StageCosts) -> int:
    """The least largest need over all ways to cut the region's order into stages."""
    while True:
        need, path = _bottleneck(costs)
        unknown = [stage for stage in path if not costs.is_known(*stage)]
        if not unknown:
            return need
        for stage in unknown:
            costs.stage(*stage)


def fewest_stored(costs: StageCosts, limit: int) -> list[Stage] | None:
    """The stages that store the fewest bytes (then: the fewest stages) where none needs more than the limit."""
    while True:
        path = _cheapest(costs, limit)
        if path is None:
            return None
        unknown = [stage for stage in path if not costs.is_known(*stage)]
        if not unknown:
            return [costs.stage(*stage) for stage in path]
        for stage in unknown:
            costs.stage(*stage)


Span = tuple[int, int]


def _bottleneck(costs: StageCosts) -> tuple[int, list[Span]]:
    best, came_from = [0] + [_INFINITE] * costs.op_count, [0] * (costs.op_count + 1)
    for end in range(1, costs.op_count + 1):
        for first in range(end):
            if best[first] < best[end] and end <= costs.last_ends[first]:
                need = max(best[first], costs.bound(first, end))
                if need < best[end]:
                    best[end], came_from[end] = need, first
    return best[-1], _walk_back(came_from, costs.op_count)


def _cheapest(costs: StageCosts, limit: int) -> list[Span] | None:
    nothing = (_INFINITE, _INFINITE)
    best, came_from = [(0, 0)] + [nothing] * costs.op_count, [0] * (costs.op_count + 1)
    for end in range(1, costs.op_count + 1):
        for first in range(end):
            allowed = best[first] != nothing and end <= costs.last_ends[first]
            if not allowed or costs.bound(first, end) > limit:
                continue
            cost = (best[first][0] + costs.stored_bytes[first][end - first - 1], best[first][1] + 1)
            if cost < best[end]:
                best[end], came_from[end] = cost, first
    return None if best[-1] == nothing else _walk_back(came_from, costs.op_count)


def _walk_back(came_from: list[int], end: int) -> list[Span]:
    path = []
    while end:
        path.append((came_from[end], end))
        end = came_from[end]
    return path[::-1]
