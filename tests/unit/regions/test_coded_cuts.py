"""Cuts stored coded: what is stored, what it needs, and that programs with segments are right."""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate, combinations, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmtc_tflite.coding.side_info import SideInformation
from fmtc_tflite.coding.token_classes import NUM_CONTEXTS, Contexts
from fmtc_tflite.conversion.map_coding import lossless_information
from fmtc_tflite.errors import ModelFormatError
from fmtc_tflite.graph.model import Tensor
from fmtc_tflite.regions.coded_cuts import Rate, code_cuts, fewest_stored_bytes
from fmtc_tflite.regions.coders import Decode, Encode, Segments, coded_tensor
from fmtc_tflite.regions.extra import NOTHING, Extra
from fmtc_tflite.regions.memory_check import check_memory
from fmtc_tflite.regions.ops import RegionTensor
from fmtc_tflite.regions.planner import RegionPlan, write_program
from fmtc_tflite.regions.program import Program
from fmtc_tflite.regions.region import Region
from fmtc_tflite.regions.search import Way, fewest_stored, least_scratch
from fmtc_tflite.regions.stage_costs import INFINITE, StageCosts
from fmtc_tflite.regions.stages import OwnMemory, RegionSpans
from fmtc_tflite.regions.strips import divisions
from region_doubles import random_region


def rates(region: Region, share: float) -> dict[Tensor, Rate]:
    """Of all tensors that ops write, as if each value took `share` of its 8 bits."""
    infos = {op.output: lossless_information(op.output.channels, checksum=False) for op in region.ops}
    return {tensor.source: Rate(info.to_bytes(), 8 * share * tensor.bytes) for tensor, info in infos.items()}


def context_rates(plain: dict[Tensor, Rate], saved: float) -> dict[Tensor, Rate]:
    """The same with contexts, which save such a share of the bits."""
    found = {}
    for tensor, rate in plain.items():
        info = SideInformation.from_bytes(rate.side_information)
        contexts = Contexts(np.zeros(info.channels, bool), np.zeros((1, NUM_CONTEXTS), np.uint8))
        found[tensor] = Rate(replace(info, contexts=contexts).to_bytes(), (1 - saved) * rate.bits, rate)
    return found


def path_of(costs: StageCosts) -> list[Way]:
    path = fewest_stored(costs, least_scratch(costs, NOTHING), NOTHING, costs.stored_bytes)
    assert path is not None
    return path


@given(st.integers(1, 300), st.data())
def test_segments_are_shares_of_the_rows(height: int, data: st.DataObject) -> None:
    segments = Segments(height, 5, data.draw(st.integers(1, height)), (7,))
    spans = [segments.rows(number) for number in range(segments.count)]
    assert spans[0][0] == 0
    assert spans[-1][1] == height - 1
    assert all(b[0] == a[1] + 1 for a, b in pairwise(spans))
    for row in range(height):
        first, last = spans[segments.share_of(row)]
        assert first <= row <= last
    sizes = [last - first + 1 for first, last in spans]
    assert max(sizes) - min(sizes) <= 1
    assert segments.most_values == 35 * max(sizes)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(1, 4))
def test_segments_by_groups_of_columns(widths: list[int], channels: int) -> None:
    segments = Segments(8, channels, 3, tuple(accumulate(widths)))
    spans = [segments.columns(group) for group in range(len(widths))]
    assert [end - first for first, end in spans] == widths
    assert spans[-1][1] * channels == segments.row_values
    assert segments.most_values == 3 * max(widths) * channels
    whole = Segments(8, channels, 3, (sum(widths),))
    assert segments.decode_kept_bytes == whole.decode_kept_bytes
    assert segments.encode_memory_bytes <= whole.encode_memory_bytes <= whole.decode_memory_bytes


