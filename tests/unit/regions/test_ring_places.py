"""Rings in one another's place: never at the same time, and all that need memory have some."""

from __future__ import annotations

import numpy as np
import pytest

from fmtc_tflite.regions.copy import Copy
from fmtc_tflite.regions.ops import RegionOp, RegionTensor
from fmtc_tflite.regions.region import Region
from fmtc_tflite.regions.ring_places import RingBound, ring_places
from fmtc_tflite.regions.stages import RegionSpans, Stage
from region_doubles import add, int8_tensor, random_region, window


def turns_of_rows(spans: RegionSpans, stage: Stage, tensor: RegionTensor) -> list[set[int]]:
    """For each row of a ring the turns of a stage at which it is being written or will be read."""
    written, found = [0] * tensor.height, [set[int]() for _ in range(tensor.height)]
    done = [0] * len(stage.ops)
    for turn, index in enumerate(stage.pull.steps):
        op, step = stage.ops[index], done[index]
        done[index] += 1
        for read, rows in zip(op.inputs, spans.table.of(op), strict=True):
            if read is tensor:
                for row in range(rows.first[step], rows.last[step] + 1):
                    found[row].update(range(written[row], turn + 1))
        if op.output is tensor and (not op.accumulates or step + 1 == op.steps):
            row = 0 if op.accumulates else step
            written[row] = turn
            found[row].add(turn)
    return found


@pytest.mark.parametrize("seed", range(20))
def test_rings_of_a_place_are_never_there_together(seed: int) -> None:
    spans = RegionSpans(random_region(np.random.default_rng([seed, 5]), 9))
    stage = spans.stage(0, spans.op_count)
    assert stage is not None
    check_places(spans, stage)


def check_places(spans: RegionSpans, stage: Stage) -> None:
    """Each ring has a place, each row of a place one row of a ring at a time, and none takes more than rings alone."""
    assert sorted(map(id, (t for place in stage.places for t in place.tensors))) == sorted(map(id, stage.rings))
    for place in stage.places:
        taken: list[set[int]] = [set() for _ in range(place.depth)]
        for tensor, phase in zip(place.tensors, place.phases, strict=True):
            assert place.row_bytes >= stage.rings[tensor].row_bytes
            for row, turns in enumerate(turns_of_rows(spans, stage, tensor)):
                slot = taken[(row * place.pitch + phase) % place.depth]
                assert slot.isdisjoint(turns)
                slot |= turns
        alone = sum(stage.pull.depths[t] * stage.rings[t].row_bytes for t in place.tensors)
        assert place.bytes == place.depth * place.row_bytes <= alone


@pytest.mark.parametrize("blocks", [2, 3, 5])
def test_blocks_of_one_size_need_one_row_more_than_two_each(blocks: int) -> None:
    """Their expanded maps, each of which a 3x3 convolution reads, one behind another."""
    x = int8_tensor("x", 16, 16, 8)
    ops: list[RegionOp] = [window(x, "stem", 8)]
    for number in range(blocks):
        last = ops[-1].output
        ops += [
            wide := window(last, f"expand {number}", 24),
            deep := window(wide.output, f"depthwise {number}", 24, kernel=3),
            narrow := window(deep.output, f"project {number}", 8),
            add(last, narrow.output, f"sum {number}"),
        ]
    ops.append(out := Copy.of(ops[-1].output))
    spans = RegionSpans(Region(tuple(ops), (x,), (out.output,)))
    stage = spans.stage(0, spans.op_count)
    assert stage is not None
    check_places(spans, stage)
    assert [place.depth for place in stage.places if len(place.tensors) == blocks and place.depth > 1] == [
        2 * blocks + 1
    ]


def test_the_bound_is_no_more_than_what_rings_take() -> None:
    for seed in range(20):
        spans = RegionSpans(random_region(np.random.default_rng([seed, 8]), 9))
        stage = spans.stage(0, spans.op_count)
        assert stage is not None
        rings = [(t.height, stage.pull.depths[t], form.row_bytes) for t, form in stage.rings.items()]
        assert RingBound().with_rings(rings) <= stage.ring_bytes


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
