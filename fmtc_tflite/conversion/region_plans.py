"""Which groups of ops become regions, and their programs: those with which the whole graph needs the least memory."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial

from fmtc_tflite.conversion.region_budget import share_budget
from fmtc_tflite.conversion.traffic_objective import TrafficGoal, store_least
from fmtc_tflite.graph.edits.fuse_region import fused_ops
from fmtc_tflite.graph.model import Model, Op, Subgraph, Tensor
from fmtc_tflite.memory.arena import ALIGNMENT_BYTES, no_scratch, plan_arena, tensor_bytes
from fmtc_tflite.progress import progress
from fmtc_tflite.regions.candidates import Candidates, Group, is_reshape, split_group, without_widening_ends
from fmtc_tflite.regions.coded_cuts import Rate
from fmtc_tflite.regions.extra import NOTHING, Extra
from fmtc_tflite.regions.ops import OpBuilder, RegionTensor
from fmtc_tflite.regions.planner import RegionPlan, RegionPlanner, write_program
from fmtc_tflite.regions.program import Program
from fmtc_tflite.regions.region import Region
from fmtc_tflite.regions.time_costs import CpuCosts

_WORTH_SPLITTING = 100  # an arena may be so many times the outputs that are in the way
_MOST_BORDERS = 12  # of stages that a split is tried at: each means two more plans
_NARROW_BORDERS = 4  # more, where the fewest bytes would lie between the two

_ENLARGES = "fused it would make the whole graph's arena larger"


@dataclass(frozen=True)
class PlannedRegion:
    """A region with its program.

    Attributes:
      original_arena_bytes, arena_bytes: what its ops need with their inputs and outputs, before and after.
      op_numbers: for each op of the program, the number of the graph's op, -1 where the planner made it up.
      op_outputs: for each op of the program, which of the outputs of the graph's op it makes.
      input_numbers: of the graph's tensors that are the region's inputs.
      losses: how coded cuts that lose something are coded; others are as they were planned.
    """

    group: Group
    plan: RegionPlan
    program: Program
    original_arena_bytes: int
    arena_bytes: int
    op_numbers: tuple[int, ...]
    op_outputs: tuple[int, ...]
    input_numbers: tuple[int, ...]
    losses: Mapping[RegionTensor, Rate] = field(default_factory=dict)


@dataclass(frozen=True)
class PlanOptions:
    """What plans are made for.

    Attributes:
      cpu: what tells times.
      budget: what strips of all regions together may cost.
      forced_cuts: tensors that regions which make and read them store whole.
      traffic: what is to store the fewest bytes; None for the least memory.
    """

    cpu: CpuCosts
    budget: Extra = NOTHING
    forced_cuts: Collection[Tensor] = ()
    traffic: TrafficGoal | None = None


@dataclass(eq=False)
class _Choice:
    """A group and how it is planned."""

    group: Group
    planner: RegionPlanner

    @classmethod
    def of(cls, group: Group, wanted: PlanOptions, keeps_order: bool = False) -> _Choice:
        """The group's outputs are stored in any case."""
        forced = set(wanted.forced_cuts) - set(group.outputs)
        return cls(group, RegionPlanner(group.region, forced, keeps_order, wanted.cpu))

    @cached_property
    def plan(self) -> RegionPlan:
        """In whole rows, if it is not said otherwise."""
        return self.planner.plan()

    def replanned(self, budget: Extra, enough_bytes: int) -> _Choice:
        """With strips; see RegionPlanner."""
        choice = _Choice(self.group, self.planner)
        choice.plan = self.planner.plan(budget, enough_bytes)
        return choice

    def storing_least(self, limit: int, budget: Extra, rates: Mapping[Tensor, Rate]) -> _Choice | None:
        """See RegionPlanner."""
        plan = self.planner.plan_to_store_least(limit, budget, rates)
        if plan is None:
            return None
        choice = _Choice(self.group, self.planner)
        choice.plan = plan
        return choice


@dataclass(frozen=True)
class ChosenRegions:
    """Which groups become regions; they are planned for the least arena so far.

    Attributes:
      left_out: why each other op is.
      kernel_set: number of the arithmetic, for the programs.
      budget: what strips of all regions together may cost.
    """

    subgraph: Subgraph
    choices: Sequence[_Choice]
    left_out: Mapping[Op, str]
    kernel_set: int
    budget: Extra

    def planned(self, traffic: TrafficGoal | None) -> list[PlannedRegion]:
        """Their plans: for the fewest stored bytes, where there is a goal for that."""
        choices = self.choices
        if traffic is not None:
            choices = store_least(choices, traffic, self.budget, partial(_whole_arena, self.subgraph))
        return [planned_region(self.subgraph, choice.group, choice.plan, self.kernel_set) for choice in choices]