@pytest.mark.parametrize("seed", range(20))
def test_coding_stores_less_within_the_limit(seed: int) -> None:
    region = random_region(np.random.default_rng(seed), 8)
    costs = StageCosts(RegionSpans(region))
    limit = int(1.5 * least_scratch(costs, NOTHING))
    raw = fewest_stored_bytes(costs, limit, NOTHING, {})
    coded = fewest_stored_bytes(costs, limit, NOTHING, rates(region, 0.3))
    assert raw is not None
    assert coded is not None
    assert not raw.coded
    assert coded.placement.scratch_bytes <= limit
    assert coded.stored_bytes <= raw.stored_bytes
    assert all(cut.expected_bytes < tensor.bytes for tensor, cut in coded.coded.items())
    assert fewest_stored_bytes(costs, 0, NOTHING, {}) is None


def test_what_contexts_need() -> None:
    plain, contexts = (Segments(8, 5, 3, (4, 6), contexts) for contexts in (False, True))
    assert (plain.most_rows, plain.most_row_values, plain.row_values) == (3, 20, 30)
    assert (plain.rows_before, contexts.rows_before) == (1, 2)
    assert contexts.encode_memory_bytes - plain.encode_memory_bytes == 32 * 3 + 5 * (20 + 64) + 2 * 5
    assert contexts.decode_memory_bytes - plain.decode_memory_bytes == 30 + 4 * (20 + 64) + 2 * 5
    assert contexts.decode_kept_bytes - plain.decode_kept_bytes == 30


def test_what_coders_need() -> None:
    several, single = (Segments(8, 5, shares, (4, 6)) for shares in (3, 8))  # of rows in a segment
    assert several.encode_memory_bytes == 60 + 60 + 144
    assert several.decode_memory_bytes == 30 + 90 + 60 + 144
    assert several.decode_kept_bytes == 30 + 90
    assert single.encode_memory_bytes == 20 + 2 * 20 + 144
    assert single.decode_memory_bytes == 30 + 30 + 20 + 144
    assert single.decode_kept_bytes == 30


@pytest.mark.parametrize("seed", range(20))
def test_contexts_are_there_where_they_gain(seed: int) -> None:
    """However much memory there is, no more is stored than without them."""
    region = random_region(np.random.default_rng([seed, 5]), 8)
    costs = StageCosts(RegionSpans(region))
    plain = rates(region, 0.8)
    for room in (1.5, 3.0, 50.0):
        limit = int(room * least_scratch(costs, NOTHING))
        without = fewest_stored_bytes(costs, limit, NOTHING, plain)
        coded = fewest_stored_bytes(costs, limit, NOTHING, context_rates(plain, 0.1))
        assert without is not None
        assert coded is not None
        assert coded.placement.scratch_bytes <= limit
        assert coded.stored_bytes <= without.stored_bytes
        assert all(cut.rate.contexts or cut.rate in plain.values() for cut in coded.coded.values())


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("contexts", [False, True])
def test_programs_with_segments_are_right(seed: int, contexts: bool) -> None:
    """The memory check follows each row and segment, and notices where one lies over another."""
    rng = np.random.default_rng([seed, 1])
    region = random_region(rng, 8)
    costs = StageCosts(RegionSpans(region))
    path = path_of(costs)
    by_source = context_rates(rates(region, 0.0), 0.0) if contexts else rates(region, 0.0)
    own = {t: by_source[t.source] for t in costs.spans.inner}
    found = code_cuts(costs, path, 1 << 40, own)
    assert set(found.coded) == {cut for cut in found.cuts if cut.bytes > 57}
    plan = RegionPlan(found.region, found.stages, found.cuts, found.placement, found.coded)
    program = write_program(plan, 0)
    assert Program.from_bytes(program.content) == program
    ops = [op for stage in found.stages for op in stage.ops]
    tensors = [*region.inputs, *region.outputs, *found.placement.tensors]
    for cut in found.coded.values():
        coded, map_ = (next(i for i, t in enumerate(tensors) if t is each) for each in (cut.coded, cut.tensor))
        moved = list(program.tensors)
        moved[coded] = replace(moved[coded], offset=moved[map_].offset)  # segments over the rows that they are made of
        with pytest.raises(ModelFormatError):
            check_memory(replace(program, tensors=tuple(moved), scratch_bytes=2 * program.scratch_bytes), ops)


