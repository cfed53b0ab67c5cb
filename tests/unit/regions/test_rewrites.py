"""What regions put in a cheaper form: padding into windows, transposed inputs before they are quantized."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.regions.candidates import Candidates, find_candidates
from fmtc_tflite.regions.kernel_sets import KernelSet
from fmtc_tflite.regions.kinds import op_builder
from fmtc_tflite.regions.kinds.elementwise import Quantize
from fmtc_tflite.regions.kinds.moves import Transpose
from fmtc_tflite.regions.kinds.multiply_accumulate import Conv
from fmtc_tflite.regions.kinds.pads import Pad
from model_builder import GraphBuilder, ModelBuilder, Ref


def candidates(builder: ModelBuilder, kernels: str = "builtin") -> Candidates:
    return find_candidates(load_model(builder.build()).subgraphs[0], op_builder(KernelSet(kernels)))


def padded(graph: GraphBuilder, x: Ref, pads: list[tuple[int, int]], value: int | None = None) -> Ref:
    shape = tuple(size + before + after for size, (before, after) in zip(x.shape, pads, strict=True))
    result = graph.tensor("padded", shape, x.dtype, scale=x.scale, zero_point=x.zero_point)
    operands = [x, graph.constant("pads", np.array(pads, np.int32), 0)]
    if value is None:
        graph.op("PAD", operands, [result], schema.PadOptionsT(), version=2)
    else:
        data = np.array([value], np.int8)
        operands.append(graph.tensor("value", (1,), "INT8", scale=x.scale, zero_point=x.zero_point, data=data))
        graph.op("PADV2", operands, [result], schema.PadV2OptionsT(), version=2)
    return result


AROUND = [(0, 0), (1, 0), (1, 1), (0, 0)]


def test_padding_with_the_zero_point_joins_the_window() -> None:
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.conv(graph.input("x", [1, 7, 8, 3]), 4, 3, zero_point=-128)
    graph.output(graph.conv(padded(graph, x, AROUND), 2, 3, stride=2))
    (group,) = candidates(builder).groups
    assert [type(op) for op in group.region.ops[:2]] == [Conv, Conv]
    assert len(group.ops) == 3
    window = group.region.ops[1].window  # type: ignore[attr-defined]
    assert (window.rows.size, window.rows.before, window.rows.after) == (7, 1, 1)
    assert (window.columns.size, window.columns.before, window.columns.after) == (8, 1, 2)


@pytest.mark.parametrize("case", ["another value", "channels", "read by another op", "an output"])
def test_other_padding_stays(case: str) -> None:
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.conv(graph.input("x", [1, 7, 8, 3]), 4, 3, zero_point=-128)
    pads = [*AROUND[:3], (1, 0)] if case == "channels" else AROUND
    y = padded(graph, x, pads, -127 if case == "another value" else None)
    graph.output(graph.conv(y, 2, 3))
    if case == "read by another op":
        graph.output(graph.add(y, y))
    if case == "an output":
        graph.output(y)
    (group,) = candidates(builder).groups
    assert sum(isinstance(op, Pad) for op in group.region.ops) == 1


def transposed_image(size: int) -> ModelBuilder:
    """As PyTorch exports: planes, quantized and then transposed."""
    builder = ModelBuilder()
    graph = builder.graph()
    image = graph.input("image", [1, 3, size, size], "FLOAT32")
    planes = graph.tensor("planes", image.shape, "INT8", scale=0.1, zero_point=3)
    graph.op("QUANTIZE", [image], [planes], schema.QuantizeOptionsT())
    x = graph.tensor("pixels", (1, size, size, 3), "INT8", scale=0.1, zero_point=3)
    order = graph.constant("order", np.array([0, 2, 3, 1], np.int32), 0)
    graph.op("TRANSPOSE", [planes, order], [x], schema.TransposeOptionsT())
    graph.output(graph.conv(x, 4, 3))
    return builder


def test_an_input_is_transposed_before_it_is_quantized() -> None:
    (group,) = candidates(transposed_image(8)).groups
    assert [type(op) for op in group.region.ops[:2]] == [Transpose, Quantize]
    assert [tensor.name for tensor in group.inputs] == ["image"]
    assert group.region.ops[1].output.source.name == "pixels"


def test_numbers_are_transposed_as_they_are() -> None:
    builder = ModelBuilder()
    graph = builder.graph()
    image = graph.input("image", [1, 3, 7, 7], "FLOAT32")
    pixels = graph.tensor("pixels", (1, 7, 7, 3), "FLOAT32")
    order = graph.constant("order", np.array([0, 2, 3, 1], np.int32), 0)
    graph.op("TRANSPOSE", [image, order], [pixels], schema.TransposeOptionsT())
    x = graph.tensor("x", pixels.shape, "INT8", scale=0.1, zero_point=3)
    graph.op("QUANTIZE", [pixels], [x], schema.QuantizeOptionsT())
    graph.output(graph.conv(x, 4, 3))
    (group,) = candidates(builder).groups
    assert [type(op) for op in group.region.ops[:2]] == [Transpose, Quantize]


def test_what_kernels_round_by_their_place_is_not_moved() -> None:
    """7 x 7 x 3 values: the last 3 have another rule, and transposed they would be others."""
    left_out = candidates(transposed_image(7)).left_out
    assert any(op.opcode == "TRANSPOSE" and "reads all of a tensor" in reason for op, reason in left_out.items())
    assert candidates(transposed_image(7), "xnnpack").groups[0].ops[0].opcode == "QUANTIZE"
