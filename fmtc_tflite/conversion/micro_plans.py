"""Which regions a model gets for TensorFlow Lite Micro: those with which its greedy planner needs the smallest head.

TensorFlow Lite Micro frees a tensor after its last reader, the graph's inputs too. Where a region ends is therefore a
choice: within one region cuts overlay one another, and its inputs and outputs stay for as long as it runs; between two
regions a tensor goes when the second has read it, but lies dense and overlays nothing. An op alone needs no region,
unless the interpreter cannot run it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial

from fmtc_tflite.conversion.region_budget import share_budget
from fmtc_tflite.conversion.region_plans import PlannedRegion, PlanOptions, planned_region
from fmtc_tflite.graph.edits.fuse_region import fused_ops
from fmtc_tflite.graph.model import Op, Subgraph, Tensor
from fmtc_tflite.graph.operators.micro_ops import why_not_on_micro
from fmtc_tflite.memory.arena import tensor_bytes
from fmtc_tflite.memory.micro_arena import ALIGNMENT_BYTES, MicroHead, kernel_scratch, plan_head
from fmtc_tflite.progress import progress
from fmtc_tflite.regions.candidates import Candidates, Group, is_reshape, part_of, without_leading_reshapes
from fmtc_tflite.regions.extra import Extra
from fmtc_tflite.regions.micro import plan_scratch
from fmtc_tflite.regions.ops import OpBuilder
from fmtc_tflite.regions.planner import RegionPlan, RegionPlanner

_MOST_BORDERS = 40  # each pair of them is a region whose need must be found out
_SLACKS = (1.0, 1.005, 1.01, 1.02, 1.04, 1.08)  # of the least need: larger regions have less in the arena's tail
_SLACKS_IN_STRIPS = (1.2, 1.5)  # which need less than whole rows do
_ALONE = "TensorFlow Lite Micro runs it in less memory than a region"


@dataclass(eq=False)
class _Part:
    """Ops of a group that may be one region, and how they are planned; without a plan it is one op as it is.

    Attributes:
      first, end: of the group's ops.
      live_bytes: of tensors of the graph while the region runs.
      given: a plan that takes the place of the one in whole rows.
    """

    group: Group
    first: int
    end: int
    live_bytes: int
    planner: RegionPlanner | None
    given: RegionPlan | None = field(default=None)
    is_exact: bool = False

    @cached_property
    def op(self) -> Op:
        """What stands for it where heads are planned."""
        return Op(self.group.ops[0].code, list(self.group.inputs), list(self.group.outputs))

    @cached_property
    def _whole_rows(self) -> RegionPlan:
        assert self.planner is not None
        return self.planner.plan()

    @property
    def plan(self) -> RegionPlan:
        return self.given or self._whole_rows

    @property
    def need(self) -> int:
        """Bytes while it runs; a lower bound if it is not exact."""
        if self.planner is None:
            return self.live_bytes
        return self.live_bytes + (
            _aligned(self.scratch(self.plan.scratch_bytes)) if self.is_exact else self.planner.bound
        )

    def scratch(self, program_bytes: int) -> int:
        """What the op asks for whose program needs so many bytes."""
        return plan_scratch(self.plan, program_bytes)

    def replanned(self, budget: Extra, enough_bytes: int) -> _Part:
        """With strips; see RegionPlanner."""
        assert self.planner is not None
        plan = self.planner.plan(budget, enough_bytes)
        return _Part(self.group, self.first, self.end, self.live_bytes, self.planner, plan, True)


def plan_micro_regions(
    subgraph: Subgraph, found: Candidates, build: OpBuilder, kernel_set: int, wanted: PlanOptions
) -> tuple[list[PlannedRegion], dict[Op, str]]:
    """Plans the regions of a graph for the smallest head.

    Args:
      build: makes an op's RegionOp.
      kernel_set: number of the arithmetic, for the programs.

    Returns:
      The regions, and why each other op is left out.
    """
    left_out = dict(found.left_out)
    divided = [_divided(subgraph, group, build, wanted) for group in found.groups]
    regions = [part for ways in divided for part in ways[0] if part.planner is not None]
    if not wanted.budget.is_nothing and regions:
        regions = _in_strips(subgraph, divided, wanted)
    fused = {op for part in regions for op in part.group.ops}
    left_out |= {op: _ALONE for group in found.groups for op in group.ops if op not in fused}
    return [planned_region(subgraph, part.group, part.plan, kernel_set) for part in regions], left_out


def _in_strips(subgraph: Subgraph, divided: Sequence[Sequence[list[_Part]]], wanted: PlanOptions) -> list[_Part]:
    """Regions with the smallest head where they may run in strips: larger ones than in whole rows, or not."""
    head_bytes, found = partial(_head_bytes, subgraph), list[list[_Part]]()
    for number in range(max(map(len, divided))):
        parts = [part for ways in divided for part in ways[min(number, len(ways) - 1)] if part.planner is not None]
        if parts:
            found.append(share_budget(parts, wanted.budget, _Part.replanned, head_bytes))
    return min(found, key=lambda parts: (_head(subgraph, parts).capacity_bytes, len(parts)))


def _divided(subgraph: Subgraph, group: Group, build: OpBuilder, wanted: PlanOptions) -> list[list[_Part]]:
    """The group in parts, in several ways: that with the smallest head first, of equal ones that of fewest parts."""
    graph = _LiveBytes(subgraph)
    borders = _borders(group, graph)
    parts = _Parts(borders, _all_parts(subgraph, group, borders, build, wanted, graph))
    least = parts.least_need()
    tried: dict[tuple[tuple[int, int], ...], list[_Part]] = {}
    for slack in _SLACKS if wanted.budget.is_nothing else (*_SLACKS, *_SLACKS_IN_STRIPS):
        path = parts.fewest(int(least * slack))
        tried.setdefault(tuple((part.first, part.end) for part in path), path)
    return sorted(tried.values(), key=lambda path: (_head(subgraph, path).capacity_bytes, len(path)))


def _all_parts(
    subgraph: Subgraph,
    group: Group,
    borders: Sequence[int],
    build: OpBuilder,
    wanted: PlanOptions,
    graph: _LiveBytes,
) -> list[_Part]:
    pairs = [(first, end) for first in borders for end in borders if first < end]
    found = []
    for first, end in progress(pairs, "planning"):
        ops = without_leading_reshapes(list(group.ops[first:end]))
        if len(ops) == 1 and why_not_on_micro(ops[0]) is None:
            inputs = tuple(tensor for tensor in ops[0].inputs if tensor is not None and tensor.data is None)
            alone = Group((ops[0],), inputs, tuple(t for t in ops[0].outputs if t is not None), group.region)
            live = graph.during(alone) + sum(_aligned(size) for size in kernel_scratch(ops[0]))
            found.append(_Part(alone, first, end, live, None))
            continue
        part = part_of(subgraph, group, ops, build)
        if part is not None:
            forced = set(wanted.forced_cuts) - set(part.outputs)
            is_whole = len(ops) == len(group.ops)
            planner = RegionPlanner(part.region, forced, keeps_order=not is_whole, cpu=wanted.cpu)
            found.append(_Part(part, first, end, graph.during(part), planner))
    return found


class _Parts:
    """All parts of a group between some borders, and paths through them."""

    def __init__(self, borders: Sequence[int], parts: Sequence[_Part]) -> None:
        self._borders = borders
        self._ending: dict[int, list[_Part]] = {border: [] for border in borders}
        for part in parts:
            self._ending[part.end].append(part)

    def least_need(self) -> int:
        """The least largest need of parts that make up the group."""
        return self._exact(lambda: self._path(max, lambda part: part.need))[1]

    def fewest(self, limit: int) -> list[_Part]:
        """The fewest that need no more than a limit, which can be met: each costs memory in the arena's tail."""
        too_much = 1 << 20
        return self._exact(lambda: self._path(int.__add__, lambda part: 1 + too_much * (part.need > limit)))[0]

    def _exact(self, find: Callable[[], tuple[list[_Part], int]]) -> tuple[list[_Part], int]:
        """The first path found whose needs are no mere bounds."""
        while True:
            path, value = find()
            unknown = [part for part in path if part.planner is not None and not part.is_exact]
            if not unknown:
                return path, value
            for part in unknown:
                part.is_exact = True

    def _path(self, join: Callable[[int, int], int], cost: Callable[[_Part], int]) -> tuple[list[_Part], int]:
        """The path of the lowest joint cost, and that."""
        best: dict[int, tuple[int, int, _Part | None]] = {self._borders[0]: (0, 0, None)}
        for end in self._borders[1:]:
            ways = [
                (join(best[part.first][0], cost(part)), best[part.first][1] + 1, part)
                for part in self._ending[end]
                if part.first in best
            ]
            if ways:
                best[end] = min(ways, key=lambda way: way[:2])
        path, place = list[_Part](), self._borders[-1]
        while (part := best[place][2]) is not None:
            path.append(part)
            place = part.first
        return path[::-1], best[self._borders[-1]][0]


