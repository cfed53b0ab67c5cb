"""Plans of random regions: the least need by brute force, and memory that is right at every step."""

from __future__ import annotations

import dataclasses
from collections import Counter
from itertools import combinations, pairwise

import numpy as np
import pytest

from fmtc_tflite.errors import ModelFormatError
from fmtc_tflite.regions.copy import Copy
from fmtc_tflite.regions.memory_check import check_memory
from fmtc_tflite.regions.planner import plan_region, write_program
from fmtc_tflite.regions.program import Program, ProgramWriter
from fmtc_tflite.regions.program_format import OUTPUT, SCRATCH
from fmtc_tflite.regions.region import Region
from fmtc_tflite.regions.rows import RowTable, pull
from fmtc_tflite.regions.stages import StageCosts, least_scratch
from region_doubles import add, int8_tensor, random_region, window


def least_by_brute_force(costs: StageCosts) -> int:
    inner = range(1, costs.op_count)
    borders = ((0, *cuts, costs.op_count) for n in range(costs.op_count) for cuts in combinations(inner, n))
    return min(max(costs.stage(a, b).scratch_bytes for a, b in pairwise(border)) for border in borders)


@pytest.mark.parametrize("seed", range(60))
def test_the_largest_need_is_least(seed: int) -> None:
    rng = np.random.default_rng(seed)
    region = random_region(rng, int(rng.integers(1, 8)))
    assert least_scratch(StageCosts(region)) == least_by_brute_force(StageCosts(region))


@pytest.mark.parametrize("seed", range(60))
def test_lower_bounds_are_bounds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    costs = StageCosts(random_region(rng, int(rng.integers(2, 14))))
    for first in range(costs.op_count):
        for end in range(first + 1, costs.op_count + 1):
            bound = costs.lower_bounds[first][end - first - 1]
            assert bound <= costs.stage(first, end).scratch_bytes, (first, end)


@pytest.mark.parametrize("seed", range(120))
def test_programs_find_what_was_written(seed: int) -> None:
    rng = np.random.default_rng(1000 + seed)
    region = random_region(rng, int(rng.integers(1, 30)))
    plan = plan_region(region)
    program = write_program(plan, 0)  # proves its memory
    assert Program.from_bytes(program.content) == program
    need = max(stage.scratch_bytes for stage in plan.stages)
    assert need <= plan.scratch_bytes <= 1.1 * need + 64
    assert plan.scratch_bytes % 64 == 0
    written = {program.ops[op].output for part in program.passes for op in part.steps}
    assert {n for n, tensor in enumerate(program.tensors) if tensor.place == OUTPUT} <= written


def residual_blocks(count: int) -> Region:
    """As in a ResNet: 16x16x16 maps, each block two 3x3 convolutions and a sum."""
    x = source = int8_tensor("x", 16, 16, 16)
    ops = []
    for number in range(count):
        first = window(x, f"{number}a", 16, kernel=3)
        second = window(first.output, f"{number}b", 16, kernel=3)
        ops += [first, second, add(x, second.output, f"{number}c")]
        x = ops[-1].output
    copy = Copy.of(x)
    return Region((*ops, copy), (source,), (copy.output,))


def test_a_chain_of_blocks_lives_in_one_circle() -> None:
    plan = plan_region(residual_blocks(12))
    memories = [plan.placement.tensors[cut] for cut in plan.cuts]
    (place, members), *_ = Counter((m.offset, m.depth, m.row_bytes) for m in memories).most_common()
    assert members >= len(memories) - 1 >= 8
    assert len({m.phase for m in memories if (m.offset, m.depth, m.row_bytes) == place}) > 1
    row = 18 * 16
    assert plan.scratch_bytes < (16 + 2) * row + 14 * row  # one map, and the rings of a block


def changed(program: Program, index: int, **changes: int) -> Program:
    tensors = list(program.tensors)
    tensors[index] = dataclasses.replace(tensors[index], **changes)  # type: ignore[arg-type]
    return ProgramWriter().finish(
        kernel_set=0,
        scratch_bytes=program.scratch_bytes + 1024,
        tensors=tensors,
        ops=program.ops,
        passes=program.passes,
    )


@pytest.mark.parametrize("seed", range(30))
def test_forced_cuts_are_stored(seed: int) -> None:
    rng = np.random.default_rng(2000 + seed)
    region = random_region(rng, int(rng.integers(4, 20)))
    read = {tensor for op in region.ops for tensor in op.inputs}
    inner = [op.output for op in region.ops if op.output in read]
    forced = [inner[number] for number in rng.permutation(len(inner))[:3]]
    plan = plan_region(region, [tensor.source for tensor in forced])
    assert set(forced) <= set(plan.cuts)
    write_program(plan, 0)


def test_wrong_places_are_noticed() -> None:
    plan = plan_region(residual_blocks(6))
    program = write_program(plan, 0)
    ops = [op for stage in plan.stages for op in stage.ops]
    check_memory(changed(program, 2), ops)
    noticed = 0
    for index, tensor in enumerate(program.tensors):
        if tensor.place != SCRATCH:
            continue
        for change in ({"offset": tensor.offset + tensor.row_bytes}, {"phase": (tensor.phase + 1) % tensor.depth}):
            wrong = changed(program, index, **change)
            try:
                check_memory(wrong, ops)
            except ModelFormatError:
                noticed += 1
    assert noticed >= len(plan.cuts)


def test_rings_hold_what_the_laggard_needs() -> None:
    x = int8_tensor("x", 9, 9, 4)
    first = window(x, "a", 4)
    ahead = window(window(first.output, "b", 4, kernel=5).output, "c", 4)
    middle = window(first.output, "b", 4, kernel=5)
    last = add(first.output, middle.output, "d")
    found = pull([first, middle, last], [last.output], RowTable())
    assert found.depths[first.output] == 5  # rows y - 2 to y + 2 for the kernel; the sum reads row y
    assert found.depths[middle.output] == 1
    assert len(found.steps) == 27
    assert ahead.kernel == 1
