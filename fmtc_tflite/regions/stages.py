"""What a stage of a region needs: ops that follow one another and are executed together.

Within a stage all tensors are rings; what a later stage reads (a *cut*) is stored whole. One stage needs

    the cuts that are live + its new cuts + its rings + the ops' own memory - what overlays save,

and strips (fmtc_tflite.regions.strips) make its rings narrower, at the price of multiply-adds. In strips nothing is
overlaid: later strips read the old cut's rows again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from fmtc_tflite.graph.model import Tensor
from fmtc_tflite.regions.copy import Copy
from fmtc_tflite.regions.extra import NOTHING, Extra, total
from fmtc_tflite.regions.ops import RegionOp, RegionTensor
from fmtc_tflite.regions.overlays import Overlay, find_overlays
from fmtc_tflite.regions.program_format import ROW_ALIGNMENT
from fmtc_tflite.regions.region import Form, Read, Region, align, form_of, is_read_in_place
from fmtc_tflite.regions.ring_places import RingPlace, ring_places
from fmtc_tflite.regions.rows import Pull, RowTable, pull
from fmtc_tflite.regions.strips import Division, Windows, extra_macs, stage_windows
from fmtc_tflite.regions.time_costs import CpuCosts, load_cpu


@dataclass(frozen=True)
class Stage:
    """Ops [first, end) of the region, executed together.

    Attributes:
      ops: copies of region inputs first, then the region's own, whose reads of copied inputs go to the copies.
      pull: their execution, the same in each strip; its step numbers count within `ops`.
      rings: tensors that live within the stage, in their form.
      places: of the rings: those of one place are never there at the same time.
      overlays: of new cuts over dying ones.
      scratch_bytes: what the stage needs.
      windows: the columns of each op's output in each strip; None for whole rows.
      extra: what strips cost beyond whole rows: multiply-adds that are computed twice, and predicted time.
    """

    first: int
    end: int
    ops: tuple[RegionOp, ...]
    pull: Pull
    rings: dict[RegionTensor, Form]
    places: tuple[RingPlace, ...]
    overlays: tuple[Overlay, ...]
    scratch_bytes: int
    windows: dict[RegionOp, Windows] | None = None
    extra: Extra = NOTHING

    @property
    def strips(self) -> int:
        """How often it is executed."""
        return 1 if self.windows is None else len(next(iter(self.windows.values())))

    @property
    def ring_bytes(self) -> int:
        """Of all rings together."""
        return sum(place.bytes for place in self.places)


class RegionSpans:
    """A region's tensors by the numbers of the ops that write and read them, and stages of it.

    Attributes:
      producer, last_read: for each tensor that ops write, and for each of them that is no output of the region.
      inner: the latter.
      forms: of inner tensors as cuts.
      cpu: what tells the time that strips cost.
      last_ends: for each first op, where a stage must end at the latest, so that forced cuts are cuts.
    """

    def __init__(
        self,
        region: Region,
        table: RowTable | None = None,
        forced_cuts: Collection[Tensor] = (),
        cpu: CpuCosts | None = None,
    ) -> None:
        self.region = region
        self.table = table or RowTable()
        self.cpu = cpu or load_cpu()
        self._row_ns: dict[tuple[RegionOp, int], float] = {}
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
        self._whole_rows: dict[tuple[int, int], Stage] = {}

    @property
    def op_count(self) -> int:
        return len(self.region.ops)

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

    def is_copied(self, op: RegionOp, operand: int) -> bool:
        """Whether an op reads an input of the region from a copy."""
        return op.inputs[operand] not in self.producer and not is_read_in_place(op, operand)

    def extra(self, op: RegionOp, windows: Windows) -> Extra:
        """What an op costs in strips beyond whole rows."""
        if op.own_windows is not None:
            return NOTHING
        strips = sum(self._ns(op, end - first) for first, end in windows)
        return Extra(extra_macs(op, windows), round(op.steps * (strips - self._ns(op, op.step_columns))))

    def _ns(self, op: RegionOp, columns: int) -> float:
        """A step of so many columns."""
        if (op, columns) not in self._row_ns:
            self._row_ns[op, columns] = self.cpu.row_ns(op, columns)
        return self._row_ns[op, columns]

    def stage(self, first: int, end: int, division: Division | None = None) -> Stage | None:
        """The plan of one stage in whole rows, or in strips; None if it cannot be executed in these."""
        if (first, end) not in self._whole_rows:
            self._whole_rows[first, end] = self._plan(first, end)
        stage = self._whole_rows[first, end]
        return stage if division is None else self._in_strips(stage, division)

    def together(self, stage: Stage, ops: Collection[RegionOp]) -> Stage:
        """The plan of a stage in whole rows, some of whose ops do all their steps one right behind the other."""
        return self._plan(stage.first, stage.end, ops)

    def _last_ends(self, forced_cuts: Collection[Tensor]) -> list[int]:
        ends = [self.op_count] * self.op_count
        for tensor, last in self.last_read.items():
            if tensor.source in forced_cuts and last > self.producer[tensor]:
                for first in range(self.producer[tensor] + 1):
                    ends[first] = min(ends[first], last)
        return ends

    def _plan(self, first: int, end: int, together: Collection[RegionOp] = ()) -> Stage:
        ops = self._with_copies(self.region.ops[first:end])
        written = {op.output for op in ops}
        read = {tensor for op in ops for tensor in op.inputs}
        new, dying = self.new_cuts(first, end), self.dying(first, end)
        found = pull(ops, written - read | set(new), self.table, dying if new else (), together)
        rings = self._rings(ops, set(new))
        overlays = find_overlays(found, new, dying, self.forms)
        places = ring_places(ops, found, rings, self.table)
        need = self._need(first, new, places, ops) - sum(o.saved_bytes for o in overlays)
        return Stage(first, end, ops, found, rings, places, overlays, need)

    def _in_strips(self, stage: Stage, division: Division) -> Stage | None:
        new = self.new_cuts(stage.first, stage.end)
        windows = stage_windows(stage.ops, {*new, *self.region.outputs}, division)
        if windows is None:
            return None
        rings = {
            op.output: stage.rings[op.output].windowed(op.output.width, windows[op])
            for op in stage.ops
            if op.output in stage.rings
        }
        places = ring_places(stage.ops, stage.pull, rings, self.table)
        need = self._need(stage.first, new, places, stage.ops)
        extra = total(self.extra(op, columns) for op, columns in windows.items())
        return replace(stage, rings=rings, places=places, overlays=(), scratch_bytes=need, windows=windows, extra=extra)

    def _need(
        self, first: int, new: Iterable[RegionTensor], places: Iterable[RingPlace], ops: tuple[RegionOp, ...]
    ) -> int:
        """Without overlays."""
        cuts = sum(self.cut_bytes(t) for t in [*self.live(first), *new])
        return cuts + sum(place.bytes for place in places) + OwnMemory.of(ops).bytes

    def _with_copies(self, ops: tuple[RegionOp, ...]) -> tuple[RegionOp, ...]:
        """Puts a copy of each region input before the first op that cannot read the input itself."""
        copies: dict[RegionTensor, Copy] = {}
        changed: list[RegionOp] = []
        for op in ops:
            inputs = list(op.inputs)
            for operand, tensor in enumerate(op.inputs):
                if self.is_copied(op, operand):
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


@dataclass(frozen=True)
class OwnMemory:
    """How ops of a stage share the memory that they have of their own.

    Attributes:
      kept: bytes of each op that keeps something there from step to step.
      neighbour: that one of them behind whose kept bytes the shared memory lies, so that the rest of its own memory is
        in it; None if there is none.
      shared: bytes for all others.
    """

    kept: Mapping[RegionOp, int]
    neighbour: RegionOp | None
    shared: int

    @classmethod
    def of(cls, ops: Iterable[RegionOp]) -> OwnMemory:
        """Of a stage's ops."""
        sizes = {op: _aligned(op.own_memory_bytes) for op in ops if op.own_memory_bytes}
        kept = {op: size for op, size in sizes.items() if op.kept_memory_bytes}
        rests = {op: size - _aligned(op.kept_memory_bytes) for op, size in kept.items()}
        neighbour = max(rests, key=lambda op: rests[op], default=None)
        shared = [size for op, size in sizes.items() if op not in kept]
        if neighbour is None or not rests[neighbour]:
            return cls(kept, None, max(shared, default=0))
        kept[neighbour] -= rests[neighbour]
        return cls(kept, neighbour, max(*shared, rests[neighbour]) if shared else rests[neighbour])

    @property
    def bytes(self) -> int:
        """All of it."""
        return sum(self.kept.values()) + self.shared


def _aligned(size: int) -> int:
    return align(size, ROW_ALIGNMENT)