@pytest.mark.parametrize("seed", range(20))
def test_stages_in_strips_write_coded_cuts(seed: int) -> None:
    """Each strip writes segments of its own, and the memory check follows them."""
    region = random_region(np.random.default_rng([seed, 4]), 8)
    costs = StageCosts(RegionSpans(region))
    costs.add_strips(divisions(), 1 << 40, Extra(1 << 40))
    own = {t: rate for t in costs.spans.inner for source, rate in rates(region, 0.0).items() if source is t.source}
    count = costs.spans.op_count
    middle = count // 2
    ways = np.flatnonzero(costs.needs[:, 0, middle] < INFINITE)
    found = code_cuts(costs, [(0, middle, int(ways[-1])), (middle, count, 0)], 1 << 40, own)
    strips = found.stages[0].strips
    assert all(cut.coded.width == strips == len(cut.ends) for cut in found.coded.values())
    write_program(RegionPlan(found.region, found.stages, found.cuts, found.placement, found.coded), 0)


def test_an_op_keeps_memory_beside_what_others_share() -> None:
    map_ = RegionTensor(rates(random_region(np.random.default_rng(0), 2), 0.3).popitem()[0], 8, 6, 5, np.dtype(np.int8))
    coded = coded_tensor(map_, 8, (6,))
    encode = Encode(None, (map_,), coded, 1, lossless_information(5, checksum=False).to_bytes(), (6,))
    one, two = (Decode(None, (coded,), replace(map_), 1, (6,), contexts=False) for _ in range(2))
    own = OwnMemory.of([one, encode])
    assert own.neighbour is one
    assert own.kept[one] == 32  # a row of 30 values, rounded
    assert own.shared == 240 == -(-encode.own_memory_bytes // 16) * 16
    both = OwnMemory.of([one, two])
    assert sorted(both.kept.values()) == [32, 240]
    assert both.bytes == 480
    assert OwnMemory.of([]).bytes == 0


@pytest.mark.parametrize("seed", range(10))
def test_fewest_stored_keeps_limit_and_budget(seed: int) -> None:
    region = random_region(np.random.default_rng([seed, 2]), 7)
    costs = StageCosts(RegionSpans(region))
    stored = [
        sum(int(costs.stored_bytes[first, end]) for first, end, _ in path)
        for factor in (1.0, 1.3, 2.0, 10.0)
        if (path := fewest_stored(costs, int(factor * least_scratch(costs, NOTHING)), NOTHING, costs.stored_bytes))
    ]
    assert len(stored) == 4
    assert stored == sorted(stored, reverse=True)
    assert stored[-1] == 0  # one stage, if there is room for it


@pytest.mark.parametrize("seed", range(10))
def test_what_stages_read(seed: int) -> None:
    spans = RegionSpans(random_region(np.random.default_rng([seed, 3]), 7))
    weights = {tensor: tensor.bytes for tensor in spans.inner}
    read = StageCosts(spans).read(weights)
    for first, end in combinations(range(spans.op_count + 1), 2):
        inputs = {tensor for op in spans.region.ops[first:end] for tensor in op.inputs if tensor in weights}
        assert read[first, end] == sum(weights[t] for t in inputs if spans.producer[t] < first)


def test_ways_of_a_stage_may_store_differently() -> None:
    costs = StageCosts(RegionSpans(random_region(np.random.default_rng(5), 7)))
    limit = 10 * least_scratch(costs, NOTHING)
    dear = np.stack([costs.stored_bytes + 1])
    assert fewest_stored(costs, limit, NOTHING, dear) == [(0, costs.spans.op_count, 0)]
