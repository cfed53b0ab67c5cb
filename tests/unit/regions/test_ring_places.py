"""Rings of one row in one another's place: never at the same time, and all that need memory have some."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from fmtc_tflite.regions.ring_places import ring_places
from fmtc_tflite.regions.stages import RegionSpans, Stage
from region_doubles import random_region


def turns_with_a_row(spans: RegionSpans, stage: Stage, number: int) -> set[int]:
    """Turns of a stage at which a row of an op's output is being written or will be read, one row at a time."""
    op, found = stage.ops[number], set[int]()
    written: dict[int, int] = {}
    done = [0] * len(stage.ops)
    for turn, index in enumerate(stage.pull.steps):
        step = done[index]
        done[index] += 1
        reader = stage.ops[index]
        for tensor, rows in zip(reader.inputs, spans.table.of(reader), strict=True):
            if tensor is op.output:
                for row in range(rows.first[step], rows.last[step] + 1):
                    found.update(range(written[row], turn + 1))
        if index == number and (not op.accumulates or step + 1 == op.steps):
            written[0 if op.accumulates else step] = turn
            found.add(turn)
    return found


@pytest.mark.parametrize("seed", range(20))
def test_rings_of_a_place_are_never_there_together(seed: int) -> None:
    spans = RegionSpans(random_region(np.random.default_rng([seed, 5]), 9))
    stage = spans.stage(0, spans.op_count)
    assert stage is not None
    assert sorted(map(id, (t for place in stage.places for t in place.tensors))) == sorted(map(id, stage.rings))
    numbers = {op.output: number for number, op in enumerate(stage.ops)}
    for place in stage.places:
        sizes = [stage.pull.depths[t] * stage.rings[t].row_bytes for t in place.tensors]
        assert place.bytes == max(sizes)
        assert len(sizes) == 1 or all(stage.pull.depths[t] == 1 for t in place.tensors)
        lives = [turns_with_a_row(spans, stage, numbers[t]) for t in place.tensors]
        assert all(a.isdisjoint(b) for a, b in combinations(lives, 2))
    assert stage.ring_bytes <= sum(stage.pull.depths[t] * form.row_bytes for t, form in stage.rings.items())


def test_rows_that_are_soon_dead_share_a_place() -> None:
    """In some region, or nothing is gained."""
    found = [RegionSpans(random_region(np.random.default_rng([seed, 6]), 9)) for seed in range(20)]
    stages = [stage for spans in found if (stage := spans.stage(0, spans.op_count))]
    assert any(len(place.tensors) > 1 for stage in stages for place in stage.places)


def test_nothing_needs_no_place() -> None:
    spans = RegionSpans(random_region(np.random.default_rng(7), 3))
    stage = spans.stage(0, 1)
    assert stage is not None
    assert ring_places(stage.ops, stage.pull, {}, spans.table) == ()
