"""What every stage of a region costs, whole or in strips: bounds for all of them, the exact need where it is asked for.

How many rows a ring holds depends on all ops of a stage, which an execution on row counters finds out. Every read's own
rows are a lower bound that mostly holds with equality, and cheap. Columns, and so what strips compute twice, are exact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np

from fmtc_tflite.regions.copy import Copy
from fmtc_tflite.regions.extra import NOTHING, Extra, total
from fmtc_tflite.regions.ops import RegionOp, RegionTensor
from fmtc_tflite.regions.program_format import ROW_ALIGNMENT
from fmtc_tflite.regions.region import Form, align, form_of
from fmtc_tflite.regions.ring_places import RingBound
from fmtc_tflite.regions.stages import RegionSpans, Stage
from fmtc_tflite.regions.strips import ColumnSweep, Division, Windows

INFINITE = 1 << 60  # sums of a few stay within int64


class StageCosts:
    """Costs of stages [first, end), each way to execute them an alternative; number 0 is in whole rows.

    Attributes:
      spans: the region.
      needs: int64 [alternatives, first, end], scratch bytes or a lower bound of them; INFINITE where it cannot be.
      extra_macs, extra_ns: int64 [alternatives, first, end], what strips cost beyond whole rows.
      stored_bytes: int64 [first, end], of the cuts that the stage writes.
    """

    def __init__(self, spans: RegionSpans) -> None:
        self.spans = spans
        self._divisions: list[Division | None] = [None]
        self._most = NOTHING  # of alternatives in strips
        count = spans.op_count
        self.stored_bytes = self.written({tensor: spans.cut_bytes(tensor) for tensor in spans.inner})
        self.needs = np.full((1, count, count + 1), INFINITE, np.int64)
        self.extra_macs = self.extra_ns = np.zeros((1, count, count + 1), np.int64)
        self._is_exact = np.zeros((count, count + 1), bool)
        self._copies: dict[RegionTensor, Copy] = {}
        for first in range(count):
            self.needs[0, first, first + 1 :] = self._whole_rows_from(first)
            self.needs[0, first, spans.last_ends[first] + 1 :] = INFINITE

    def written(self, weights: Mapping[RegionTensor, int]) -> np.ndarray:
        """The sum of the weights of the cuts that each stage writes, int64 [first, end].

        Args:
          weights: of each inner tensor.
        """
        sums = np.zeros((self.spans.op_count, self.spans.op_count + 1), np.int64)
        for first in range(self.spans.op_count):
            sums[first, first + 1 :] = self._written_from(first, weights)
        return sums

    def read(self, weights: Mapping[RegionTensor, int]) -> np.ndarray:
        """The sum of the weights of the cuts that each stage reads, int64 [first, end].

        Args:
          weights: of each inner tensor.
        """
        spans = self.spans
        sums = np.zeros((spans.op_count, spans.op_count + 1), np.int64)
        for first in range(spans.op_count):
            seen: set[RegionTensor] = set()
            for number in range(first, spans.op_count):
                new = {t for t in spans.region.ops[number].inputs if spans.producer.get(t, first) < first} - seen
                seen |= new
                sums[first, number + 1] = sums[first, number] + sum(weights.get(t, 0) for t in new)
        return sums

    def add_strips(self, divisions: Sequence[Division], most_bytes: int, most: Extra) -> None:
        """Puts alternatives beside whole rows: what stages need in strips.

        Args:
          most_bytes, most: what needs or costs more is not wanted.
        """
        if self._most.contains(most):
            return
        self._most = most
        shape = (len(divisions), *self.needs.shape[1:])
        needs, macs, ns = np.full(shape, INFINITE, np.int64), np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        live = [sum(self.spans.cut_bytes(t) for t in self.spans.live(first)) for first in range(self.spans.op_count)]
        for number, division in enumerate(divisions):
            for end in range(1, self.spans.op_count + 1):
                for first, rings, extra in self._strips_to(end, division, most_bytes, most):
                    if end <= self.spans.last_ends[first]:
                        needs[number, first, end] = live[first] + self.stored_bytes[first, end] + rings
                        macs[number, first, end], ns[number, first, end] = extra.macs, extra.ns
        needs[needs > most_bytes] = INFINITE
        used = np.flatnonzero((needs < INFINITE).any(axis=(1, 2))).tolist()
        self.needs = np.concatenate([self.needs[:1], needs[used]])
        self.extra_macs = np.concatenate([self.extra_macs[:1], macs[used]])
        self.extra_ns = np.concatenate([self.extra_ns[:1], ns[used]])
        self._divisions = [None, *(divisions[number] for number in used)]
        for first, end in np.argwhere(self._is_exact):
            self._correct_strips(int(first), int(end))

    def prices(self, budget: Extra) -> np.ndarray:
        """Of what strips cost, int64 [alternatives, first, end]."""
        return budget.prices(self.extra_macs, self.extra_ns)

    def is_exact(self, first: int, end: int) -> bool:
        return bool(self._is_exact[first, end])

    def find_out(self, first: int, end: int) -> None:
        """Puts a stage's exact needs in the place of bounds."""
        if not self._is_exact[first, end]:
            self._is_exact[first, end] = True
            self.needs[0, first, end] = self.stage(first, end, 0).scratch_bytes
            self._correct_strips(first, end)

    def stage(self, first: int, end: int, alternative: int) -> Stage:
        """The stage executed in one of the ways that are possible for it."""
        return self.in_way(self.spans, first, end, alternative)

    def windows(self, width: int, alternative: int) -> Windows | None:
        """The strips of so many columns in an alternative other than whole rows; None if they are too few."""
        division = self._divisions[alternative]
        assert division is not None
        return division.windows(width)

    def in_way(self, spans: RegionSpans, first: int, end: int, alternative: int) -> Stage:
        """A stage of the region, or of one that has other ops beside its own, executed in one of these ways."""
        stage = spans.stage(first, end, self._divisions[alternative])
        assert stage is not None
        return stage

    def _correct_strips(self, first: int, end: int) -> None:
        for number in range(1, len(self._divisions)):
            if self.needs[number, first, end] < INFINITE:
                self.needs[number, first, end] = self.stage(first, end, number).scratch_bytes

    # --- bounds -------------------------------------------------------------------------------------------------------

    def _written_from(self, first: int, weights: Mapping[RegionTensor, int]) -> list[int]:
        spans = self.spans
        stored, row = 0, []
        for number in range(first, spans.op_count):
            stored += weights.get(spans.region.ops[number].output, 0)
            stored -= sum(weights[t] for t in self._last_reads[number] if spans.producer[t] >= first)
            row.append(stored)
        return row

    @cached_property
    def _last_reads(self) -> list[list[RegionTensor]]:
        """For each op, the inner tensors that nobody reads after it."""
        found: list[list[RegionTensor]] = [[] for _ in range(self.spans.op_count)]
        for tensor, number in self.spans.last_read.items():
            found[number].append(tensor)
        return found

    @cached_property
    def _least_depths(self) -> dict[RegionTensor, int]:
        """Rows that single reads ask for, of tensors that ops write, and those that wait for a sum of them all."""
        awaited = self._awaited_sums()
        depths = dict.fromkeys(self.spans.inner, 1)
        for tensor in self.spans.inner:
            for number, (op, operand) in self.spans.reads.get(tensor, []):
                waiting = tensor.height - self.spans.table.of(op)[operand].first[0] if tensor in awaited[number] else 0
                depths[tensor] = max(depths[tensor], self._depth(op, operand), waiting)
        return depths

    def _awaited_sums(self) -> list[set[RegionTensor]]:
        """For each op, tensors all of whose rows must be there before its first step: behind a squeeze-and-excite."""
        above: dict[RegionTensor, set[RegionTensor]] = {}  # what each tensor is made from, itself included
        summed: dict[RegionTensor, set[RegionTensor]] = {}  # of these, what is read whole before it is there
        found = []
        for op in self.spans.region.ops:
            sources = set[RegionTensor]().union(*(above.get(tensor, {tensor}) for tensor in op.inputs))
            awaited = set[RegionTensor]().union(*(summed.get(tensor, set()) for tensor in op.inputs))
            found.append(awaited)
            above[op.output] = {*sources, op.output}
            summed[op.output] = sources if op.accumulates else awaited
        return found

    def _depth(self, op: RegionOp, operand: int) -> int:
        rows = self.spans.table.of(op)[operand]
        return max(b - a + 1 for a, b in zip(rows.first, rows.last, strict=True))

    def _copy_of(self, tensor: RegionTensor) -> Copy:
        """The op that copies an input of the region, for its cost."""
        return self._copies.setdefault(tensor, Copy.of(tensor))

    def _whole_rows_from(self, first: int) -> list[int]:
        """Lower bounds for each end; overlays may save all that can be."""
        spans = self.spans
        live = sum(spans.cut_bytes(t) for t in spans.live(first))
        bounds, rings, kept, shared, dying = [], RingBound(), 0, 0, 0
        copies: dict[RegionTensor, tuple[int, int]] = {}  # rows, and bytes of a row
        for number in range(first, spans.op_count):
            op, stored = spans.region.ops[number], int(self.stored_bytes[first, number + 1])
            for tensor in self._last_reads[number]:
                if spans.producer[tensor] >= first:
                    rings.add(tensor.height, self._least_depths[tensor], spans.forms[tensor].row_bytes)
                else:
                    dying += spans.cut_bytes(tensor)
            for operand, tensor in enumerate(op.inputs):
                if spans.is_copied(op, operand):
                    depth, row_bytes = copies.get(tensor, (0, 0))
                    own_row = form_of(tensor, [(op, operand)]).row_bytes
                    copies[tensor] = max(depth, self._depth(op, operand)), max(row_bytes, own_row)
            own = align(op.own_memory_bytes, ROW_ALIGNMENT)
            kept, shared = (kept + own, shared) if op.kept_memory_bytes else (kept, max(shared, own))
            in_rings = rings.with_rings((t.height, *ring) for t, ring in copies.items())
            bounds.append(live + stored - min(stored, dying) + in_rings + kept + shared)
        return bounds

    def _strips_to(self, end: int, division: Division, most_bytes: int, most: Extra) -> list[tuple[int, int, Extra]]:
        """For each first op: a lower bound of all but the cuts, and what strips cost beyond whole rows."""
        spans, sweep = self.spans, ColumnSweep(division)
        found, rings, shared, extra = [], RingBound(), 0, NOTHING
        copies: dict[RegionTensor, tuple[int, Form]] = {}
        for first in range(end - 1, -1, -1):
            op = spans.region.ops[first]
            is_inner = op.output in spans.last_read
            copied = [operand for operand in range(len(op.inputs)) if spans.is_copied(op, operand)]
            rest = [operand for operand, tensor in enumerate(op.inputs) if tensor in spans.producer]
            windows = sweep.visit(op, not is_inner or spans.last_read[op.output] >= end, copied + rest)
            if windows is None:
                break
            extra = total((extra, spans.extra(op, windows)))
            shared = max(shared, align(op.own_memory_bytes, ROW_ALIGNMENT))
            if is_inner and spans.last_read[op.output] < end:
                form = spans.forms[op.output].windowed(op.output.width, windows)
                rings.add(op.output.height, self._least_depths[op.output], form.row_bytes)
            for operand in copied:
                tensor, depth = op.inputs[operand], self._depth(op, operand)
                depth = max(depth, copies[tensor][0] if tensor in copies else 0)
                copies[tensor] = depth, form_of(tensor, [(op, operand)])
            need = shared + rings.with_rings(
                (t.height, depth, form.windowed(t.width, sweep.needed(t)).row_bytes)
                for t, (depth, form) in copies.items()
            )
            whole = total((extra, *(spans.extra(self._copy_of(t), sweep.needed(t)) for t in copies)))
            if need > most_bytes or not most.contains(whole):
                break
            found.append((first, need, whole))
        return found