def plan_regions(
    subgraph: Subgraph, found: Candidates, build: OpBuilder, kernel_set: int, wanted: PlanOptions
) -> tuple[list[PlannedRegion], Mapping[Op, str]]:
    """The regions of choose_regions as they are wanted, and why each other op is left out."""
    chosen = choose_regions(subgraph, found, build, kernel_set, wanted)
    return chosen.planned(wanted.traffic), chosen.left_out


def choose_regions(
    subgraph: Subgraph, found: Candidates, build: OpBuilder, kernel_set: int, wanted: PlanOptions
) -> ChosenRegions:
    """Plans the groups, leaves out those that need more memory than their ops, and splits those that are better in two.

    Args:
      build: makes an op's RegionOp.
      kernel_set: number of the arithmetic, for the programs.
    """
    left_out, choices = dict(found.left_out), list[_Choice]()
    for group in progress(found.groups, "planning"):
        choice = _Choice.of(group, wanted)
        before, after = _arena_before(subgraph, group), _arena_after(subgraph, group, choice.plan)
        if after >= before:
            left_out |= dict.fromkeys(group.ops, f"fused it would need {after:,} bytes, as it is {before:,}")
        else:
            choices.append(choice)
    choices, dropped = _without_harmful(subgraph, choices)
    for choice in dropped:
        left_out |= dict.fromkeys(choice.group.ops, _ENLARGES)
    choices, ends = _trimmed(subgraph, choices, build, wanted)
    left_out |= dict.fromkeys(ends, _ENLARGES)
    choices = _split(subgraph, choices, build, wanted)
    if not wanted.budget.is_nothing and choices:
        choices = share_budget(choices, wanted.budget, _Choice.replanned, partial(_whole_arena, subgraph))
    return ChosenRegions(subgraph, choices, left_out, kernel_set, wanted.budget)


def whole_cost(found: Candidates, cpu: CpuCosts) -> Extra:
    """Multiply-adds and time in whole rows of all ops that may be fused, of one batch item."""
    ops = [op for group in found.groups for op in group.region.ops]
    return Extra(sum(op.macs for op in ops), round(sum(map(cpu.region_ns, ops))))


def planned_region(subgraph: Subgraph, group: Group, plan: RegionPlan, kernel_set: int) -> PlannedRegion:
    """A group's region with its program.

    Args:
      kernel_set: number of the arithmetic.
    """
    op_numbers: dict[Op | None, int] = {op: number for number, op in enumerate(subgraph.ops)}
    tensor_numbers = {tensor: number for number, tensor in enumerate(subgraph.tensors)}
    return PlannedRegion(
        group,
        plan,
        write_program(plan, kernel_set),
        _arena_before(subgraph, group),
        _arena_after(subgraph, group, plan),
        tuple(op_numbers.get(op.source, -1) for stage in plan.stages for op in stage.ops),
        tuple(op.source.outputs.index(op.output.source) if op.source else 0 for s in plan.stages for op in s.ops),
        tuple(tensor_numbers[tensor] for tensor in group.inputs),
    )


# --- the whole graph --------------------------------------------------------------------------------------------------


def _whole_arena(subgraph: Subgraph, choices: Sequence[_Choice], scratch_bytes: Sequence[int] | None = None) -> int:
    """The arena of the graph with these regions, with the scratch memory that they need or that is given."""
    pairs = [(choice.group.ops, _region_op(choice.group)) for choice in choices]
    sizes = [choice.plan.scratch_bytes for choice in choices] if scratch_bytes is None else scratch_bytes
    scratch = {op: size for (_, op), size in zip(pairs, sizes, strict=True)}
    ops = fused_ops(subgraph, pairs, [op for op in subgraph.ops if is_reshape(op)])
    return _arena(subgraph, ops, subgraph.inputs, subgraph.outputs, scratch)


def _without_harmful(subgraph: Subgraph, choices: list[_Choice]) -> tuple[list[_Choice], list[_Choice]]:
    """Leaves out one region after another as long as that makes the arena smaller."""
    dropped: list[_Choice] = []
    while choices:
        least = _whole_arena(subgraph, choices)
        others = [[c for c in choices if c is not choice] for choice in choices]
        arenas = [_whole_arena(subgraph, rest) for rest in others]
        if min(arenas) >= least:
            break
        best = arenas.index(min(arenas))
        dropped.append(choices[best])
        choices = others[best]
    return choices, dropped


