"""Tensors inside regions, read by traced runs, are those of the original."""

from __future__ import annotations

import numpy as np
import pytest

from fmtc_tflite.conversion.presets import convert_content
from fmtc_tflite.data.opening import input_specs_from_model
from fmtc_tflite.data.synthetic import SyntheticDataset
from fmtc_tflite.errors import NothingToDoError
from fmtc_tflite.fidelity.differences import differing
from fmtc_tflite.graph.model_file import ModelFile
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.graph.region_ops import region_inputs, region_ops
from fmtc_tflite.inference.inner_reader import InnerReader
from fmtc_tflite.inference.model_runner import ModelRunner
from fmtc_tflite.regions.inner_tensors import inner_tensors
from fmtc_tflite.regions.layout import region_layout
from fmtc_tflite.regions.restoration import original_ops
from fmtc_tflite.types import ConvertOptions
from model_builder import ModelBuilder
from random_networks import random_network

BUILTIN = ConvertOptions(execution="regions", kernels="builtin")


def network(batch: int) -> bytes:
    """Convolutions, a branch, and a RESHAPE inside."""
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.conv(graph.input("x", [batch, 16, 12, 3]), 8, 3, activation="RELU", name="stem", zero_point=-128)
    y = graph.conv(graph.conv(x, 8, 3, name="a"), 8, 3, name="b")
    pooled = graph.max_pool(graph.add(x, y, name="sum"), 2, name="pooled")
    flat = graph.reshape(pooled, [batch, 48, 1, 8], name="flat")
    graph.output(graph.conv(flat, 4, name="last"))
    return builder.build()


def check_inner_tensors(content: bytes) -> set[str]:
    """Every tensor inside regions is the original's, byte for byte; returns their names."""
    result = convert_content(content, BUILTIN)
    model = load_model(result.content)
    found = inner_tensors(model, original_ops(model))
    graph = model.subgraphs[0]
    known = {*graph.inputs, *graph.outputs}
    graph.outputs = [*graph.outputs, *(t for t in region_inputs(region_ops(model)) if t not in known)]
    runner = ModelRunner(ModelFile.of(model), kernels="builtin")
    reader = InnerReader(runner, found.values())
    original = load_model(content)
    (sample,) = SyntheticDataset(input_specs_from_model(original), 1)
    expected = ModelRunner(ModelFile(original, content))
    for each in (runner, expected):
        each.run(sample)
    tensors = {tensor.name: tensor for tensor in original.subgraphs[0].tensors}
    values = {tensor.name: x for tensor, x in reader.read().items()}
    assert set(values) == set(found)
    for name, x in values.items():
        assert x.shape == tensors[name].shape
        computed = np.broadcast_to(found[name].computed.reshape(1, *x.shape[1:]), x.shape)
        assert computed.any()
        assert not differing(expected.read(tensors[name])[computed], x[computed]).any(), name
    return set(values)


@pytest.mark.parametrize("batch", [1, 3])
def test_every_inner_tensor(batch: int) -> None:
    assert {"stem", "a", "b", "sum", "pooled"} <= check_inner_tensors(network(batch))


# Ops that others of a region do the work of: padding in windows, dilation by blocks, what a TRANSPOSE goes before.
_JOINING = {"PAD", "PADV2", "SPACE_TO_BATCH_ND", "CONV_2D", "DEPTHWISE_CONV_2D", "BATCH_TO_SPACE_ND", "QUANTIZE"}


@pytest.mark.parametrize("seed", range(100, 112))
def test_random_networks(seed: int) -> None:
    """Ops with several results too, of which some are read by nobody."""
    content = random_network(seed)
    try:
        names = check_inner_tensors(content)
    except NothingToDoError:
        pytest.skip("nothing is worth fusing")
    assert names
    model = load_model(convert_content(content, BUILTIN).content)
    layout = region_layout(model, original_ops(model))
    ops = load_model(content).subgraphs[0].ops
    joined = set(range(len(ops))) - {op.number for op in layout.ops}
    assert {ops[number].opcode for number in joined} <= _JOINING
