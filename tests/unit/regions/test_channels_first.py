"""Reductions behind a TRANSPOSE as reductions of what it reads."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from fmtc_tflite.conversion.presets import convert_content
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.graph.region_ops import KERNEL_SETS
from fmtc_tflite.regions.candidates import Candidates, find_candidates
from fmtc_tflite.regions.kernel_sets import KernelSet
from fmtc_tflite.regions.kinds import op_builder
from fmtc_tflite.regions.kinds.moves import Transpose
from fmtc_tflite.regions.kinds.reductions import Mean
from fmtc_tflite.regions.restoration import region_op_names, restore_original
from fmtc_tflite.types import ConvertOptions
from model_builder import GraphBuilder, ModelBuilder, Ref
from region_trials import trial

SIZES = (1, 7, 5, 20)  # of what is transposed


class Reduction(NamedTuple):
    axes: list[int]
    keeps: bool = False
    opcode: str = "MEAN"


def reduced(graph: GraphBuilder, x: Ref, reduction: Reduction, scale: float = 1.0) -> Ref:
    axes = [axis % len(x.shape) for axis in reduction.axes]
    shape = [1 if axis in axes else size for axis, size in enumerate(x.shape)]
    if not reduction.keeps:
        shape = [size for axis, size in enumerate(x.shape) if axis not in axes]
    same = reduction.opcode == "REDUCE_MAX"
    of = {"scale": x.scale if same else x.scale * scale, "zero_point": x.zero_point if same else 3}
    y = graph.tensor(f"reduced {len(graph.subgraph.operators)}", shape, x.dtype, **of)
    constant = np.array(reduction.axes, np.int32)
    axes_of = graph.tensor(f"axes of {y.index}", constant.shape, "INT32", scale=0, data=constant)
    graph.op(reduction.opcode, [x, axes_of], [y], schema.ReducerOptionsT(keepDims=reduction.keeps), version=2)
    return y


def network(
    *reductions: Reduction, order: tuple[int, ...] = (0, 3, 1, 2), also: str = "", scale: float = 0.6, seed: int = 0
) -> ModelBuilder:
    """A convolution, a TRANSPOSE, the reductions, a RESHAPE to [1, N] and another op.

    Args:
      also: what is an output of the graph, too: "moved" or "reduced".
    """
    builder = ModelBuilder(seed)
    graph = builder.graph()
    x = graph.conv(graph.input("x", [1, 14, 10, 3]), SIZES[3], 3, 2, scale=0.5, zero_point=-5)
    moved = graph.tensor("moved", [SIZES[axis] for axis in order], "INT8", scale=0.5, zero_point=-5)
    constant = graph.tensor("order", (4,), "INT32", scale=0, data=np.array(order, np.int32))
    graph.op("TRANSPOSE", [x, constant], [moved], schema.TransposeOptionsT(), version=2)
    y = moved
    for number, reduction in enumerate(reductions):
        y = reduced(graph, y, reduction, scale)
        if also == "reduced" and number == 0:
            graph.output(y)
    if also == "moved":
        graph.output(moved)
    if len(y.shape) > 2:
        y = graph.reshape(y, [1, int(np.prod(y.shape))])
    graph.output(graph.unary("LOGISTIC", y, scale=1 / 256, zero_point=-128))
    return builder


def candidates(builder: ModelBuilder, kernels: str = "builtin") -> Candidates:
    return find_candidates(load_model(builder.build()).subgraphs[0], op_builder(KernelSet(kernels)))


WHOLE = {
    "one axis after another": network(Reduction([3]), Reduction([2])),
    "rows first": network(Reduction([2]), Reduction([-1])),
    "both": network(Reduction([2, 3])),
    "both from the end": network(Reduction([-1, -2], keeps=True)),
    "kept axes": network(Reduction([3], keeps=True), Reduction([2], keeps=True)),
    "one kept axis": network(Reduction([2], keeps=True), Reduction([3])),
    "sums": network(Reduction([3], opcode="SUM"), Reduction([2], opcode="SUM"), scale=6),
    "a mean of maxima": network(Reduction([2], opcode="REDUCE_MAX"), Reduction([2])),
    "columns before channels": network(Reduction([1, 3]), order=(0, 1, 3, 2)),
    "columns before rows": network(Reduction([1, 2], keeps=True), order=(0, 2, 1, 3)),
}


@pytest.mark.parametrize("name", WHOLE)
def test_all_are_one_region(name: str) -> None:
    (group,) = candidates(WHOLE[name]).groups
    assert len(group.ops) == len(load_model(WHOLE[name].build()).subgraphs[0].ops)
    assert not any(isinstance(op, Transpose) for op in group.region.ops)


@pytest.mark.parametrize("kernels", KERNEL_SETS)
def test_no_byte_differs(kernels: str) -> None:
    for seed, builder in enumerate(WHOLE.values()):
        assert trial(seed, builder.build(), kernels).failure is None
    inside = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        keeps = bool(rng.integers(2))
        chain = [Reduction([3], keeps), Reduction([2], keeps)] if rng.integers(2) else [Reduction([2, 3], keeps)]
        done = trial(seed, network(*chain, scale=rng.choice([0.2, 0.9, 1.0, 1.7]), seed=seed).build(), kernels)
        assert done.failure is None
        inside += done.fused["TRANSPOSE"]
    assert inside == 12


def test_means_read_rows_of_channels() -> None:
    (group,) = candidates(WHOLE["one axis after another"]).groups
    columns, rows = (op for op in group.region.ops if isinstance(op, Mean))
    assert (columns.output.height, columns.output.width, columns.output.channels) == (7, 1, 20)
    assert (rows.output.height, rows.output.width, rows.output.channels) == (1, 1, 20)


@pytest.mark.parametrize(
    "builder",
    [
        network(Reduction([3]), Reduction([2]), also="moved"),
        network(Reduction([3]), Reduction([2]), also="reduced"),
        network(Reduction([3])),
        network(Reduction([1])),
        network(Reduction([1, 2, 3], keeps=True)),
    ],
)
def test_what_is_more_than_that_stays_outside(builder: ModelBuilder) -> None:
    assert "TRANSPOSE" in {op.opcode for op in candidates(builder).left_out}


@pytest.mark.parametrize(("name", "first"), [("one axis after another", "MEAN"), ("a mean of maxima", "MAX_POOL_2D")])
def test_all_come_back(name: str, first: str) -> None:
    content = WHOLE[name].build()
    converted = load_model(convert_content(content, ConvertOptions(execution="regions", kernels="builtin")).content)
    assert [op.opcode for op in converted.subgraphs[0].ops] == ["FMTC_REGION"]
    assert restore_original(converted).to_bytes() == load_model(content).to_bytes()
    (names,) = region_op_names(converted)
    assert [opcode for opcode, _ in names][-3:] == [first, "MEAN", "LOGISTIC"]
