"""Tables of what ops cost: complete, sane, and what they predict of strips and rows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from fmtc_tflite.errors import UsageError
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.regions import kinds
from fmtc_tflite.regions.candidates import whole_group
from fmtc_tflite.regions.extra import NOTHING, Extra, total
from fmtc_tflite.regions.kernel_sets import KernelSet
from fmtc_tflite.regions.ops import RegionOp
from fmtc_tflite.regions.time_costs import by_source, known_cpus, load_cpu
from fmtc_tflite.types import DEFAULT_CPU
from known_networks import mobilenet_v1


def region_ops(content: bytes) -> tuple[RegionOp, ...]:
    group = whole_group(load_model(content).subgraphs[0], kinds.op_builder(KernelSet("xnnpack")))
    assert group is not None
    return group.region.ops


def all_kinds(of: type = RegionOp) -> Iterator[type[RegionOp]]:
    for kind in of.__subclasses__():
        if isinstance(getattr(kind, "kind", None), int) and kind.__module__.startswith("fmtc_tflite"):
            yield kind
        yield from all_kinds(kind)


@pytest.mark.parametrize("name", known_cpus())
def test_each_table_has_every_kind(name: str) -> None:
    cpu = load_cpu(name)
    others = {"Decode", "Encode", "Softmax"}  # plans are made before coders; SOFTMAX is for microcontrollers only
    assert set(cpu.region) == {kind.__name__ for kind in all_kinds()} - others
    assert {"CONV_2D", "DEPTHWISE_CONV_2D", "CONV_2D uint8", "ADD", "MEAN"} <= set(cpu.original)
    for table in (cpu.region, cpu.original):
        for costs in table.values():
            assert len(costs) == 4
            assert min(costs) >= 0 < max(costs)


def test_the_default_has_a_table() -> None:
    assert {DEFAULT_CPU, "avx512"} <= set(known_cpus())
    with pytest.raises(UsageError, match=r"--cpu z80: .* expected one of avx2, avx512"):
        load_cpu("z80")


@pytest.mark.parametrize("name", known_cpus())
def test_narrow_rows_and_small_k_cost_more_for_each_multiply_add(name: str) -> None:
    cpu = load_cpu(name)
    pointwise = [op for op in region_ops(mobilenet_v1(0.5, 64)) if op.macs and op.cost_kind == "Conv"]
    for op in pointwise:
        assert 2 * cpu.row_ns(op, 4) > cpu.row_ns(op, 8) > cpu.row_ns(op, 4)
    cost = [cpu.region_ns(op) / op.macs for op in pointwise[1:3]]  # 16 and 32 input channels
    assert cost[0] > cost[1]


def test_an_op_whose_original_was_not_measured_counts_alike() -> None:
    cpu = load_cpu()
    ops = next(iter(by_source(region_ops(mobilenet_v1(0.25, 32, dtype="INT8")))))
    assert cpu.original_ns(ops) != (alike := sum(map(cpu.region_ns, ops)))
    unknown = type(cpu)(cpu.name, cpu.region, {})
    assert unknown.original_ns(ops) == alike


def test_prices_within_a_budget_keep_both_bounds() -> None:
    rng = np.random.default_rng(0)
    macs, ns = rng.integers(0, 1 << 33, (2, 1000))
    for most in (Extra(1 << 34, 1 << 20), Extra(1 << 20, 1 << 34), Extra(1 << 35)):
        prices = most.prices(macs, ns)
        assert (prices >= macs).all()
        fits = prices <= most.macs
        assert (fits == ((macs <= most.macs) & (ns <= most.ns))).all()
    assert Extra(7, 9).prices(np.array([7, 3]), np.array([1, 9])).tolist() == [7, 7]
    assert NOTHING.prices(np.array([0, 1, 0]), np.array([0, 0, 1])).tolist() == [0, 1, 1]
    assert total([Extra(1, 2), Extra(3, 4)]) == Extra(4, 6) == Extra(5, 8).without(Extra(1, 2))
