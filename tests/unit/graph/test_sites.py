"""Which feature maps are candidates, why others are not, and the range that activations leave."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

import model_builder
from fmtc_tflite.errors import NothingToDoError, UnsupportedModelError
from fmtc_tflite.graph import rules
from fmtc_tflite.graph.convertible import check_convertible
from fmtc_tflite.graph.graph_view import GraphView
from fmtc_tflite.graph.model_io import Model, load_model
from fmtc_tflite.graph.sites import find_excluded_maps, find_sites, skipped_subgraphs
from model_builder import GraphBuilder, ModelBuilder, Ref

# Candidates of the real models: those of definitions like "the output of a QUANTIZE on the input" included.
REAL_SITES = {
    "autoencoder_ad01_int8": 0,
    "deeplabv3_mnv2_pascal_uint8": 69,
    "ds_cnn_kws_int8": 9,
    "mobilenet_v1_0.25_96_vww_int8": 27,
    "mobilenet_v2_1.0_224_int8": 63,
    "resnet18_cifar10_64_int8": 34,
    "resnet56_cifar10_int8": 88,
    "resnet8_cifar10_int8": 12,
}


def around(middle: Callable[[GraphBuilder, Ref], Ref], **of: Any) -> Model:
    """A graph of a convolution, `middle`, and another convolution."""
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.conv(graph.input("x", [1, 4, 4, 2], **of), 2, name="before")
    graph.output(graph.conv(middle(graph, x), 2, name="after"))
    return load_model(builder.build())


def names(sites: list[Any]) -> list[str]:
    return [site.name for site in sites]


def reasons(model: Model) -> dict[str, str | None]:
    return {site.name: site.skipped_reason for site in [*find_sites(model), *find_excluded_maps(model)]}


def test_candidates_of_a_branching_network() -> None:
    model = load_model(model_builder.residual())
    sites = {site.name: site for site in find_sites(model)}
    assert list(sites) == ["quantized", "stem", "a", "b", "c", "sum", "pooled"]
    assert all(site.skipped_reason is None for site in sites.values())
    stem = sites["stem"]
    assert (stem.producer.opcode, [op.opcode for op in stem.consumers]) == ("CONV_2D", ["CONV_2D", "ADD"])
    assert (stem.values, stem.subgraph) == (16 * 16 * 8, model.subgraphs[0])
    assert find_excluded_maps(model) == []


@pytest.mark.parametrize(("name", "count"), REAL_SITES.items())
def test_candidates_of_real_models(name: str, count: int, real_data: Any) -> None:
    sites = find_sites(load_model(real_data / "models" / f"{name}.tflite"))
    assert len(sites) == count
    assert all(site.skipped_reason is None for site in sites)


def test_control_flow_is_skipped_whole() -> None:
    model = load_model(model_builder.with_control_flow())
    assert names(find_sites(model)) == ["before", "after"]
    assert skipped_subgraphs(model) == [
        ("then_branch", "The subgraph is control flow: IF in subgraph 0 calls it."),
        ("else_branch", "The subgraph is control flow: IF in subgraph 0 calls it."),
    ]


@pytest.mark.parametrize(
    ("opcode", "options"),
    [
        ("WHILE", schema.WhileOptionsT(condSubgraphIndex=1, bodySubgraphIndex=1)),
        ("CALL_ONCE", schema.CallOnceOptionsT(initSubgraphIndex=1)),
        ("CALL", schema.CallOptionsT(subgraph=1)),
    ],
)
def test_every_kind_of_call_counts(opcode: str, options: Any) -> None:
    builder = ModelBuilder()
    graph, called = builder.graph("main"), builder.graph("called")
    x = called.input("x", [1, 4, 4, 2])
    y = called.output(called.conv(called.conv(x, 2), 2))
    builder.signature("also_a_signature", called, {"x": x}, {"y": y})
    graph.op(opcode, [], [], options)
    model = load_model(builder.build())
    assert find_sites(model) == []
    assert [name for name, _ in skipped_subgraphs(model)] == ["called"]


@pytest.mark.parametrize("has_signature", [True, False])
def test_second_subgraph_counts_if_a_signature_names_it(has_signature: bool) -> None:
    builder = ModelBuilder()
    for name in ("first", "second"):
        graph = builder.graph(name)
        x = graph.input("x", [1, 4, 4, 2])
        y = graph.output(graph.conv(graph.conv(x, 2, name=f"{name}/map"), 2))
        if has_signature:
            builder.signature(name, graph, {"x": x}, {"y": y})
    model = load_model(builder.build())
    assert names(find_sites(model)) == (["first/map", "second/map"] if has_signature else ["first/map"])
    assert len(skipped_subgraphs(model)) == (0 if has_signature else 1)


def test_rank_and_pixels() -> None:
    model = around(lambda g, x: g.reshape(g.reshape(x, [1, 32], name="flat"), [1, 1, 1, 32], name="pixel"))
    assert reasons(model) == {"before": None}
    model = around(lambda g, x: g.reshape(x, [1, 1, 2, 16], name="two pixels"))
    assert find_sites(model)[1].name == "two pixels"


def reason(rule: Callable[..., bool]) -> str:
    return " ".join((rule.__doc__ or "").split())


def test_float_maps_are_excluded() -> None:
    model = around(lambda g, x: g.quantize(g.dequantize(x, name="float"), name="again"))
    assert reasons(model)["float"] == reason(rules.is_quantized_to_8_bits)
    assert names(find_sites(model)) == ["before", "again"]


def test_uint8_counts() -> None:
    model = around(lambda g, x: g.unary("RELU", x, name="relu"), dtype="UINT8", zero_point=128)
    assert names(find_sites(model)) == ["before", "relu"]


@pytest.mark.parametrize("scale", [[0.1, 0.2], 0.0, -0.1])
def test_quantization_must_be_per_tensor(scale: Any) -> None:
    model = around(lambda g, x: g.unary("RELU", x, name="map", scale=scale))
    assert reasons(model)["map"] == reason(rules.has_one_scale)


def test_missing_quantization() -> None:
    model = around(lambda g, x: x)
    model.subgraphs[0].ops[0].outputs[0].quantization = None  # type: ignore[union-attr]
    assert reasons(load_model(model.to_bytes()))["before"] == reason(rules.has_one_scale)


def test_boundaries_and_unused_maps_are_excluded() -> None:
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.conv(graph.input("x", [1, 4, 4, 2]), 2, name="output that is read, too")
    graph.conv(x, 2, name="unused")
    inner = graph.conv(x, 2, name="named by a signature")
    graph.output(x)
    y = graph.output(graph.conv(inner, 2, name="y"))
    builder.signature("s", graph, {}, {"y": y, "inner": inner})
    boundary = reason(rules.is_internal)
    assert reasons(load_model(builder.build())) == {
        "output that is read, too": boundary,
        "unused": reason(rules.is_consumed),
        "named by a signature": boundary,
        "y": boundary,
    }


def skipped(change: Callable[[Model], Any]) -> str | None:
    """Why 'before' is skipped in a model that was sound before the change."""
    model = around(lambda g, x: x)
    change(model)
    (site,) = find_sites(load_model(model.to_bytes()))
    return site.skipped_reason


def _before(model: Model) -> Any:
    return model.subgraphs[0].ops[0].outputs[0]


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda m: setattr(_before(m), "shape", (0, 4, 4, 2)), rules.has_known_shape),
        (lambda m: setattr(_before(m), "shape", (1, 4, 4, 65537)), rules.fits_the_bitstream),
        (lambda m: setattr(_before(m), "shape", (1, 1 << 15, 1 << 15, 2)), rules.fits_the_bitstream),
        (lambda m: setattr(_before(m), "is_variable", True), rules.is_plain_activation),
        (lambda m: m.subgraphs[0].ops[1].outputs.append(_before(m)), rules.is_written_once),
        (lambda m: m.subgraphs[0].ops[1].intermediates.append(_before(m)), rules.is_written_once),
    ],
)
def test_candidates_that_cannot_be_coded(change: Callable[[Model], Any], rule: Callable[..., bool]) -> None:
    assert skipped(change) == reason(rule)


def test_every_rule_has_a_reason() -> None:
    for rule in [*rules.CANDIDATE_RULES, *rules.CODING_RULES]:
        assert reason(rule).endswith("."), rule


def test_graph_view() -> None:
    main = load_model(model_builder.residual()).subgraphs[0]
    view = GraphView(main)
    stem = next(tensor for tensor in main.tensors if tensor.name == "stem")
    assert view.producer(stem) is main.ops[1]
    assert view.producer(main.inputs[0]) is None
    assert [(view.position(op), index) for op, index in view.consumers(stem)] == [(2, 0), (5, 0)]
    main.ops[5].inputs = [stem, stem]
    assert [view.position(op) for op in GraphView(main).consumer_ops(stem)] == [2, 5]
    assert [index for _, index in GraphView(main).consumers(stem)] == [0, 0, 1]


# The activation's range on the quantization grid


def activation(fused: str = "", opcode: str = "", **of: Any) -> tuple[int, int]:
    if fused:
        model = around(lambda g, x: g.conv(x, 2, activation=fused, name="map", **of), dtype=of.pop("dtype", "INT8"))
    else:
        model = around(lambda g, x: g.unary(opcode, x, name="map", **of), dtype=of.pop("dtype", "INT8"))
    return next(site for site in find_sites(model) if site.name == "map").activation_range


@pytest.mark.parametrize(
    ("fused", "of", "expected"),
    [
        ("NONE", {}, (-128, 127)),
        ("TANH", {}, (-128, 127)),
        ("RELU", {"zero_point": -128}, (-128, 127)),
        ("RELU", {"zero_point": -20}, (-20, 127)),
        ("RELU6", {"zero_point": -128, "scale": 6 / 255}, (-128, 127)),
        ("RELU6", {"zero_point": -100, "scale": 0.05}, (-100, 20)),
        ("RELU6", {"zero_point": 5, "scale": 4.0}, (5, 7)),  # 1.5 steps: half away from zero
        ("RELU_N1_TO_1", {"zero_point": 3, "scale": 0.4}, (0, 6)),  # -2.5 and 2.5 steps
        ("RELU6", {"zero_point": 28, "scale": 0.05, "dtype": "UINT8"}, (-100, 20)),
        ("RELU", {"zero_point": 0, "dtype": "UINT8"}, (-128, 127)),
        ("RELU6", {"zero_point": 127, "scale": 0.05}, (127, 127)),
        ("RELU6", {"zero_point": -3, "scale": 1e-40}, (-3, 127)),
        ("RELU_N1_TO_1", {"zero_point": -3, "scale": 1e30}, (-3, -3)),
    ],
)
def test_fused_activation(fused: str, of: dict[str, Any], expected: tuple[int, int]) -> None:
    assert activation(fused, **of) == expected


@pytest.mark.parametrize(
    ("opcode", "expected"),
    [
        ("RELU", (-100, 127)),
        ("RELU6", (-100, 20)),
        ("RELU_N1_TO_1", (-120, -80)),
        ("RELU_0_TO_1", (-100, -80)),
        ("LOGISTIC", (-128, 127)),
    ],
)
def test_standalone_activation(opcode: str, expected: tuple[int, int]) -> None:
    assert activation(opcode=opcode, zero_point=-100, scale=0.05) == expected


# Whole models


def test_convertible_models() -> None:
    check_convertible(load_model(model_builder.residual()))
    check_convertible(load_model(model_builder.with_control_flow()))


@pytest.mark.parametrize("dtype", ["FLOAT32", "INT16"])
def test_float_and_int16_models(dtype: str) -> None:
    builder = ModelBuilder()
    graph = builder.graph()
    graph.output(graph.conv(graph.conv(graph.input("x", [1, 4, 4, 2], dtype), 2), 2))
    with pytest.raises(UnsupportedModelError, match=r"TFLiteConverter.*litert-quantizer"):
        check_convertible(load_model(builder.build()))


def test_model_without_a_spatial_map() -> None:
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.input("x", [1, 32])
    graph.output(graph.unary("RELU", graph.unary("RELU", x)))
    with pytest.raises(NothingToDoError, match="no op writes an int8 or uint8 activation of rank 4"):
        check_convertible(load_model(builder.build()))


def test_model_whose_only_map_is_its_output() -> None:
    with pytest.raises(NothingToDoError, match="'features_0': The tensor is an input or output of the graph"):
        check_convertible(load_model(model_builder.chain((4,))))


def test_model_whose_maps_cannot_be_coded() -> None:
    model = around(lambda g, x: x)
    _before(model).is_variable = True
    with pytest.raises(
        NothingToDoError, match="none of the model's 1 feature maps can be coded; 'before': The tensor is"
    ):
        check_convertible(load_model(model.to_bytes()))


def test_empty_model() -> None:
    builder = ModelBuilder()
    builder.graph()
    with pytest.raises(NothingToDoError):
        check_convertible(load_model(builder.build()))


@pytest.mark.parametrize("name", ["model_control_dependencies", "OfflineMemoryAllocation"])
def test_metadata_that_numbers_ops(name: str) -> None:
    model = load_model(model_builder.chain())
    model.metadata[name] = b"\0"
    with pytest.raises(UnsupportedModelError, match=name):
        check_convertible(model)


def test_real_model_without_a_map(real_data: Any) -> None:
    with pytest.raises(NothingToDoError):
        check_convertible(load_model(real_data / "models" / "autoencoder_ad01_int8.tflite"))


def test_rounding_is_done_in_float32() -> None:
    """6 / 0.8 is 7.5 in float32 and rounds up, although the stored scale is a little above 0.8."""
    assert float(np.float32(0.8)) > 0.8
    assert activation("RELU6", zero_point=0, scale=0.8) == (0, 8)
