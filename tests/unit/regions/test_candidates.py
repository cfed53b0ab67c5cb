"""Groups of ops that become regions, on random graphs and on small ones."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from fmtc_tflite.graph.edits.fuse_region import Fusion, fuse
from fmtc_tflite.graph.graph_view import GraphView
from fmtc_tflite.graph.model import Buffer, Model, Op, Subgraph, Tensor
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.graph.names import REGION
from fmtc_tflite.regions.candidates import find_candidates, split_group
from fmtc_tflite.regions.kernel_sets import NAMES, KernelSet
from fmtc_tflite.regions.kinds import op_builder
from fmtc_tflite.regions.ops import OpRefusedError, RegionOp, RegionTensor
from model_builder import ModelBuilder
from region_doubles import WindowDouble

ADD, SOFTMAX = schema.BuiltinOperator.ADD, schema.BuiltinOperator.SOFTMAX


def build(op: Op, tensor_of: Callable[[Tensor], RegionTensor]) -> tuple[RegionOp, ...]:
    """Knows all ops but SOFTMAX."""
    if op.opcode == "SOFTMAX":
        raise OpRefusedError("softmax")
    inputs = tuple(tensor_of(t) for t in op.inputs if t is not None and t.data is None)
    assert op.outputs[0] is not None
    return (WindowDouble(op, inputs, tensor_of(op.outputs[0]), 0),)


def random_graph(seed: int) -> Model:
    rng = np.random.default_rng(seed)
    nothing = Buffer()
    codes = [schema.OperatorCodeT(builtinCode=c, deprecatedBuiltinCode=c) for c in (ADD, SOFTMAX)]

    def tensor(name: str) -> Tensor:
        quantization = schema.QuantizationParametersT(scale=np.array([0.1]), zeroPoint=np.array([0]))
        return Tensor(name, (1, 4, 4, 2), schema.TensorType.INT8, nothing, quantization=quantization)

    tensors, ops = [tensor("x")], list[Op]()
    for number in range(int(rng.integers(2, 40))):
        sources = [tensors[-1 - int(min(rng.geometric(0.4) - 1, len(tensors) - 1))] for _ in range(rng.integers(1, 3))]
        tensors.append(tensor(f"t{number}"))
        ops.append(Op(codes[int(rng.random() < 0.25)], list(sources), [tensors[-1]]))
    read = {t for op in ops for t in op.inputs}
    outputs = [t for t in tensors[1:] if t not in read]
    return Model([Subgraph("main", 0, tensors, ops, [tensors[0]], outputs)], codes, [nothing])


def reachable(view: GraphView, ops: set[Op]) -> set[Op]:
    found, pending = set[Op](), list(ops)
    while pending:
        for tensor in pending.pop().outputs:
            for reader in view.consumer_ops(tensor) if tensor is not None else ():
                if reader not in found:
                    found.add(reader)
                    pending.append(reader)
    return found


def is_executable(subgraph: Subgraph) -> bool:
    written = set(subgraph.inputs)
    for op in subgraph.ops:
        if any(t is not None and t.data is None and t not in written for t in op.inputs):
            return False
        written.update(t for t in op.outputs if t is not None)
    return written.issuperset(subgraph.outputs)


@pytest.mark.parametrize("seed", range(80))
def test_groups_are_convex_and_leave_a_graph(seed: int) -> None:
    model = random_graph(seed)
    subgraph = model.subgraphs[0]
    view, count = GraphView(subgraph), len(subgraph.ops)
    found = find_candidates(subgraph, build)
    for group in found.groups:
        own = set(group.ops)
        outside = reachable(view, own) - own
        assert not reachable(view, outside) & own, "a path leads out and back"
        assert set(group.inputs).isdisjoint(t for op in own for t in op.outputs)
        assert list(group.ops) == [op for op in subgraph.ops if op in own]
    assert {op.opcode for op, reason in found.left_out.items() if reason == "softmax"} <= {"SOFTMAX"}
    fused = sum(len(group.ops) for group in found.groups)
    assert fused + len(found.left_out) == count
    fuse(model, subgraph, [Fusion(g.ops, g.inputs, g.outputs, b"program") for g in found.groups])
    assert is_executable(subgraph)
    assert len(subgraph.ops) == count - fused + len(found.groups)
    assert sum(op.opcode == REGION for op in subgraph.ops) == len(found.groups)


def test_a_detour_splits() -> None:
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.conv(graph.input("x", [1, 4, 4, 2]), 2, name="a")
    around = graph.unary("SOFTMAX", x, schema.SoftmaxOptionsT(beta=1.0), scale=1 / 256, zero_point=-128)
    graph.output(graph.conv(graph.add(graph.conv(x, 2, name="b"), around, name="c"), 2, name="d"))
    found = find_candidates(load_model(builder.build()).subgraphs[0], build)
    groups = [[op.outputs[0].name for op in group.ops if op.outputs[0]] for group in found.groups]
    assert groups == [["a", "b"], ["c", "d"]]


def test_reshapes_are_other_names() -> None:
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.reshape(graph.input("x", [1, 32]), [1, 4, 4, 2], name="image")
    y = graph.conv(graph.conv(x, 2, name="a"), 4, name="b")
    graph.output(graph.reshape(y, [1, 64], name="flat"))
    graph.output(y)
    subgraph = load_model(builder.build()).subgraphs[0]
    (group,) = find_candidates(subgraph, build).groups
    assert [t.name for t in group.inputs] == ["x"]
    assert [(t.height, t.width, t.channels) for t in group.region.inputs] == [(4, 4, 2)]
    assert [t.name for t in group.outputs] == ["b", "flat"]
    assert [(t.height, t.width, t.channels) for t in group.region.outputs] == [(4, 4, 4)] * 2


@pytest.mark.parametrize("kernels", NAMES)
@pytest.mark.parametrize("order", [("x", "gate"), ("gate", "x")])
def test_squeeze_and_excite_is_one_region(kernels: str, order: tuple[str, str]) -> None:
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.conv(graph.input("image", [1, 12, 12, 3]), 16, 3, name="x")
    mean = graph.tensor("mean", [1, 1, 1, 16], scale=x.scale)
    axes = graph.constant("axes", np.array([1, 2], np.int32), 0)
    graph.op("MEAN", [x, axes], [mean], schema.ReducerOptionsT(keepDims=True), version=2)
    squeezed = graph.conv(graph.reshape(graph.reshape(mean, [1, 16]), [1, 1, 1, 16]), 4, activation="RELU")
    gate = graph.unary("LOGISTIC", graph.conv(squeezed, 16), scale=1 / 256, zero_point=-128)
    operands = {"x": x, "gate": gate}
    y = graph.tensor("y", x.shape, scale=x.scale)
    graph.op("MUL", [operands[name] for name in order], [y], schema.MulOptionsT(), version=2)
    graph.output(graph.conv(graph.unary("HARD_SWISH", y, schema.HardSwishOptionsT(), name="swish"), 8))
    subgraph = load_model(builder.build()).subgraphs[0]
    found = find_candidates(subgraph, op_builder(KernelSet(kernels)))
    assert not found.left_out
    (group,) = found.groups
    (product,) = (op for op in group.region.ops if op.source is not None and op.source.opcode == "MUL")
    assert [product.rows_needed(operand, 5) for operand in (0, 1)] == [(5, 5), (0, 0)]
    assert [product.columns_needed(operand, 2, 7) for operand in (0, 1)] == [(2, 7), (0, 1)]


def test_halves_read_what_a_reshape_between_them_makes() -> None:
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.conv(graph.input("x", [1, 4, 4, 2]), 2, name="a")
    flat = graph.reshape(graph.conv(x, 2, name="b"), [1, 4, 4, 2], name="flat")
    graph.output(graph.conv(x, 2, name="c"))
    graph.output(graph.conv(flat, 2, name="d"))
    subgraph = load_model(builder.build()).subgraphs[0]
    (group,) = find_candidates(subgraph, build).groups
    c = next(op for op in group.ops if op.outputs[0] is not None and op.outputs[0].name == "c")
    halves = split_group(subgraph, group, c, build)
    assert halves is not None
    assert [t.name for t in halves[0].outputs] == ["flat", "c"]
    assert [t.name for t in halves[1].inputs] == ["flat"]


@pytest.mark.parametrize(
    ("include", "exclude", "kept"), [("b|c", None, {"b", "c"}), (None, "b", {"c", "d"}), ("b|c|d", "^d", {"b", "c"})]
)
def test_filters(include: str | None, exclude: str | None, kept: set[str]) -> None:
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.input("x", [1, 4, 4, 2])
    for name in "abcd":
        x = graph.conv(x, 2, name=name)
    graph.output(x)
    found = find_candidates(load_model(builder.build()).subgraphs[0], build, include, exclude)
    assert {op.outputs[0].name for group in found.groups for op in group.ops if op.outputs[0]} == kept
    assert all("--include" in r or "--exclude" in r or "beside it" in r for r in found.left_out.values())
