"""SPACE_TO_BATCH_ND, a convolution and BATCH_TO_SPACE_ND as one dilated convolution."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from fmtc_tflite.conversion.presets import convert_content
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.graph.names import RESTORE_METADATA_NAME
from fmtc_tflite.regions.candidates import Candidates, find_candidates
from fmtc_tflite.regions.kernel_sets import KernelSet
from fmtc_tflite.regions.kinds import op_builder
from fmtc_tflite.regions.kinds.multiply_accumulate import Conv
from fmtc_tflite.regions.restoration import restore_original
from fmtc_tflite.types import ConvertOptions
from model_builder import ModelBuilder

CHANNELS = 24


def network(crop: int = 0, read_inside: bool = False, stride: int = 1) -> ModelBuilder:
    """A 3 x 3 convolution of 10 x 10 pixels, in blocks of 2 with 2 pixels of padding around, between two others."""
    builder = ModelBuilder()
    graph = builder.graph()

    def like(name: str, shape: tuple[int, ...], scale: float) -> object:
        return graph.tensor(name, shape, "INT8", scale=scale, zero_point=-5)

    x = graph.conv(graph.input("x", [1, 10, 10, 3]), CHANNELS, 3, name="first", scale=0.5, zero_point=-5)
    spread = like("spread", (4, 7, 7, CHANNELS), 0.5)
    block = graph.constant("block", np.array([2, 2], np.int32), 0)
    pads = graph.constant("pads", np.full((2, 2), 2, np.int32), 0)
    graph.op("SPACE_TO_BATCH_ND", [x, block, pads], [spread], schema.SpaceToBatchNDOptionsT())
    values = builder.rng.integers(-127, 128, (CHANNELS, 3, 3, CHANNELS)).astype(np.int8)
    filters = graph.tensor("filters", values.shape, "INT8", scale=0.01, data=values)
    bias = graph.tensor("bias", (CHANNELS,), "INT32", scale=0.005, data=np.arange(CHANNELS, dtype=np.int32))
    size = (7 - 3) // stride + 1
    inner = like("inner", (4, size, size, CHANNELS), 2.0)
    options = schema.Conv2DOptionsT(padding=schema.Padding.VALID, strideH=stride, strideW=stride)
    graph.op("CONV_2D", [spread, filters, bias], [inner], options, version=3)
    gathered = like("gathered", (1, 2 * size - crop, 2 * size - crop, CHANNELS), 2.0)
    crops = graph.constant("crops", np.array([[crop, 0], [crop, 0]], np.int32), 0)
    graph.op("BATCH_TO_SPACE_ND", [inner, block, crops], [gathered], schema.BatchToSpaceNDOptionsT())
    graph.output(graph.conv(gathered, 8, 3, name="last"))
    if read_inside:
        graph.output(inner)
    return builder


def candidates(builder: ModelBuilder) -> Candidates:
    return find_candidates(load_model(builder.build()).subgraphs[0], op_builder(KernelSet("builtin")))


@pytest.mark.parametrize("crop", [0, 1])
def test_three_ops_are_one(crop: int) -> None:
    (group,) = candidates(network(crop)).groups
    assert len(group.ops) == 5
    convolutions = [op for op in group.region.ops if isinstance(op, Conv)]
    assert len(convolutions) == 3
    rows = convolutions[1].window.rows
    assert (rows.size, rows.outputs, rows.dilation) == (10, 10 - crop, 2)
    assert (rows.before, rows.after) == (2 - crop, 2)


def test_what_cannot_be_one_stays_outside() -> None:
    for builder in (network(read_inside=True), network(stride=2), network(crop=3)):
        found = candidates(builder)
        outside = {op.opcode: reason for op, reason in found.left_out.items()}
        assert "BATCH_TO_SPACE_ND" in outside and "SPACE_TO_BATCH_ND" in outside  # noqa: PT018
    assert outside["BATCH_TO_SPACE_ND"] == "it crops more than it pads"


def test_all_three_come_back_and_weights_are_stored_once() -> None:
    content = network().build()
    converted = convert_content(content, ConvertOptions(execution="regions", kernels="builtin")).content
    model, original = load_model(converted), load_model(content)
    assert [op.opcode for op in model.subgraphs[0].ops] == ["FMTC_REGION"]
    assert restore_original(model).to_bytes() == original.to_bytes()
    filters = next(t for t in original.subgraphs[0].tensors if t.name == "filters")
    assert filters.data is not None
    assert filters.data.tobytes() not in zlib.decompress(model.metadata[RESTORE_METADATA_NAME][8:])