class _LiveBytes:
    """Bytes of a graph's tensors that are live while some of its ops run."""

    def __init__(self, subgraph: Subgraph) -> None:
        self._position = {op: number for number, op in enumerate(subgraph.ops)}
        self._first: dict[Tensor, int] = dict.fromkeys(subgraph.inputs, -1)
        self._last: dict[Tensor, int] = {}
        for number, op in enumerate(subgraph.ops):
            self._first |= {t: number for t in op.outputs if t is not None}
            self._last |= {t: number for t in op.inputs if t is not None}
        self._last |= dict.fromkeys(subgraph.outputs, len(subgraph.ops))

    def during(self, group: Group) -> int:
        """What the group reads and writes, and what waits for ops behind it."""
        places = [self._position[op] for op in group.ops]
        begin, end = min(places), max(places)
        waiting = [t for t, first in self._first.items() if first < begin and self._last.get(t, -1) > end]
        live = dict.fromkeys([*waiting, *group.inputs, *group.outputs])
        return sum(_aligned(tensor_bytes(tensor)) for tensor in live)

    def behind(self, op: Op) -> int:
        """What is read behind an op."""
        place = self._position[op]
        return sum(
            tensor_bytes(t) for t, first in self._first.items() if first <= place and self._last.get(t, -1) > place
        )


