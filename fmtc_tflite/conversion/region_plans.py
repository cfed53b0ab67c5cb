"""Plans of the groups that are worth fusing."""

from __future__ import annotations

from dataclasses import dataclass

from fmtc_tflite.graph.model import Model, Op, Subgraph
from fmtc_tflite.memory.arena import no_scratch, plan_arena
from fmtc_tflite.progress import progress
from fmtc_tflite.regions.candidates import Candidates, Group
from fmtc_tflite.regions.planner import RegionPlan, plan_region, write_program
from fmtc_tflite.regions.program import Program

_BAR_AFTER_SECONDS = 2


@dataclass(frozen=True)
class PlannedRegion:
    """A region with its program.

    Attributes:
      original_arena_bytes, arena_bytes: what its ops need with their inputs and outputs, before and after.
      op_numbers: for each op of the program, the number of the graph's op, -1 where the planner made it up.
      input_numbers: of the graph's tensors that are the region's inputs.
    """

    group: Group
    plan: RegionPlan
    program: Program
    original_arena_bytes: int
    arena_bytes: int
    op_numbers: tuple[int, ...]
    input_numbers: tuple[int, ...]


def plan_regions(subgraph: Subgraph, found: Candidates, kernel_set: int) -> tuple[list[PlannedRegion], dict[Op, str]]:
    """Plans every group.

    Args:
      kernel_set: number of the arithmetic, for the programs.

    Returns:
      The regions that need less memory than their ops, and why each other op is left out.
    """
    regions, left_out = [], dict(found.left_out)
    op_numbers: dict[Op | None, int] = {op: number for number, op in enumerate(subgraph.ops)}
    tensor_numbers = {tensor: number for number, tensor in enumerate(subgraph.tensors)}
    for group in progress(found.groups, "planning", delay=_BAR_AFTER_SECONDS):
        plan = plan_region(group.region)
        before, after = _arena_before(subgraph, group), _arena_after(subgraph, group, plan.scratch_bytes)
        if after >= before:
            left_out |= dict.fromkeys(group.ops, f"fused it would need {after:,} bytes, as it is {before:,}")
            continue
        ops = tuple(op_numbers.get(op.source, -1) for stage in plan.stages for op in stage.ops)
        inputs = tuple(tensor_numbers[tensor] for tensor in group.inputs)
        regions.append(PlannedRegion(group, plan, write_program(plan, kernel_set), before, after, ops, inputs))
    return regions, left_out


def _arena_before(subgraph: Subgraph, group: Group) -> int:
    alone = Subgraph("", 0, subgraph.tensors, list(group.ops), list(dict.fromkeys(group.inputs)), list(group.outputs))
    return plan_arena(Model([alone], [], []), scratch_bytes=no_scratch).capacity_bytes


def _arena_after(subgraph: Subgraph, group: Group, scratch_bytes: int) -> int:
    fused = Op(group.ops[0].code, list(group.inputs), list(group.outputs))
    alone = Subgraph("", 0, subgraph.tensors, [fused], list(dict.fromkeys(group.inputs)), list(group.outputs))
    return plan_arena(Model([alone], [], []), scratch_bytes=lambda op: scratch_bytes).capacity_bytes
