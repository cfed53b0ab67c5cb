"""Regions for TensorFlow Lite Micro: what is planned, what is in the file, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from fmtc_tflite.conversion.micro_conversion import head_of
from fmtc_tflite.conversion.presets import convert_content
from fmtc_tflite.errors import UnsupportedModelError, UsageError
from fmtc_tflite.graph.model import Model
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.graph.names import RESTORE_METADATA_NAME
from fmtc_tflite.graph.region_ops import program_bytes, region_ops
from fmtc_tflite.regions.program import Program
from fmtc_tflite.types import ConvertOptions
from model_builder import GraphBuilder, ModelBuilder, Ref

OPTIONS = ConvertOptions(target="micro", max_extra_macs=0)
FULLY_CONNECTED, DOUBLE_ROUNDING = 3, 1


def converted(content: bytes, options: ConvertOptions = OPTIONS) -> tuple[Model, dict]:
    result = convert_content(content, options)
    return load_model(result.content), result.report


def classifier(dtype: str = "INT8", unused: bool = False) -> bytes:
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.input("x", [1, 24, 24, 3], dtype)
    if unused:
        graph.tensor("unused", [1, 64, 64, 64], dtype)
    for number in range(3):
        x = graph.conv(x, 16, 3, stride=1 if number else 2, name=f"conv_{number}")
    pooled = mean(graph, x)
    weights = graph.constant("weights", builder.rng.integers(-127, 128, (4, 16)).astype(dtype.lower()), 0.01)
    scores = graph.output(graph.tensor("scores", [1, 4], dtype))
    graph.op("FULLY_CONNECTED", [pooled, weights, None], [scores], schema.FullyConnectedOptionsT(), version=4)
    return builder.build()


def mean(graph: GraphBuilder, x: Ref) -> Ref:
    axes = graph.constant("axes", np.array([1, 2], np.int32), 0)
    pooled = graph.tensor("pooled", [1, x.shape[3]], x.dtype)
    graph.op("MEAN", [x, axes], [pooled], schema.ReducerOptionsT(), version=2)
    return pooled


def large_ends() -> bytes:
    """A large input and a large cut in its middle, with little between: one region would hold both."""
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.input("x", [1, 64, 64, 8])
    x = graph.conv(x, 8, 3, stride=2, name="narrow")
    x = graph.conv(x, 4, 1, name="one")
    x = graph.conv(x, 96, 1, name="wide")
    for number in range(2):
        x = graph.conv(x, 96, 3, stride=2, name=f"behind_{number}")
    graph.output(mean(graph, x))
    return builder.build()


def test_the_plan_is_the_head_of_the_file_and_beats_one_region() -> None:
    model, report = converted(classifier())
    assert report["micro"]["head_bytes"] == head_of(model.subgraphs[0]).capacity_bytes
    arena = report["arena"]
    assert arena["converted_planned_bytes"] == report["micro"]["head_bytes"] < arena["original_planned_bytes"]
    assert report["micro"]["original_runs"]
    assert report["micro"]["tail_bytes"]["32"] < report["micro"]["tail_bytes"]["64"]


def test_regions_end_where_that_frees_the_input() -> None:
    model, report = converted(large_ends())
    assert len(region_ops(model)) > 1
    whole = 64 * 64 * 8
    assert report["micro"]["head_bytes"] < whole + 8192


def test_nothing_is_kept_of_the_original_and_no_tensor_is_unused() -> None:
    model, _ = converted(classifier(unused=True))
    assert RESTORE_METADATA_NAME not in model.metadata
    graph = model.subgraphs[0]
    used = {tensor for op in graph.ops for tensor in (*op.inputs, *op.outputs)}
    assert set(graph.tensors) <= used | {*graph.inputs, *graph.outputs}


def test_fully_connected_rounds_as_micro_does() -> None:
    model, report = converted(classifier())
    (region,) = region_ops(model)
    rules = [op.rule for op in Program.from_bytes(program_bytes(region)).ops if op.kind == FULLY_CONNECTED]
    assert rules == [DOUBLE_ROUNDING]
    assert report["kernels"] == "reference"


def test_uint8_runs_in_a_region_alone() -> None:
    _, report = converted(classifier("UINT8"))
    assert not report["micro"]["original_runs"]
    assert not report["left_out"]


def with_softmax(is_last: bool) -> bytes:
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.input("x", [1, 16, 16, 4], "UINT8", zero_point=120)
    x = graph.conv(graph.conv(x, 8, 3, stride=2), 6, 3, scale=0.1)
    x = graph.unary("SOFTMAX", x, schema.SoftmaxOptionsT(beta=1.0), "scores", scale=1 / 256, zero_point=0)
    graph.output(x if is_last else graph.conv(x, 4))
    return builder.build()


def test_softmax_of_uint8_is_in_a_region() -> None:
    model, report = converted(with_softmax(True))
    assert not report["left_out"]
    assert [op.opcode for op in model.subgraphs[0].ops] == ["FMTC_REGION"] * len(report["regions"])


def test_softmax_within_a_network_of_uint8_is_refused() -> None:
    with pytest.raises(UnsupportedModelError, match="SOFTMAX 'scores' is not the network's last op"):
        converted(with_softmax(False))


def test_an_op_that_nobody_runs_is_named() -> None:
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.input("x", [1, 8, 8, 4], "UINT8")
    x = graph.conv(x, 4, 3)
    graph.output(graph.unary("TANH", graph.unary("GELU", x, schema.GeluOptionsT(), name="odd"), scale=1 / 128))
    with pytest.raises(UnsupportedModelError, match=r"GELU 'odd': .* has no such op, and "):
        convert_content(builder.build(), OPTIONS)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"kernels": "xnnpack"}, "rounds as the reference kernels"),
        ({"cpu": "avx2"}, "with --target micro use --max_extra_macs"),
        ({"max_extra_time": 0.1}, "with --target micro use --max_extra_macs"),
        ({"objective": "traffic"}, "needs the least memory"),
        ({"execution": "ops"}, "--target micro belongs to --execution regions"),
    ],
)
def test_what_contradicts_the_target_is_refused(wanted: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        convert_content(classifier(), ConvertOptions(target="micro", **wanted))


def test_strips_take_less_memory() -> None:
    content = large_ends()
    whole = converted(content)[1]["micro"]["head_bytes"]
    assert converted(content, ConvertOptions(target="micro", max_extra_macs=0.1))[1]["micro"]["head_bytes"] <= whole
