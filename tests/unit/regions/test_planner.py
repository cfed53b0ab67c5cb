"""Plans of random regions: the least need by brute force, and memory that is right at every step."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from itertools import combinations, pairwise, product

import numpy as np
import pytest

from fmtc_tflite.errors import ModelFormatError
from fmtc_tflite.regions.copy import Copy
from fmtc_tflite.regions.extra import Extra
from fmtc_tflite.regions.memory_check import check_memory
from fmtc_tflite.regions.planner import plan_region, write_program
from fmtc_tflite.regions.program import Program, ProgramWriter
from fmtc_tflite.regions.program_format import OUTPUT, SCRATCH
from fmtc_tflite.regions.region import Region
from fmtc_tflite.regions.rows import RowTable, pull
from fmtc_tflite.regions.search import least_scratch
from fmtc_tflite.regions.stage_costs import INFINITE, StageCosts
from fmtc_tflite.regions.stages import RegionSpans
from fmtc_tflite.regions.strips import Division, divisions
from region_doubles import WindowDouble, add, int8_tensor, random_region, window

# Some of those that stages are tried in, so that all ways to cut small regions can be counted.
DIVISIONS = [division for division in divisions() if len(division.ends) in (2, 3)][::2]
SHARES = (0.0, 0.05, 0.3, 1.0)


def budget(region: Region, seed: int) -> int:
    """Multiply-adds that may be computed twice."""
    return int(SHARES[seed % len(SHARES)] * sum(op.macs for op in region.ops))


def alternatives(spans: RegionSpans, first: int, end: int, ways: Sequence[Division | None]) -> list[tuple[int, int]]:
    """Scratch bytes and extra multiply-adds of a stage in each way that is possible."""
    stages = [spans.stage(first, end, division) for division in ways]
    return [(stage.scratch_bytes, stage.extra.macs) for stage in stages if stage is not None]


def least_by_brute_force(region: Region, most_macs: int) -> int:
    spans, ways = RegionSpans(region), [None, *(DIVISIONS if most_macs else ())]
    count = spans.op_count
    borders = [(0, *cuts, count) for n in range(count) for cuts in combinations(range(1, count), n)]
    found = []
    for border in borders:
        stages = [alternatives(spans, a, b, ways) for a, b in pairwise(border)]
        found += [
            max(need for need, _ in choice)
            for choice in product(*stages)
            if sum(macs for _, macs in choice) <= most_macs
        ]
    return min(found)


@pytest.mark.parametrize("seed", range(80))
def test_the_largest_need_is_least(seed: int) -> None:
    rng = np.random.default_rng(seed)
    region = random_region(rng, int(rng.integers(1, 6 if seed % len(SHARES) else 8)))
    most_macs = budget(region, seed)
    costs = StageCosts(RegionSpans(region))
    if most_macs:
        costs.add_strips(DIVISIONS, INFINITE - 1, Extra(most_macs))
    assert least_scratch(costs, Extra(most_macs)) == least_by_brute_force(region, most_macs)


@pytest.mark.parametrize("seed", range(30))
def test_bounds_are_bounds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    spans = RegionSpans(random_region(rng, int(rng.integers(2, 11))))
    costs = StageCosts(spans)
    costs.add_strips(divisions()[::3], INFINITE - 1, Extra(INFINITE - 1))
    for first in range(spans.op_count):
        for end in range(first + 1, spans.op_count + 1):
            bounds = costs.needs[:, first, end].copy()
            costs.find_out(first, end)
            exact = costs.needs[:, first, end]
            assert (bounds <= exact).all(), (first, end)
            for number in np.flatnonzero(exact < INFINITE):
                extra = Extra(int(costs.extra_macs[number, first, end]), int(costs.extra_ns[number, first, end]))
                assert costs.stage(first, end, int(number)).extra == extra


def test_strips_are_tried_wherever_they_can_be() -> None:
    """A stage has strips unless something in it adds up rows or an output has fewer columns."""
    rng = np.random.default_rng(1)
    found = 0
    for _ in range(40):
        spans = RegionSpans(random_region(rng, int(rng.integers(2, 10))))
        costs = StageCosts(spans)
        costs.add_strips(divisions()[:1], INFINITE - 1, Extra(INFINITE - 1))
        stages = [(a, b) for b in range(1, spans.op_count + 1) for a in range(b)]
        for first, end in stages:
            has_strips = len(costs.needs) > 1 and costs.needs[1, first, end] < INFINITE
            ops = spans.region.ops[first:end]
            stored = {*spans.new_cuts(first, end), *spans.region.outputs}
            narrow = any(op.output.width < 2 and (op.output in stored or not spans.reads.get(op.output)) for op in ops)
            assert has_strips or narrow or any(op.accumulates for op in ops) or read_in_the_stage(spans, first, end)
            found += has_strips
    assert found > 100


def read_in_the_stage(spans: RegionSpans, first: int, end: int) -> bool:
    """Whether a new cut is also read by the stage that writes it."""
    return any(number < end for cut in spans.new_cuts(first, end) for number, _ in spans.reads[cut])


@pytest.mark.parametrize("seed", range(120))
def test_programs_find_what_was_written(seed: int) -> None:
    rng = np.random.default_rng(1000 + seed)
    region = random_region(rng, int(rng.integers(1, 30)))
    most_macs = budget(region, seed)
    plan = plan_region(region, Extra(most_macs))
    assert plan.extra.macs <= most_macs
    assert plan.scratch_bytes <= plan_region(region).scratch_bytes
    program = write_program(plan, 0)  # proves its memory
    assert Program.from_bytes(program.content) == program
    need = max(stage.scratch_bytes for stage in plan.stages)
    # Gaps between what is aligned weigh much in regions of a few hundred bytes.
    assert need <= plan.scratch_bytes <= max(1.2 * need + 64, need + 3 * 64)
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


def test_what_both_strips_need_is_computed_twice() -> None:
    x = int8_tensor("x", 12, 16, 4)
    wide = window(x, "wide", 64, kernel=3)
    narrow = window(wide.output, "narrow", 4, kernel=3)
    copy = Copy.of(narrow.output)
    region = Region((wide, narrow, copy), (x,), (copy.output,))
    macs = wide.macs + narrow.macs
    plan, whole = plan_region(region, Extra(macs)), plan_region(region)
    (stage,) = plan.stages
    assert stage.windows is not None
    widths = [end - first for first, end in stage.windows[next(op for op in stage.ops if op.output is wide.output)]]
    assert stage.strips == len(widths) > 1
    assert sum(widths) == 16 + 2 * (stage.strips - 1)
    assert stage.extra.macs == wide.macs * (sum(widths) - 16) // 16 <= macs
    assert plan.scratch_bytes < 0.6 * whole.scratch_bytes
    assert plan_region(region, Extra(stage.extra.macs - 1)).scratch_bytes > plan.scratch_bytes
    assert plan_region(region, Extra(macs, stage.extra.ns - 1)).scratch_bytes > plan.scratch_bytes
    assert plan_region(region, Extra(macs, stage.extra.ns)).scratch_bytes == plan.scratch_bytes
    program = write_program(plan, 0)
    assert len(program.passes) == stage.strips
    check_memory(program, stage.ops)
    for strip, number in ((0, 1), (1, 0)):  # a column less of what the second op or the copy reads is noticed
        with pytest.raises(ModelFormatError):
            check_memory(narrowed(program, strip, number), stage.ops)


def narrowed(program: Program, strip: int, end: int) -> Program:
    """One column less of the first 3x3 op in one strip, on the left or (end) on the right."""
    passes = list(program.passes)
    windows = list(passes[strip].windows or ())
    op = next(number for number, record in enumerate(program.ops) if record.kind == 200)
    first, last = windows[op]
    windows[op] = (first, last - 1) if end else (first + 1, last)
    passes[strip] = dataclasses.replace(passes[strip], windows=tuple(windows))
    return ProgramWriter().finish(
        kernel_set=0, scratch_bytes=program.scratch_bytes, tensors=program.tensors, ops=program.ops, passes=passes
    )


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
    plan = plan_region(region, forced_cuts=[tensor.source for tensor in forced])
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


def test_steps_that_are_better_together_follow_one_another() -> None:
    x = int8_tensor("x", 4, 4, 4)
    first = window(x, "a", 4)
    middle = window(first.output, "b", 4, stride=2, kernel=3)
    last = window(middle.output, "c", 4)
    ops = [first, middle, last]
    apart = pull(ops, [last.output], RowTable())
    together = pull(ops, [last.output], RowTable(), together=[middle])
    assert apart.steps == (0, 0, 1, 2, 0, 0, 1, 2)
    assert together.steps == (0, 0, 0, 0, 1, 1, 2, 2)
    assert (apart.depths[middle.output], together.depths[middle.output]) == (1, 2)


@dataclasses.dataclass(frozen=True, eq=False)
class HeavyDouble(WindowDouble):
    @property
    def weights_saved_together(self) -> int:
        return 1


@pytest.mark.parametrize(("channels", "is_free"), [(64, True), (4096, False)])
def test_steps_come_together_where_that_takes_no_memory(channels: int, is_free: bool) -> None:
    x = int8_tensor("x", 16, 16, 32)
    before = window(x, "a", 32, kernel=3)
    first = window(before.output, "b", 4, stride=8)
    heavy = HeavyDouble(None, (first.output,), int8_tensor("c", 2, 2, channels), 0)
    last = window(heavy.output, "d", 4)
    region = Region((before, first, heavy, last), (x,), (last.output,))
    plan = plan_region(region, forced_cuts=[first.output.source])
    numbers = [stage.ops[number] for stage in plan.stages for number in stage.pull.steps]
    first_step = numbers.index(heavy)
    assert (numbers[first_step + 1] is heavy) == is_free
    write_program(plan, 0)
