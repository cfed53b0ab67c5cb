"""Orders of a region's ops: never worse than the file's, and mostly the best there is."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np
import pytest

from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.regions.candidates import find_candidates
from fmtc_tflite.regions.extra import NOTHING, Extra
from fmtc_tflite.regions.kernel_sets import KernelSet
from fmtc_tflite.regions.kinds import op_builder
from fmtc_tflite.regions.ops import RegionOp
from fmtc_tflite.regions.orders import best_order
from fmtc_tflite.regions.planner import plan_region, write_program
from fmtc_tflite.regions.region import Region
from fmtc_tflite.regions.search import least_scratch
from fmtc_tflite.regions.stage_costs import StageCosts
from fmtc_tflite.regions.stages import RegionSpans
from known_networks import heads, inception_module, mobilenet_v1, unet
from region_doubles import random_region

_MOST_ORDERS = 200


def need(region: Region) -> int:
    return least_scratch(StageCosts(RegionSpans(region)), NOTHING)


def all_orders(ops: tuple[RegionOp, ...]) -> Iterator[tuple[RegionOp, ...]]:
    written = {op.output for op in ops}

    def extended(done: list[RegionOp]) -> Iterator[tuple[RegionOp, ...]]:
        if len(done) == len(ops):
            yield tuple(done)
            return
        there = {op.output for op in done}
        for op in ops:
            if op not in done and all(tensor in there or tensor not in written for tensor in op.inputs):
                yield from extended([*done, op])

    return extended([])


def region_of(content: bytes) -> Region:
    subgraph = load_model(content).subgraphs[0]
    (group,) = find_candidates(subgraph, op_builder(KernelSet("reference"))).groups
    return group.region


def test_mostly_the_best_order_is_found() -> None:
    in_file, found, best = 0, 0, 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        region = random_region(rng, int(rng.integers(3, 7)))
        orders = list(islice(all_orders(region.ops), _MOST_ORDERS + 1))
        if not 1 < len(orders) <= _MOST_ORDERS:
            continue
        own, chosen = need(region), need(best_order(region, ()))
        assert chosen <= own
        in_file, found = in_file + own, found + chosen
        best += min(need(Region(order, region.inputs, region.outputs)) for order in orders)
    assert best <= found < in_file
    assert found <= 1.02 * best


@pytest.mark.parametrize("seed", range(20))
def test_orders_of_random_regions(seed: int) -> None:
    rng = np.random.default_rng(3000 + seed)
    region = random_region(rng, int(rng.integers(8, 20)))
    ordered = best_order(region, ())
    assert need(ordered) <= need(region)
    assert set(ordered.ops) == set(region.ops)
    assert (ordered.inputs, ordered.outputs) == (region.inputs, region.outputs)
    assert best_order(region, ()).ops == ordered.ops
    write_program(
        plan_region(region, Extra(sum(op.macs for op in region.ops))), 0
    )  # proves that all is written before it is read


def test_heads_that_lie_interleaved_are_computed_one_after_another() -> None:
    region = region_of(heads(5))
    assert need(best_order(region, ())) <= 0.7 * need(region)


@pytest.mark.parametrize("content", [inception_module(2), unet()])
def test_orders_that_are_good_stay(content: bytes) -> None:
    region = region_of(content)
    assert best_order(region, ()) is region


def test_a_chain_has_one_order() -> None:
    region = region_of(mobilenet_v1(0.25, 96, 1, 2, "INT8"))
    assert best_order(region, ()) is region
