"""From a region to its program: stages, places in scratch memory, records."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from fmtc_tflite.graph.model import Tensor
from fmtc_tflite.regions.coded_cuts import CodedCut, Rate, fewest_stored_bytes
from fmtc_tflite.regions.extra import NOTHING, Extra, total
from fmtc_tflite.regions.memory_check import check_memory
from fmtc_tflite.regions.ops import RegionOp, RegionTensor
from fmtc_tflite.regions.orders import best_order
from fmtc_tflite.regions.placement import Memory, Placement, place
from fmtc_tflite.regions.program import Program, ProgramOp, ProgramPass, ProgramTensor, ProgramWriter
from fmtc_tflite.regions.program_format import INPUT, OUTPUT, SCRATCH
from fmtc_tflite.regions.region import Region
from fmtc_tflite.regions.search import cheapest_stages, least_bound, least_scratch
from fmtc_tflite.regions.stage_costs import StageCosts
from fmtc_tflite.regions.stages import RegionSpans, Stage
from fmtc_tflite.regions.strips import divisions
from fmtc_tflite.regions.time_costs import CpuCosts

_TYPES = {np.dtype(np.float32): 1, np.dtype(np.int32): 2, np.dtype(np.uint8): 3, np.dtype(np.int64): 4,
          np.dtype(np.int8): 9}  # fmt: skip
_MARGINS = (1.0, 1.005, 1.01, 1.02, 1.04)  # of the least need that plans are placed at


@dataclass(frozen=True)
class RegionPlan:
    """How a region is executed.

    Attributes:
      stages: in order; one pass each, or one for each of its strips.
      cuts: tensors that are stored whole.
      placement: where everything lies in scratch memory.
      coded: cuts that are stored coded; the region then has ops that encode and decode them.
    """

    region: Region
    stages: tuple[Stage, ...]
    cuts: tuple[RegionTensor, ...]
    placement: Placement
    coded: Mapping[RegionTensor, CodedCut] = field(default_factory=dict)

    @property
    def scratch_bytes(self) -> int:
        return self.placement.scratch_bytes

    @property
    def stored_bytes(self) -> int:
        """Written to cuts and outputs, per item; expected, where cuts are coded."""
        outputs = sum(tensor.bytes for tensor in self.region.outputs)
        return outputs + sum(c.expected_bytes if (c := self.coded.get(cut)) else cut.bytes for cut in self.cuts)

    @property
    def raw_bytes(self) -> int:
        """The same, were nothing coded."""
        return sum(tensor.bytes for tensor in (*self.cuts, *self.region.outputs))

    @property
    def macs(self) -> int:
        """Multiply-adds per item, those that are computed twice not counted."""
        return sum(op.macs for op in self.region.ops)

    @cached_property
    def extra(self) -> Extra:
        """What strips cost beyond whole rows, per item."""
        return total(stage.extra for stage in self.stages)


class RegionPlanner:
    """Plans a region, also several times, in the order of its ops and in a better one if there is one; deterministic.

    Args:
      forced_cuts: tensors of the graph that are to be stored whole, if the region makes and reads them.
      keeps_order: whether to look for no better order, which takes longest.
      cpu: what tells the time that strips cost; None = that of the default level.
    """

    def __init__(
        self,
        region: Region,
        forced_cuts: Collection[Tensor] = (),
        keeps_order: bool = False,
        cpu: CpuCosts | None = None,
    ) -> None:
        regions = dict.fromkeys((region, region if keeps_order else best_order(region, forced_cuts)))
        self._costs = [StageCosts(RegionSpans(each, forced_cuts=forced_cuts, cpu=cpu)) for each in regions]

    @cached_property
    def bound(self) -> int:
        """No plan in whole rows takes less scratch memory; cheap beside a plan."""
        return min(least_bound(costs, NOTHING) for costs in self._costs)

    @cached_property
    def _whole_rows(self) -> RegionPlan:
        return min((_plan(costs, least_scratch(costs, NOTHING), NOTHING) for costs in self._costs), key=_scratch_bytes)

    def plan(self, budget: Extra = NOTHING, enough_bytes: int = 0) -> RegionPlan:
        """A plan for the least scratch memory.

        Args:
          budget: what strips may cost.
          enough_bytes: scratch memory below which nothing is gained: strips cost least with it.
        """
        plans = [self._whole_rows]
        if not budget.is_nothing and self._whole_rows.scratch_bytes > enough_bytes:
            for costs in self._costs:
                costs.add_strips(divisions(), self._whole_rows.scratch_bytes, budget)
                least = max(least_scratch(costs, budget), enough_bytes)
                plans.append(_plan(costs, least, budget))
        return min(plans, key=_scratch_bytes)

    def plan_to_store_least(self, limit: int, budget: Extra, rates: Mapping[Tensor, Rate]) -> RegionPlan | None:
        """A plan that stores the fewest bytes; None if there is none within the limit. `plan` must have been called.

        Args:
          limit: of scratch memory.
          budget: what strips may cost, of what the plans so far were allowed.
          rates: of tensors of the graph that may be stored coded.
        """
        found = [fewest_stored_bytes(costs, limit, budget, rates) for costs in self._costs]
        plans = [RegionPlan(f.region, f.stages, f.cuts, f.placement, f.coded) for f in found if f is not None]
        return min(plans, key=lambda plan: (plan.stored_bytes, plan.scratch_bytes), default=None)


def _scratch_bytes(plan: RegionPlan) -> int:
    return plan.scratch_bytes


def plan_region(region: Region, budget: Extra = NOTHING, forced_cuts: Collection[Tensor] = ()) -> RegionPlan:
    """Plans a region for the least scratch memory; see RegionPlanner."""
    return RegionPlanner(region, forced_cuts).plan(budget)


def _plan(costs: StageCosts, least: int, budget: Extra) -> RegionPlan:
    """The plan that takes least memory once it is placed, of those that need the least or hardly more."""
    best: RegionPlan | None = None
    for margin in _MARGINS:
        stages = cheapest_stages(costs, int(least * margin), budget)
        if stages is None or (best is not None and best.scratch_bytes < least * margin):
            break
        placement = place(costs.spans, stages)
        if best is None or placement.scratch_bytes < best.scratch_bytes:
            cuts = tuple(cut for stage in stages for cut in costs.spans.new_cuts(stage.first, stage.end))
            best = RegionPlan(costs.spans.region, tuple(stages), cuts, placement)
    assert best is not None  # the first limit is met by construction
    return _with_steps_together(best, costs.spans)


def _with_steps_together(plan: RegionPlan, spans: RegionSpans) -> RegionPlan:
    """The plan with ops whose steps follow one another where that saves time and takes no memory."""
    for number, stage in enumerate(plan.stages):
        if stage.windows is not None:
            continue
        chosen: list[RegionOp] = []
        gains = [op for op in stage.ops if op.weights_saved_together]
        for op in sorted(gains, key=lambda op: -op.weights_saved_together):
            stages = list(plan.stages)
            stages[number] = spans.together(stage, [*chosen, op])
            placement = place(spans, stages)
            if placement.scratch_bytes <= plan.scratch_bytes:
                chosen.append(op)
                plan = replace(plan, stages=tuple(stages), placement=placement)
    return plan


def write_program(
    plan: RegionPlan, kernel_set: int, rounded: Callable[[RegionOp], RegionOp] = lambda op: op
) -> Program:
    """The program of a plan, with its memory proven right.

    Args:
      kernel_set: number of the arithmetic, for the header.
      rounded: gives an op another rounding than the planned one's.
    """
    writer = ProgramWriter()
    numbers, tensors = _tensor_records(plan)
    ops: list[RegionOp] = []
    passes, records = list[ProgramPass](), []
    for stage in plan.stages:
        passes += _passes(stage, len(ops))
        ops += stage.ops
        records += [_op_record(op, rounded(op), numbers, plan, writer) for op in stage.ops]
    program = writer.finish(
        kernel_set=kernel_set, scratch_bytes=plan.scratch_bytes, tensors=tensors, ops=records, passes=passes
    )
    check_memory(program, ops)
    return program


def _passes(stage: Stage, first_op: int) -> Iterable[ProgramPass]:
    """One for each strip."""
    steps = tuple(first_op + step for step in stage.pull.steps)
    for strip in range(stage.strips):
        windows = None if stage.windows is None else tuple(stage.windows[op][strip] for op in stage.ops)
        yield ProgramPass(first_op, len(stage.ops), steps, windows)


def _tensor_records(plan: RegionPlan) -> tuple[dict[RegionTensor, int], list[ProgramTensor]]:
    """Inputs, outputs, then what lies in scratch memory; and the number of each tensor."""
    region = plan.region
    records = [_dense_record(INPUT, index, tensor) for index, tensor in enumerate(region.inputs)]
    records += [_dense_record(OUTPUT, index, tensor) for index, tensor in enumerate(region.outputs)]
    records += [_scratch_record(tensor, memory) for tensor, memory in plan.placement.tensors.items()]
    order = [*region.inputs, *region.outputs, *plan.placement.tensors]
    return {tensor: number for number, tensor in enumerate(order)}, records


def _dense_record(place_: int, index: int, tensor: RegionTensor) -> ProgramTensor:
    pixel = tensor.channels * tensor.dtype.itemsize
    shape = (tensor.height, tensor.width, tensor.channels)
    return ProgramTensor(place_, _TYPES[tensor.dtype], index, *shape, 0, tensor.height, tensor.width * pixel, pixel)


def _scratch_record(tensor: RegionTensor, memory: Memory) -> ProgramTensor:
    form, shape = memory.form, (tensor.height, tensor.width, tensor.channels)
    rows = (memory.offset, memory.depth, memory.row_bytes, form.pixel_bytes, form.left, form.right, tensor.zero_point)
    circle = {"phase": memory.phase, "pitch": memory.pitch}
    return ProgramTensor(SCRATCH, _TYPES[tensor.dtype], 0, *shape, *rows, windowed=form.is_windowed, **circle)


def _op_record(
    op: RegionOp, rounded: RegionOp, numbers: dict[RegionTensor, int], plan: RegionPlan, writer: ProgramWriter
) -> ProgramOp:
    inputs = tuple(numbers[tensor] for tensor in op.inputs)
    parameters = rounded.parameters(writer.add, {*plan.region.inputs, *plan.region.outputs})
    return ProgramOp(op.kind, rounded.rule, inputs, numbers[op.output], parameters, *plan.placement.own.get(op, (0, 0)))
