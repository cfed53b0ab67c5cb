"""Who reads a coded cut as it was decoded."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from fmtc_tflite.conversion.map_coding import lossless_information
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.regions.candidates import find_candidates
from fmtc_tflite.regions.coded_cuts import CodedCut, Rate, with_coders
from fmtc_tflite.regions.cut_readers import decoded_readers
from fmtc_tflite.regions.kernel_sets import KernelSet
from fmtc_tflite.regions.kinds import op_builder
from model_builder import GraphBuilder, ModelBuilder, Ref


def readers(builder: ModelBuilder, cut_at: int, borders: list[int]) -> list[str] | None:
    """What reads the output of an op of the region decoded, with stages that end at the given ops."""
    graph = load_model(builder.build()).subgraphs[0]
    (group,) = find_candidates(graph, op_builder(KernelSet("builtin"))).groups
    region = group.region
    tensor = region.ops[cut_at].output
    information = lossless_information(tensor.channels, checksum=False).to_bytes()
    cut = CodedCut.of(tensor, Rate(information, 0.0), 2)
    ends = [*borders, len(region.ops)]
    stages = [(first, end, 0) for first, end in zip([0, *borders], ends, strict=True)]
    coded, _ = with_coders(region, stages, {tensor: cut})
    found = decoded_readers(graph, coded.ops, cut)
    return None if found is None else [op.outputs[0].name for op in found if op.outputs[0] is not None]


def residual(graph: GraphBuilder) -> Ref:
    x = graph.conv(graph.input("x", [1, 8, 8, 4]), 4, 3, name="first")
    y = graph.conv(x, 4, 3, name="second")
    y = graph.conv(y, 4, 3, name="third")
    return graph.add(x, y, name="sum")


@pytest.mark.parametrize(
    ("borders", "expected"),
    [
        ([1], ["second", "sum"]),
        ([2], ["sum"]),  # the second one reads what the first has just written
        ([1, 3], ["second", "sum"]),
        ([3], ["sum"]),
    ],
)
def test_later_stages_read_what_was_decoded(borders: list[int], expected: list[str]) -> None:
    builder = ModelBuilder()
    graph = builder.graph()
    graph.output(residual(graph))
    assert readers(builder, 0, borders) == expected


def padded(graph: GraphBuilder, x: Ref) -> Ref:
    """Rows and columns around a map, of its zero point."""
    _, height, width, channels = x.shape
    shape = (1, height + 2, width + 2, channels)
    result = graph.tensor("padded", shape, x.dtype, scale=x.scale, zero_point=x.zero_point)
    pads = graph.constant("pads", np.array([(0, 0), (1, 1), (1, 1), (0, 0)], np.int32), 0)
    graph.op("PAD", [x, pads], [result], schema.PadOptionsT(), version=2)
    return result


@pytest.mark.parametrize(("borders", "expected"), [([1], ["padded"]), ([2], None)])
def test_what_joins_its_readers_reads_as_they_do(borders: list[int], expected: list[str] | None) -> None:
    """Two convolutions have the PAD in their windows: in one stage, or in two, which one PAD cannot say."""
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.conv(graph.input("x", [1, 8, 8, 4]), 4, 3, zero_point=-128, name="first")
    y = padded(graph, x)
    a = graph.conv(y, 4, 3, name="second")
    b = graph.conv(y, 4, 3, name="third")
    graph.output(graph.add(a, b, name="sum"))
    assert readers(builder, 0, borders) == expected


def test_reshaped_cuts_are_read_through_the_reshape() -> None:
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.conv(graph.input("x", [1, 8, 8, 4]), 4, 3, name="first")
    y = graph.reshape(x, (1, 8, 8, 4), name="same")
    y = graph.conv(y, 4, 3, name="second")
    graph.output(graph.conv(y, 4, 3, name="third"))
    assert readers(builder, 0, [1]) == ["same"]
