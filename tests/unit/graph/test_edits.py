"""Inserting codec ops and taking them out again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import flexbuffers

import model_builder
from fmtc_tflite.errors import ModelFormatError, UnsupportedModelError
from fmtc_tflite.graph.coded_maps import is_converted
from fmtc_tflite.graph.edits.insert_codec import SiteInsertion, insert_codec, share_decodes
from fmtc_tflite.graph.edits.main_subgraph import with_first
from fmtc_tflite.graph.edits.restore import restore
from fmtc_tflite.graph.graph_view import GraphView
from fmtc_tflite.graph.model_io import Model, load_model
from fmtc_tflite.graph.names import DECODE, ENCODE, METADATA_NAME
from fmtc_tflite.graph.sites import find_sites
from model_builder import ModelBuilder

BUILDERS = (model_builder.chain, model_builder.residual, model_builder.with_control_flow)


def insertions(model: Model) -> list[SiteInsertion]:
    """Every site, with side information that is different for each."""
    sites = find_sites(model)
    return [SiteInsertion(site, bytes([number] * 48), site.values + 24) for number, site in enumerate(sites)]


def converted(content: bytes) -> Model:
    """Converted, saved and loaded again."""
    model = load_model(content)
    insert_codec(model, insertions(model))
    model.metadata[METADATA_NAME] = b"{}"
    return load_model(model.to_bytes())


def listing(model: Model, subgraph: int = 0) -> list[str]:
    """One line per op: opcode, names of its activations -> name of its output."""
    lines = []
    for op in model.subgraphs[subgraph].ops:
        inputs = [t.name for t in op.inputs if t is not None and t.data is None]
        lines.append(f"{op.opcode} {' '.join(inputs)} -> {' '.join(t.name for t in op.outputs if t is not None)}")
    return lines


def test_chain() -> None:
    assert listing(converted(model_builder.chain())) == [
        "CONV_2D x -> features_0",
        "FMTC_ENCODE features_0 -> features_0/fmtc_coded",
        "FMTC_DECODE features_0/fmtc_coded -> features_0/fmtc_decoded",
        "CONV_2D features_0/fmtc_decoded -> features_1",
        "FMTC_ENCODE features_1 -> features_1/fmtc_coded",
        "FMTC_DECODE features_1/fmtc_coded -> features_1/fmtc_decoded",
        "CONV_2D features_1/fmtc_decoded -> features_2",
    ]


def test_long_lived_tensor_gets_two_decodes() -> None:
    """`stem` is read by the convolution after it and, after two more ops, by the addition."""
    lines = [line for line in listing(converted(model_builder.residual())) if "stem" in line]
    assert lines == [
        "CONV_2D quantized/fmtc_decoded -> stem",
        "FMTC_ENCODE stem -> stem/fmtc_coded",
        "FMTC_DECODE stem/fmtc_coded -> stem/fmtc_decoded",
        "CONV_2D stem/fmtc_decoded -> a",
        "FMTC_DECODE stem/fmtc_coded -> stem/fmtc_decoded_2",
        "ADD stem/fmtc_decoded_2 c/fmtc_decoded -> sum",
    ]


@pytest.mark.parametrize(
    ("gaps", "expected"),
    [([], [[0]]), ([0], [[0, 1]]), ([1], [[0, 1]]), ([2], [[0], [1]]), ([1, 1, 1], [[0, 1, 2, 3]]),
     ([0, 2, 0, 5], [[0, 1], [2, 3], [4]])],
)  # fmt: skip
def test_sharing_of_decodes(gaps: list[int], expected: list[list[int]]) -> None:
    """Consumers of one map, with the given numbers of other ops between them."""
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.input("x", [1, 4, 4, 2])
    shared = graph.conv(x, 2, name="shared")
    graph.output(graph.conv(shared, 2, name="reader"))
    for gap in gaps:
        for _ in range(gap):
            graph.output(graph.unary("RELU", x))
        graph.output(graph.conv(shared, 2, name="reader"))
    model = load_model(builder.build())
    site = next(site for site in find_sites(model) if site.name == "shared")
    groups = share_decodes(site.consumers, GraphView(model.subgraphs[0]))
    order = {id(op): number for number, op in enumerate(site.consumers)}
    assert [[order[id(op)] for op in group] for group in groups] == expected
    insert_codec(model, insertions(model))
    decodes = [line for line in listing(model) if line.startswith(f"{DECODE} shared")]
    assert len(decodes) == len(expected)


def test_consumer_that_reads_twice() -> None:
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.conv(graph.input("x", [1, 4, 4, 2]), 2, name="map")
    graph.output(graph.add(x, x, name="y"))
    assert listing(converted(builder.build()))[-2:] == [
        "FMTC_DECODE map/fmtc_coded -> map/fmtc_decoded",
        "ADD map/fmtc_decoded map/fmtc_decoded -> y",
    ]


def test_producer_with_several_outputs() -> None:
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.input("x", [1, 4, 4, 4])
    axis = graph.constant("axis", np.int32([3]), 0)
    halves = [graph.tensor(name, [1, 4, 4, 2]) for name in ("left", "right")]
    graph.op("SPLIT", [axis, x], halves, schema.SplitOptionsT(numSplits=2))
    graph.output(graph.add(*halves, name="y"))
    assert listing(converted(builder.build())) == [
        "SPLIT x -> left right",
        "FMTC_ENCODE left -> left/fmtc_coded",
        "FMTC_ENCODE right -> right/fmtc_coded",
        "FMTC_DECODE left/fmtc_coded -> left/fmtc_decoded",
        "FMTC_DECODE right/fmtc_coded -> right/fmtc_decoded",
        "ADD left/fmtc_decoded right/fmtc_decoded -> y",
    ]


@pytest.mark.parametrize("dtype", ["INT8", "UINT8"])
def test_tensors_and_options_of_the_ops(dtype: str) -> None:
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.input("x", [3, 4, 6, 2], dtype, signature=[-1, 4, 6, 2])
    y = graph.conv(x, 5, name="map", zero_point=7, scale=0.25, signature=[-1, 4, 6, 5])
    graph.output(graph.conv(y, 2))
    model = load_model(builder.build())
    (site,) = find_sites(model)
    insert_codec(model, [SiteInsertion(site, bytes(range(64)), 200)])
    model = load_model(model.to_bytes())
    encode, decode = model.subgraphs[0].ops[1:3]
    assert (encode.opcode, decode.opcode, encode.version, decode.version) == (ENCODE, DECODE, 1, 1)
    assert {(op.code.builtinCode, op.code.deprecatedBuiltinCode) for op in (encode, decode)} == {(32, 32)}
    original, side_information = encode.inputs
    (coded,), (decoded,) = encode.outputs, decode.outputs
    assert decode.inputs == [coded, side_information]
    assert original is not None
    assert side_information is not None
    assert coded is not None
    assert decoded is not None
    assert (coded.shape, coded.shape_signature, coded.type_name, coded.quantization, coded.data) == (
        (3, 200), (-1, 200), "UINT8", None, None,
    )  # fmt: skip
    assert (side_information.shape, side_information.type_name) == ((64,), "UINT8")
    assert side_information.data is not None
    assert side_information.data.tobytes() == bytes(range(64))
    assert (decoded.shape, decoded.shape_signature, decoded.type) == (
        original.shape, original.shape_signature, original.type,
    )  # fmt: skip
    assert (decoded.scale, decoded.zero_point, decoded.data) == (0.25, 7, None)
    for op in (encode, decode):
        assert flexbuffers.Loads(op.custom_options) == {
            "format_version": 4, "height": 4, "width": 6, "channels": 5, "type": dtype.lower(), "tensor": "map",
        }  # fmt: skip


def test_batch_of_fixed_size_stays_fixed() -> None:
    model = converted(model_builder.chain())
    coded = model.subgraphs[0].ops[1].outputs[0]
    assert coded is not None
    assert coded.shape_signature is None


def test_another_subgraph_in_the_first_place() -> None:
    """Calls follow the subgraphs, and twice is not at all."""
    content = load_model(model_builder.with_control_flow()).to_bytes()
    swapped = load_model(with_first(content, 2))
    assert [subgraph.name for subgraph in swapped.subgraphs] == ["else_branch", "then_branch", "main"]
    assert [subgraph.index for subgraph in swapped.subgraphs] == [0, 1, 2]
    (call,) = (op for op in swapped.subgraphs[2].ops if op.opcode == "IF")
    assert call.called_subgraphs() == [1, 0]
    assert with_first(with_first(content, 2), 2) == content
    assert with_first(content, 0) == content


def test_signatures_and_control_flow_keep_their_tensors() -> None:
    model = converted(model_builder.residual())
    assert [tensor.name for _, tensor in model.signatures[0].outputs] == ["scores"]
    assert model.subgraphs[0].outputs[0].name == "scores"
    original = load_model(model_builder.with_control_flow())
    model = converted(model_builder.with_control_flow())
    assert listing(model, 1) == listing(original, 1)
    branch = next(op for op in model.subgraphs[0].ops if op.opcode == "IF")
    assert branch.called_subgraphs() == [1, 2]


@pytest.mark.parametrize("build", BUILDERS)
def test_restore(build: Callable[[], bytes]) -> None:
    content = build()
    model = converted(content)
    assert is_converted(model)
    assert METADATA_NAME in model.metadata
    restore(model)
    assert not is_converted(model)
    assert model.to_bytes() == load_model(content).to_bytes()


def test_restore_real_models(real_data: Path) -> None:
    for path in sorted((real_data / "models").glob("*.tflite")):
        original = load_model(path)
        if find_sites(original):
            model = converted(path.read_bytes())
            restore(model)
            assert model.to_bytes() == original.to_bytes(), path.name


def test_decoded_values_may_be_graph_outputs_of_edited_models() -> None:
    model = converted(model_builder.chain())
    main = model.subgraphs[0]
    decoded = main.ops[2].outputs[0]
    assert decoded is not None
    main.outputs.append(decoded)
    restore(model)
    assert [tensor.name for tensor in main.outputs] == ["features_2", "features_0"]


def test_some_sites_only() -> None:
    model = load_model(model_builder.chain())
    insert_codec(model, insertions(model)[1:])
    assert [op.opcode for op in model.subgraphs[0].ops] == ["CONV_2D", "CONV_2D", ENCODE, DECODE, "CONV_2D"]


def test_no_insertion_changes_nothing() -> None:
    model = load_model(model_builder.chain())
    before = model.to_bytes()
    insert_codec(model, [])
    assert model.to_bytes() == before


def test_converting_twice() -> None:
    model = converted(model_builder.chain())
    with pytest.raises(UnsupportedModelError, match="converted already"):
        insert_codec(model, [])


def test_control_dependencies() -> None:
    model = load_model(model_builder.chain())
    wanted = insertions(model)
    model.metadata["model_control_dependencies"] = b"\0"
    with pytest.raises(UnsupportedModelError, match="control dependencies"):
        insert_codec(model, wanted)


def test_restoring_what_is_not_converted() -> None:
    with pytest.raises(UnsupportedModelError, match="not converted"):
        restore(load_model(model_builder.chain()))


def test_restoring_a_folded_model() -> None:
    model = converted(model_builder.chain())
    source = model.subgraphs[0].ops[1].inputs[0]
    assert source is not None
    source.shape = (1, 16, 16, 5)
    with pytest.raises(UnsupportedModelError, match="folded"):
        restore(model)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda ops: ops.pop(1), r"op 1 \(FMTC_DECODE\) .* reads 'features_0/fmtc_coded' before any op has"),
        (
            lambda ops: ops[1].inputs.pop(),
            r"\(FMTC_ENCODE\) .* has 1 inputs, 0 of them absent",
        ),
        (
            lambda ops: ops[2].inputs.__setitem__(1, None),
            r"\(FMTC_DECODE\) .* has 2 inputs, 1 of them absent",
        ),
    ],
)
def test_restoring_a_damaged_model(change: Callable[[list[Any]], Any], message: str) -> None:
    model = converted(model_builder.chain())
    change(model.subgraphs[0].ops)
    with pytest.raises(ModelFormatError, match=message):
        restore(load_model(model.to_bytes()))


def test_coded_tensors_that_others_use() -> None:
    model = converted(model_builder.chain())
    coded = model.subgraphs[0].ops[1].outputs[0]
    assert coded is not None
    model.subgraphs[0].outputs.append(coded)
    with pytest.raises(UnsupportedModelError, match=r"'features_0/fmtc_coded', .* is used by others as well"):
        restore(load_model(model.to_bytes()))


def test_names_that_are_no_text() -> None:
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.conv(graph.input("x", [1, 4, 4, 2]), 2)
    graph.output(graph.conv(x, 2))
    graph.subgraph.tensors[x.index].name = b"caf\xe9"
    content = builder.build()
    model = converted(content)
    assert flexbuffers.Loads(model.subgraphs[0].ops[1].custom_options)["tensor"] == "caf?"
    restore(model)
    assert model.to_bytes() == load_model(content).to_bytes()
