"""Files that lie: whatever is wrong, ModelFormatError with one line, soon."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given
from hypothesis import strategies as st

import model_builder
from fmtc_tflite.errors import FmtcError, ModelFormatError
from fmtc_tflite.graph.convertible import check_convertible
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.graph.plan import InsertionPlan, SiteInsertion
from fmtc_tflite.graph.rewrite import apply
from fmtc_tflite.graph.sites import find_sites
from fmtc_tflite.memory.arena import plan_arena
from model_builder import GraphBuilder, ModelBuilder

RESIDUAL = model_builder.residual()


@pytest.mark.parametrize(
    "content", [b"", b"TFL3", b"\x1c\0\0\0TFL2" + bytes(64), b"PK\x03\x04" + bytes(60), bytes(1000)]
)
def test_not_tflite(content: bytes) -> None:
    with pytest.raises(ModelFormatError, match="not a TFLite model"):
        load_model(content)


def problem(content: bytes) -> str:
    """Loads, looks at, rewrites and saves a model; returns the text of an error meant for users."""
    try:
        model = load_model(content)
    except ModelFormatError as error:
        return str(error)
    for index in range(len(model.subgraphs)):
        plan_arena(model, index)
    sites = [site for site in find_sites(model) if site.skipped_reason is None]
    try:
        check_convertible(model)
        apply(model, InsertionPlan(tuple(SiteInsertion(site, bytes(16), 64) for site in sites)))
    except FmtcError as error:
        return str(error)
    finally:
        model.to_bytes()
    return ""


def check(content: bytes) -> None:
    assert "\n" not in problem(content)


@given(st.integers(0, len(RESIDUAL) - 1))
def test_truncated(length: int) -> None:
    check(RESIDUAL[:length])


damage = st.lists(
    st.tuples(
        st.integers(0, len(RESIDUAL) - 4),
        st.one_of(
            st.binary(min_size=1, max_size=4), st.sampled_from([b"\xff\xff\xff\xff", b"\0\0\0\x80", b"\0\0\0\0"])
        ),
    ),
    min_size=1,
    max_size=6,
)


@given(damage)
def test_damaged(patches: list[tuple[int, bytes]]) -> None:
    content = bytearray(RESIDUAL)
    for position, patch in patches:
        content[position : position + len(patch)] = patch
    check(bytes(content))


def test_every_word_damaged() -> None:
    """Every aligned 32-bit word in turn becomes huge, negative or zero: offsets and lengths among them."""
    content = model_builder.chain((2, 2), size=4)
    for position in range(0, len(content), 4):
        for value in (0xFFFFFFFF, 0x7FFFFFFF, 0x40000000, 0):
            check(content[:position] + struct.pack("<I", value) + content[position + 4 :])


def test_real_model_damaged(real_data: Path) -> None:
    content = (real_data / "models" / "ds_cnn_kws_int8.tflite").read_bytes()
    rng = np.random.default_rng(0)
    for length in rng.integers(0, len(content), 50):
        check(content[:length])
    for _ in range(200):
        damaged = bytearray(content)
        for position in rng.integers(0, len(content), rng.integers(1, 20)):
            damaged[position] ^= 1 << rng.integers(8)
        check(bytes(damaged))


# Inconsistent, but a sound flatbuffer


def broken(change: Callable[[schema.ModelT, GraphBuilder], Any]) -> bytes:
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.input("x", [1, 4, 4, 2])
    y = graph.output(graph.conv(x, 2))
    builder.signature("serving_default", graph, {"x": x}, {"y": y})
    builder.metadata("note", b"text")
    change(builder.model, graph)
    return builder.build()


def _first(model: schema.ModelT) -> schema.OperatorT:
    return model.subgraphs[0].operators[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m, g: _first(m).inputs.append(99), "input of subgraph 0, op 0 has the index 99, there are 4"),
        (lambda m, g: _first(m).outputs.append(-2), "output of subgraph 0, op 0 has the index -2"),
        (lambda m, g: setattr(_first(m), "intermediates", [9]), "intermediate of subgraph 0, op 0"),
        (lambda m, g: setattr(_first(m), "opcodeIndex", 5), "operator code of subgraph 0, op 0 has the index 5"),
        (lambda m, g: m.subgraphs[0].inputs.append(-1), "input of subgraph 0 has the index -1"),
        (lambda m, g: m.subgraphs[0].outputs.append(4), "output of subgraph 0 has the index 4"),
        (lambda m, g: setattr(m.subgraphs[0].tensors[0], "buffer", 77), "buffer of subgraph 0, tensor 0"),
        (lambda m, g: setattr(m.metadata[0], "buffer", 77), "buffer of metadata has the index 77"),
        (lambda m, g: setattr(m, "metadataBuffer", [-1]), "buffer of metadata_buffer has the index -1"),
        (lambda m, g: setattr(m.signatureDefs[0], "subgraphIndex", 1), "subgraph of signature 'serving_default'"),
        (lambda m, g: setattr(m.signatureDefs[0].inputs[0], "tensorIndex", 9), "tensor of signature 'serving_default'"),
        (lambda m, g: m.subgraphs.clear(), "the model has no subgraph"),
        (lambda m, g: setattr(m.buffers[0], "data", np.zeros(4, np.uint8)), "buffer 0 has data"),
        (lambda m, g: setattr(m.buffers[1], "offset", 1 << 60), "buffer 1 lies at bytes"),
        (
            lambda m, g: setattr(_first(m), "largeCustomOptionsOffset", 1 << 63),
            "custom options of subgraph 0, op 0 lies",
        ),
        (lambda m, g: setattr(_first(m), "builtinOptionsType", 250), "Operator.builtinOptionsType is 250"),
        (
            lambda m, g: g.op("WHILE", [], [], schema.WhileOptionsT(condSubgraphIndex=0, bodySubgraphIndex=3)),
            "subgraph called by subgraph 0, op 1 has the index 3",
        ),
    ],
)
def test_inconsistent(change: Callable[[schema.ModelT, GraphBuilder], Any], message: str) -> None:
    with pytest.raises(ModelFormatError, match=message):
        load_model(broken(change))


def test_operator_without_options_is_sound() -> None:
    model = load_model(broken(lambda m, g: setattr(_first(m), "builtinOptions", None)))
    assert model.subgraphs[0].ops[0].options is None


# Small files that would unfold into something huge


def _finish(builder: flatbuffers.Builder, root: int) -> bytes:
    builder.Finish(root, file_identifier=b"TFL3")
    return bytes(builder.Output())


def _vector(builder: flatbuffers.Builder, offsets: list[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return builder.EndVector()


def nested_sharing() -> bytes:
    """3,000 references to one subgraph with 3,000 references to one tensor: nine million tensors in 24 KB."""
    builder = flatbuffers.Builder(1024)
    tensor = schema.TensorT(name=b"t").Pack(builder)
    tensors = _vector(builder, [tensor] * 3000)
    schema.SubGraphStart(builder)
    schema.SubGraphAddTensors(builder, tensors)
    subgraphs = _vector(builder, [schema.SubGraphEnd(builder)] * 3000)
    schema.ModelStart(builder)
    schema.ModelAddSubgraphs(builder, subgraphs)
    return _finish(builder, schema.ModelEnd(builder))


def shared_options(builder: flatbuffers.Builder, count: int, kind: str, field: str, value: int) -> bytes:
    """`count` ops, each with an options table of its own, whose field all refer to the same value."""
    operators = []
    for _ in range(count):
        getattr(schema, f"{kind}Start")(builder)
        getattr(schema, f"{kind}Add{field}")(builder, value)
        options = getattr(schema, f"{kind}End")(builder)
        schema.OperatorStart(builder)
        schema.OperatorAddBuiltinOptionsType(builder, getattr(schema.BuiltinOptions, kind))
        schema.OperatorAddBuiltinOptions(builder, options)
        operators.append(schema.OperatorEnd(builder))
    vector = _vector(builder, operators)
    schema.SubGraphStart(builder)
    schema.SubGraphAddOperators(builder, vector)
    subgraphs = _vector(builder, [schema.SubGraphEnd(builder)])
    schema.ModelStart(builder)
    schema.ModelAddSubgraphs(builder, subgraphs)
    return _finish(builder, schema.ModelEnd(builder))


def shared_option_string() -> bytes:
    """Strings add up to 20 GB in a file of 2 MB: the schema classes would copy each."""
    builder = flatbuffers.Builder(1024)
    return shared_options(builder, 20_000, "VarHandleOptions", "Container", builder.CreateString(b"x" * 1_000_000))


def shared_option_vector() -> bytes:
    """Vectors that add up to 2 GB: free to read, but saving the model would write each out."""
    builder = flatbuffers.Builder(1024)
    vector = builder.CreateNumpyVector(np.zeros(250_000, np.int32))
    return shared_options(builder, 2_000, "ReshapeOptions", "NewShape", vector)


@pytest.mark.parametrize("build", [nested_sharing, shared_option_string, shared_option_vector])
def test_what_would_unfold_is_refused_soon(build: Callable[[], bytes]) -> None:
    content = build()
    start = time.monotonic()
    with pytest.raises(ModelFormatError, match="overlap"):
        load_model(content)
    assert time.monotonic() - start < 10
