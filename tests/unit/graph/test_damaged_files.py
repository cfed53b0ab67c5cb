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

import coded_models
import model_builder
from fmtc_tflite.errors import FmtcError, ModelFormatError
from fmtc_tflite.graph.coded_maps import check_coded_names
from fmtc_tflite.graph.convertible import check_convertible
from fmtc_tflite.graph.edits.insert_codec import SiteInsertion, insert_codec
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.graph.sites import find_sites
from fmtc_tflite.memory.arena import plan_arena
from model_builder import GraphBuilder, ModelBuilder, Ref

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
        insert_codec(model, [SiteInsertion(site, bytes(16), 64) for site in sites])
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


def _tensor(model: schema.ModelT, name: str) -> schema.TensorT:
    return next(t for t in model.subgraphs[0].tensors if t.name == name.encode())


def _weights(model: schema.ModelT) -> schema.TensorT:
    return _tensor(model, "conv_0/weights")


def _without_options(model: schema.ModelT, graph: GraphBuilder) -> None:
    _first(model).builtinOptions, _first(model).builtinOptionsType = None, 0


def _with_other_options(model: schema.ModelT, graph: GraphBuilder) -> None:
    _first(model).builtinOptions = schema.AddOptionsT()
    _first(model).builtinOptionsType = schema.BuiltinOptions.AddOptions


def _decode(graph: GraphBuilder) -> schema.OperatorT:
    coded, side = graph.input("coded", [1, 64], "UINT8"), graph.tensor("side", [4], "UINT8", data=bytes(4))
    return graph.op("FMTC_DECODE", [coded, side], [graph.tensor("decoded", [1, 4, 4, 2])])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_without_options, r"op 0 \(CONV_2D\) of subgraph 0 has no options, expected Conv2DOptions"),
        (_with_other_options, "has AddOptions, expected Conv2DOptions"),
        (lambda m, g: setattr(_first(m).builtinOptions, "strideH", 0), "has strideH 0, expected 1 or more"),
        (lambda m, g: setattr(_first(m).builtinOptions, "strideW", -2), "has strideW -2"),
        (lambda m, g: _first(m).inputs.append(0), "has 4 inputs, 0 of them absent, expected 2 to 3"),
        (lambda m, g: _first(m).inputs.__setitem__(1, -1), "has 3 inputs, 1 of them absent, expected 2 to 3"),
        (lambda m, g: _first(m).outputs.clear(), "has no output"),
        (lambda m, g: setattr(_weights(m), "shape", [2, 1, 1, -2]), "expected no negative sizes"),
        (lambda m, g: setattr(m.subgraphs[0].tensors[0], "shape", [1 << 30] * 3), "larger than any memory"),
        (lambda m, g: setattr(_weights(m), "shape", [2, 1, 1, 3]), "has 4 bytes, its shape .* and type INT8 need 6"),
        (lambda m, g: setattr(_weights(m).quantization, "scale", [np.nan]), "'conv_0/weights' has a scale that is no"),
        (lambda m, g: setattr(_weights(m).quantization, "scale", [-np.inf]), "has a scale that is no finite number"),
        (lambda m, g: setattr(_weights(m).quantization, "zeroPoint", [0, 0]), "has 1 scales and 2 zero points"),
        (lambda m, g: setattr(_weights(m), "buffer", 0), "reads 'conv_0/weights' before any op has written it"),
        (lambda m, g: m.subgraphs[0].operators.clear(), "no op writes 'conv_2d_0', an output of subgraph 0"),
        (lambda m, g: setattr(_tensor(m, "conv_2d_0"), "buffer", g.builder.buffer(bytes(32))), "writes .* a constant"),
        (lambda m, g: setattr(_decode(g), "inputs", [0]), r"\(FMTC_DECODE\) of subgraph 0 has 1 inputs"),
    ],
)
def test_what_no_runtime_could_run(change: Callable[[schema.ModelT, GraphBuilder], Any], message: str) -> None:
    with pytest.raises(ModelFormatError, match=message):
        load_model(broken(change))


