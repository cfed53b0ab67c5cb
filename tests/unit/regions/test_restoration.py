"""What a file with regions keeps of its original, and that it comes back bit for bit."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from fmtc_tflite.conversion.presets import convert_content
from fmtc_tflite.errors import ModelFormatError, NothingToDoError, UnsupportedModelError
from fmtc_tflite.graph.model import Model
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.graph.names import REGION, RESTORE_METADATA_NAME
from fmtc_tflite.graph.region_ops import program_bytes, region_ops
from fmtc_tflite.regions.program import Program
from fmtc_tflite.regions.restoration import region_op_names, restore_original
from fmtc_tflite.types import ConvertOptions
from model_builder import ModelBuilder, residual
from random_networks import random_network


def fused(content: bytes) -> Model:
    return load_model(convert_content(content, ConvertOptions(execution="regions", kernels="builtin")).content)


@pytest.mark.parametrize("seed", range(0, 40, 2))
def test_random_networks_come_back(seed: int) -> None:
    content = random_network(seed)
    try:
        model = fused(content)
    except NothingToDoError:
        pytest.skip("nothing is worth fusing")
    assert restore_original(model).to_bytes() == load_model(content).to_bytes()


def network() -> bytes:
    """Enough for weights to be worth packing, with a file and metadata of its own."""
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.input("x", [1, 16, 16, 3])
    for number in range(4):
        x = graph.conv(x, 24, 3, name=f"t{number}", activation="RELU6", zero_point=-128)
    graph.output(x)
    builder.metadata("of_the_user", b"kept as it is" * 10)
    return builder.build()


def test_weights_are_stored_once() -> None:
    content = network()
    model = fused(content)
    original = load_model(content)
    assert restore_original(model).to_bytes() == original.to_bytes()
    weights = sum(t.buffer.size for t in original.subgraphs[0].tensors if t.data is not None)
    kept = model.metadata[RESTORE_METADATA_NAME]
    assert len(kept) < weights / 4
    assert model.metadata["of_the_user"] == original.metadata["of_the_user"]
    names = region_op_names(model)
    assert [name for name in names[0] if name[0] != "COPY"] == [("CONV_2D", f"t{number}") for number in range(4)]


@pytest.mark.parametrize("kernel", [(1, 3), (3, 2), (5, 4)])
def test_weights_of_a_transposed_convolution_are_stored_once(kernel: tuple[int, int]) -> None:
    """Programs hold them phase by phase, kernels smaller than the stride with weights of their own around."""
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.conv(graph.input("x", [1, 8, 8, 3]), 40, 3, zero_point=-128)
    shape = (24, *kernel, 40)
    values = builder.rng.integers(-127, 128, shape).astype(np.int8)
    filters = graph.tensor("filters", shape, "INT8", scale=0.01, data=values)
    y = graph.tensor("y", (1, 16, 16, 24), "INT8", scale=0.1)
    size = graph.constant("size", np.array(y.shape, np.int32), 0)
    options = schema.TransposeConvOptionsT(padding=schema.Padding.SAME, strideH=2, strideW=2)
    graph.op("TRANSPOSE_CONV", [size, filters, x], [y], options, version=3)
    graph.output(graph.conv(y, 4, 3))
    content = builder.build()
    model = fused(content)
    assert restore_original(model).to_bytes() == load_model(content).to_bytes()
    assert values.tobytes() not in zlib.decompress(model.metadata[RESTORE_METADATA_NAME][8:])


def test_alignment_of_programs_and_weights() -> None:
    content = convert_content(network(), ConvertOptions(execution="regions", kernels="builtin")).content
    for op in region_ops(load_model(content)):
        program = program_bytes(op)
        assert content.find(program) % 16 == 0
        assert Program.from_bytes(program).content == program


def test_what_stays_outside_is_not_touched() -> None:
    content = residual()
    model, original = fused(content), load_model(content)
    assert restore_original(model).to_bytes() == original.to_bytes()
    assert any(op.opcode == REGION for op in model.subgraphs[0].ops)
    assert {t.name for t in model.subgraphs[0].inputs} == {t.name for t in original.subgraphs[0].inputs}
    assert [s.key for s in model.signatures] == [s.key for s in original.signatures]


def test_damaged_entries() -> None:
    model = fused(network())
    entry = model.metadata[RESTORE_METADATA_NAME]
    head_bytes = int.from_bytes(entry[4:8], "little")
    inflated = zlib.decompress(entry[8:])
    directory = json.loads(inflated[:head_bytes])

    def replaced(**changes: object) -> bytes:
        head = json.dumps({**directory, **changes}).encode()
        return entry[:4] + len(head).to_bytes(4, "little") + zlib.compress(head + inflated[head_bytes:])

    wrong = [b"", entry[:7], entry[:100], b"\x02" + entry[1:], replaced(sha256="0" * 64), replaced(kept=[[0, 99999]])]
    wrong += [replaced(packed=[[1, 7, 0, 1]]), replaced(products=3), replaced(tail=[-1e9]), replaced(ops=None, kept=5)]
    for bad in wrong:
        model.metadata[RESTORE_METADATA_NAME] = bad
        with pytest.raises(ModelFormatError, match=RESTORE_METADATA_NAME + "|restore data"):
            restore_original(model)
    for ops in ([], [[0]], [["x"] * 9], 5, [[99999] * len(directory["ops"][0])]):
        model.metadata[RESTORE_METADATA_NAME] = replaced(ops=ops)
        with pytest.raises(ModelFormatError, match=RESTORE_METADATA_NAME):
            region_op_names(model)
    del model.metadata[RESTORE_METADATA_NAME]
    with pytest.raises(UnsupportedModelError, match="use the original model"):
        restore_original(model)


def test_random_damage_raises_nothing_else() -> None:
    model = fused(network())
    entry = model.metadata[RESTORE_METADATA_NAME]
    rng = np.random.default_rng(0)
    for _ in range(200):
        damaged = bytearray(entry)
        damaged[int(rng.integers(len(damaged)))] ^= 1 << int(rng.integers(8))
        model.metadata[RESTORE_METADATA_NAME] = bytes(damaged)
        with pytest.raises(ModelFormatError):
            restore_original(model)


@pytest.mark.slow
def test_real_models(real_data: Path) -> None:
    for path in sorted((real_data / "models").glob("*.tflite")):
        if path.name.startswith(("autoencoder", "deeplab", "tinyengine_mcunet")):
            continue
        content = path.read_bytes()
        assert restore_original(fused(content)).to_bytes() == load_model(content).to_bytes(), path.name