def _borders(group: Group, graph: _LiveBytes) -> list[int]:
    """Places between the group's ops where it may be cut, of many the narrowest among their neighbours."""
    places = [number for number in range(1, len(group.ops)) if not is_reshape(group.ops[number])]
    if len(places) > _MOST_BORDERS:
        widths = [graph.behind(group.ops[place - 1]) for place in places]
        beside = [min(widths[max(number - 1, 0) : number + 2]) for number in range(len(places))]
        order = sorted(range(len(places)), key=lambda number: (widths[number] > beside[number], number))
        places = sorted(places[number] for number in order[:_MOST_BORDERS])
    return [0, *places, len(group.ops)]


def _head(subgraph: Subgraph, parts: Sequence[_Part], scratch_bytes: Sequence[int] | None = None) -> MicroHead:
    """The head of the graph with these regions, with the scratch memory that they need or that is given."""
    regions = [part for part in parts if part.planner is not None]
    sizes = [part.plan.scratch_bytes for part in regions] if scratch_bytes is None else scratch_bytes
    scratch = {part.op: part.scratch(size) for part, size in zip(regions, sizes, strict=True)}
    free = [op for op in subgraph.ops if is_reshape(op)]
    ops = fused_ops(subgraph, [(part.group.ops, part.op) for part in regions], free)
    used = {t for op in ops for t in (*op.inputs, *op.outputs)} | {*subgraph.inputs, *subgraph.outputs}
    tensors = [tensor for tensor in subgraph.tensors if tensor in used]

    def requests(op: Op) -> Sequence[int]:
        return (scratch[op],) if op in scratch else kernel_scratch(op)

    return plan_head(tensors, ops, subgraph.inputs, subgraph.outputs, requests)


def _head_bytes(subgraph: Subgraph, parts: Sequence[_Part], scratch_bytes: Sequence[int]) -> int:
    return _head(subgraph, parts, scratch_bytes).capacity_bytes


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT_BYTES) * ALIGNMENT_BYTES