def _trimmed(
    subgraph: Subgraph, choices: list[_Choice], build: OpBuilder, wanted: PlanOptions
) -> tuple[list[_Choice], list[Op]]:
    """Leaves out ops at regions' ends whose outputs are in the way while the other ops run, and returns them, too."""
    left_out: list[Op] = []
    for number, choice in enumerate(choices):
        found = without_widening_ends(subgraph, choice.group, build)
        if found is None:
            continue
        rest, ends = found
        tried = [*choices[:number], _Choice.of(rest, wanted), *choices[number + 1 :]]
        if _whole_arena(subgraph, tried) <= _whole_arena(subgraph, choices) - ALIGNMENT_BYTES:
            choices = tried
            left_out += ends
    return choices, left_out


def _split(subgraph: Subgraph, choices: list[_Choice], build: OpBuilder, wanted: PlanOptions) -> list[_Choice]:
    """Puts two regions in the place of one where its outputs are in the way while its first stages run."""
    least, improved = _whole_arena(subgraph, choices), True
    while improved:
        improved = False
        for choice in choices:
            outputs = sum(tensor_bytes(tensor) for tensor in choice.group.outputs)
            if len(choice.group.region.ops) < 2 or outputs * _WORTH_SPLITTING < least:
                continue
            others = [c for c in choices if c is not choice]
            best = _best_halves(subgraph, others, _halves(subgraph, choice, build, wanted), least)
            if best is not None:
                choices = [*others, *(_Choice.of(half.group, wanted) for half in best)]
                least, improved = _whole_arena(subgraph, choices), True
                break
    return sorted(choices, key=lambda choice: subgraph.ops.index(choice.group.ops[0]))


def _best_halves(
    subgraph: Subgraph, others: list[_Choice], tries: Iterable[tuple[_Choice, _Choice]], least: int
) -> tuple[_Choice, _Choice] | None:
    """Those with the smallest arena, if it is smaller; planned are only those whose bounds are."""

    def bound(halves: tuple[_Choice, _Choice]) -> int:
        sizes = [*(choice.plan.scratch_bytes for choice in others), *(half.planner.bound for half in halves)]
        return _whole_arena(subgraph, [*others, *halves], sizes)

    best = None
    for least_possible, _, halves in sorted((bound(each), number, each) for number, each in enumerate(tries)):
        if least_possible > least - ALIGNMENT_BYTES:
            break
        arena = _whole_arena(subgraph, [*others, *halves])
        if arena <= least - ALIGNMENT_BYTES:
            best, least = halves, arena
    return best


def _halves(
    subgraph: Subgraph, choice: _Choice, build: OpBuilder, wanted: PlanOptions
) -> Iterable[tuple[_Choice, _Choice]]:
    """The region in two, at each border between its first stages and at the narrowest places."""
    ends = (next((op.source for op in reversed(s.ops) if op.source is not None), None) for s in choice.plan.stages[:-1])
    borders = [op for op in ends if op is not None][:_MOST_BORDERS]
    for last in dict.fromkeys([*borders, *_narrowest(choice.group.region)]):
        groups = split_group(subgraph, choice.group, last, build)
        if groups is not None:
            first, second = (_Choice.of(half, wanted, keeps_order=True) for half in groups)
            yield first, second


def _narrowest(region: Region) -> list[Op]:
    """The graph's ops behind which the fewest bytes are read later, the last ones first among equals."""
    last_read = {tensor: number for number, op in enumerate(region.ops) for tensor in op.inputs}
    found = []
    for number, op in enumerate(region.ops[:-1]):
        crossing = (o.output for o in region.ops[: number + 1] if last_read.get(o.output, 0) > number)
        if op.source is not None:
            found.append((sum(tensor.bytes for tensor in crossing), -number, op.source))
    return [source for *_, source in sorted(found, key=lambda each: each[:2])[:_NARROW_BORDERS]]


# --- one group --------------------------------------------------------------------------------------------------------


def _region_op(group: Group) -> Op:
    return Op(group.ops[0].code, list(group.inputs), list(group.outputs))


def _arena_before(subgraph: Subgraph, group: Group) -> int:
    return _arena(subgraph, group.ops, group.inputs, group.outputs, {})


def _arena_after(subgraph: Subgraph, group: Group, plan: RegionPlan) -> int:
    op = _region_op(group)
    return _arena(subgraph, [op], group.inputs, group.outputs, {op: plan.scratch_bytes})


def _arena(
    subgraph: Subgraph, ops: Sequence[Op], inputs: Iterable[Tensor], outputs: Iterable[Tensor], scratch: dict[Op, int]
) -> int:
    """Of some ops alone; scratch memory of kernels does not count."""
    alone = Subgraph("", 0, subgraph.tensors, list(ops), list(dict.fromkeys(inputs)), list(outputs))
    return plan_arena(Model([alone], [], []), scratch_bytes=lambda op: scratch.get(op, no_scratch(op))).capacity_bytes