def coded(change: Callable[[list[Any]], Any]) -> bytes:
    """A converted model, changed; gets the ops: CONV_2D, FMTC_ENCODE, FMTC_DECODE, CONV_2D."""
    model = coded_models.converted(model_builder.chain((4, 4), size=8))
    change(model.subgraphs[0].ops)
    return model.to_bytes()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda ops: setattr(ops[1].inputs[1], "type", schema.TensorType.INT8), "expected a constant of bytes"),
        (lambda ops: setattr(ops[1].inputs[0], "type", schema.TensorType.INT16), "FMTC_ENCODE.* codes .* INT16"),
        (lambda ops: setattr(ops[2].outputs[0], "shape", (1, 8, 32)), r"FMTC_DECODE.* codes .* \[1, 8, 32\]"),
        (lambda ops: setattr(ops[1].outputs[0], "shape", (1, 2, 200)), r"has the coded tensor .* \[1, 2, 200\]"),
        (lambda ops: setattr(ops[1].outputs[0], "shape", (2, 272)), r"\[2, 272\] for .* expected \[1, at most"),
        (lambda ops: setattr(ops[1].outputs[0], "shape", (1, (1 << 31) - 1)), "at most 624"),
        (lambda ops: ops.__setitem__(2, _decode_of(ops, ops[3].inputs[2])), "INT32"),
    ],
)
def test_damaged_codec_ops(change: Callable[[list[Any]], Any], message: str) -> None:
    with pytest.raises(ModelFormatError, match=message):
        load_model(coded(change))


def test_decoding_what_was_not_encoded() -> None:
    model = load_model(coded(lambda ops: None))
    coded_tensor = model.subgraphs[0].ops.pop(1).outputs[0]
    assert coded_tensor is not None
    model.subgraphs[0].inputs.append(coded_tensor)
    with pytest.raises(ModelFormatError, match="which no FMTC_ENCODE has written before"):
        load_model(model.to_bytes())


def test_coded_tensors_that_were_renamed() -> None:
    model = load_model(coded(lambda ops: setattr(ops[1].inputs[0], "name", "another")))
    with pytest.raises(
        ModelFormatError, match="1 coded tensors stand for 1 feature maps by name, of which 1 are unknown"
    ):
        check_coded_names(model)
    check_coded_names(load_model(coded(lambda ops: None)))


def _decode_of(ops: list[Any], source: Any) -> Any:
    ops[2].inputs[0] = source
    return ops[2]


def test_ops_out_of_order() -> None:
    model = load_model(model_builder.chain())
    model.subgraphs[0].ops.reverse()
    with pytest.raises(ModelFormatError, match="reads 'features_1' before any op has written it"):
        load_model(model.to_bytes())


def unusual_models() -> dict[str, Callable[[schema.ModelT, GraphBuilder], Any]]:
    """Rare, but sound."""

    def variable(model: schema.ModelT, graph: GraphBuilder) -> None:
        state = graph.tensor("state", [1, 4, 4, 2], is_variable=True)
        graph.add(state, Ref(0, (1, 4, 4, 2), "INT8", 0.05, 0))

    def working_memory(model: schema.ModelT, graph: GraphBuilder) -> None:
        graph.op("ethos-u", [graph.tensor("scratch", [64], "UINT8")], [graph.tensor("result", [1, 4])])

    def empty(model: schema.ModelT, graph: GraphBuilder) -> None:
        graph.op(
            "CONCATENATION", [graph.tensor("none", [0, 4])], [graph.tensor("r", [0, 4])], schema.ConcatenationOptionsT()
        )

    return {
        "a convolution without bias": lambda m, g: _first(m).inputs.pop(),
        "an absent bias": lambda m, g: _first(m).inputs.__setitem__(2, -1),
        "a graph input as output": lambda m, g: m.subgraphs[0].outputs.append(0),
        "a constant as output": lambda m, g: m.subgraphs[0].outputs.append(_first(m).inputs[1]),
        "zero points without scales": lambda m, g: setattr(_weights(m).quantization, "scale", []),
        "a wrong quantized dimension": lambda m, g: setattr(_weights(m).quantization, "quantizedDimension", 7),
        "more bytes than needed": lambda m, g: setattr(m.buffers[_weights(m).buffer], "data", np.zeros(99, np.uint8)),
        "a scale of zero": lambda m, g: setattr(_weights(m).quantization, "scale", [0.0]),
        "a variable": variable,
        "working memory of a custom op": working_memory,
        "a tensor without values": empty,
    }


@pytest.mark.parametrize("name", unusual_models())
def test_unusual_models_are_read(name: str) -> None:
    load_model(broken(unusual_models()[name]))


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
