"""Gradients against what the interpreter computes, and sensitivities against what noise really does."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from fmtc_tflite.calibration.adjoints import input_gradients
from fmtc_tflite.calibration.sensitivity import SensitivityMeter, SensitivityStatistics, measure_sensitivities
from fmtc_tflite.fidelity.metrics import log_softmax
from fmtc_tflite.graph.model_file import ModelFile
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.graph.sites import find_sites
from fmtc_tflite.inference.model_runner import ModelRunner
from model_builder import GraphBuilder, ModelBuilder, Ref

SHAPE = (1, 7, 9, 4)
OneOp = Callable[[GraphBuilder, Ref], None]


def add_op(g: GraphBuilder, opcode: str, inputs: list[Ref], shape: tuple[int, ...], options: object) -> None:
    result = g.tensor("result", shape, "FLOAT32")
    g.op(opcode, inputs, [result], options, version=1)


def constant(g: GraphBuilder, name: str, values: object, dtype: str = "INT32") -> Ref:
    array = np.array(values, dtype.lower())
    return g.tensor(name, array.shape, dtype, data=array)


def weights(g: GraphBuilder, *shape: int) -> Ref:
    return constant(g, f"weights{len(shape)}", np.random.default_rng(1).normal(size=shape), "FLOAT32")


def conv(g: GraphBuilder, x: Ref) -> None:
    options = schema.Conv2DOptionsT(padding=0, strideH=2, strideW=2, dilationHFactor=1, dilationWFactor=1)
    add_op(g, "CONV_2D", [x, weights(g, 5, 3, 3, 4), constant(g, "bias", [0] * 5, "FLOAT32")], (1, 4, 5, 5), options)


def dilated_conv(g: GraphBuilder, x: Ref) -> None:
    options = schema.Conv2DOptionsT(padding=1, strideH=1, strideW=1, dilationHFactor=2, dilationWFactor=2)
    add_op(g, "CONV_2D", [x, weights(g, 2, 3, 2, 4), constant(g, "bias", [0] * 2, "FLOAT32")], (1, 3, 7, 2), options)


def depthwise(g: GraphBuilder, x: Ref) -> None:
    options = schema.DepthwiseConv2DOptionsT(
        padding=0, strideH=2, strideW=1, depthMultiplier=2, dilationHFactor=1, dilationWFactor=1
    )
    bias = constant(g, "bias", [0] * 8, "FLOAT32")
    add_op(g, "DEPTHWISE_CONV_2D", [x, weights(g, 1, 3, 3, 8), bias], (1, 4, 9, 8), options)


def pool(opcode: str) -> OneOp:
    def build(g: GraphBuilder, x: Ref) -> None:
        options = schema.Pool2DOptionsT(padding=1, strideH=2, strideW=3, filterHeight=3, filterWidth=3)
        add_op(g, opcode, [x], (1, 3, 3, 4), options)

    return build


def mean(g: GraphBuilder, x: Ref) -> None:
    add_op(g, "MEAN", [x, constant(g, "axes", [1, 2])], (1, 4), schema.ReducerOptionsT(keepDims=False))


def pad(g: GraphBuilder, x: Ref) -> None:
    amounts = constant(g, "amounts", [[0, 0], [1, 2], [0, 3], [0, 0]])
    add_op(g, "PAD", [x, amounts], (1, 10, 12, 4), schema.PadOptionsT())


def strided_slice(g: GraphBuilder, x: Ref) -> None:
    ends = [constant(g, "begin", [0, 0, 1, 0]), constant(g, "end", [1, 7, 9, 4]), constant(g, "step", [1, 2, 2, 1])]
    add_op(g, "STRIDED_SLICE", [x, *ends], (1, 4, 4, 4), schema.StridedSliceOptionsT(endMask=2))


def resize(align: bool, half: bool) -> OneOp:
    def build(g: GraphBuilder, x: Ref) -> None:
        options = schema.ResizeBilinearOptionsT(alignCorners=align, halfPixelCenters=half)
        add_op(g, "RESIZE_BILINEAR", [x, constant(g, "size", [13, 4])], (1, 13, 4, 4), options)

    return build


def concatenation(g: GraphBuilder, x: Ref) -> None:
    add_op(g, "CONCATENATION", [x, x], (1, 7, 9, 8), schema.ConcatenationOptionsT(axis=3))


def subtract_from(g: GraphBuilder, x: Ref) -> None:
    add_op(g, "SUB", [weights(g, *SHAPE), x], SHAPE, schema.SubOptionsT())


def multiply(g: GraphBuilder, x: Ref) -> None:
    add_op(g, "MUL", [x, weights(g, 1, 1, 1, 4)], SHAPE, schema.MulOptionsT())


@pytest.mark.parametrize(
    "build",
    [
        conv,
        dilated_conv,
        depthwise,
        pool("AVERAGE_POOL_2D"),
        pool("MAX_POOL_2D"),
        mean,
        pad,
        strided_slice,
        resize(False, False),
        resize(True, False),
        resize(False, True),
        concatenation,
        subtract_from,
        multiply,
    ],
)
def test_adjoints_against_differences(build: OneOp) -> None:
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.input("x", SHAPE, "FLOAT32")
    build(graph, x)
    graph.subgraph.outputs.append(len(graph.subgraph.tensors) - 1)
    content = builder.build()
    model = load_model(content)
    runner = ModelRunner(ModelFile(model, content))
    rng = np.random.default_rng(0)
    value, direction = rng.normal(size=(2, *SHAPE)).astype(np.float32)
    output = model.subgraphs[0].outputs[0]

    def forward(x: np.ndarray) -> np.ndarray:
        runner.run({"x": x.astype(np.float32)})
        return runner.read(output).astype(np.float64)

    step = 1e-3  # no maximum changes place within it
    difference = (forward(value + step * direction) - forward(value - step * direction)) / (2 * step)
    forward(value)
    gradient = rng.normal(size=output.shape).astype(np.float32)
    found = list(input_gradients(model.subgraphs[0].ops[0], gradient, runner.read))
    assert {tensor.name for tensor, _ in found} == {"x"}
    total = sum(float((g * direction).sum()) for tensor, g in found if tensor.name == "x")
    assert total == pytest.approx(float((gradient * difference).sum()), rel=2e-3, abs=2e-3)


def classifier() -> bytes:
    """An int8 classifier: two convolutions, pooling, softmax."""
    builder = ModelBuilder(seed=3)
    graph = builder.graph()
    x = graph.input("image", (1, 12, 12, 3), scale=1 / 32)
    y = graph.conv(x, 8, kernel=3, activation="RELU", name="first", scale=0.6, zero_point=-128)
    y = graph.conv(y, 12, kernel=1, name="second", scale=2.0)
    pooled = graph.max_pool(y, 12, name="pooled")
    logits = graph.reshape(pooled, (1, 12), name="logits")
    graph.output(
        graph.unary("SOFTMAX", logits, schema.SoftmaxOptionsT(beta=0.05), name="p", scale=1 / 256, zero_point=-128)
    )
    return builder.build()


def test_sensitivity_predicts_the_kl_of_small_noise() -> None:
    content = classifier()
    model = load_model(content)
    site = next(s for s in find_sites(model) if s.name == "second")
    rng = np.random.default_rng(5)
    samples = [{"image": rng.integers(-128, 128, (1, 12, 12, 3)).astype(np.int8)} for _ in range(24)]
    (sensitivity,) = measure_sensitivities(ModelFile(model, content), [site], samples * 8, "auto", seed=1)
    assert sensitivity is not None
    runner = ModelRunner(ModelFile(model, content))
    measured = []
    per_unit = 0.05 * (site.tensor.scale or 1)
    for sample in samples:
        runner.run(sample)
        values = runner.read(site.tensor).astype(float)
        clean = log_softmax(values.max((1, 2)) * per_unit)
        for _ in range(20):
            noisy = log_softmax(
                (values + rng.normal(0, 0.5, values.shape)).max((1, 2)) * (site.tensor.scale or 1) * 0.05
            )
            measured.append(float((np.exp(clean) * (clean - noisy)).sum()))
    predicted = float(sensitivity.noise.sum()) * 0.25 / 2
    assert 0.4 < predicted / np.mean(measured) < 2.5


def test_sums_of_shards_are_those_of_one_pass_in_any_order() -> None:
    content = classifier()
    model = load_model(content)
    sites = find_sites(model)
    rng = np.random.default_rng(5)
    samples = [{"image": rng.integers(-128, 128, (1, 12, 12, 3)).astype(np.int8)} for _ in range(12)]
    expected = measure_sensitivities(ModelFile(model, content), sites, samples, "auto", seed=1)
    meters = [SensitivityMeter(ModelFile(model, content), sites, "auto", seed=1) for _ in range(3)]
    for position in rng.permutation(12).tolist():
        meters[position % 3].add(position, samples[position])
    for i, site in enumerate(sites):
        merged = SensitivityStatistics(site.tensor.shape[3])
        for meter in meters[::-1]:
            merged.merge(meter.sums[i])
        result = merged.result()
        assert result is not None
        wanted = expected[i]
        assert wanted is not None
        assert np.array_equal(result.noise, wanted.noise)
        assert np.array_equal(result.shift, wanted.shift)


def test_unknown_operators_leave_a_gap() -> None:
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.input("image", (1, 8, 8, 3))
    y = graph.conv(x, 4, name="before")
    y = graph.unary("LOGISTIC", y, name="unknown", scale=1 / 256, zero_point=-128)
    y = graph.conv(y, 4, name="behind")
    graph.output(graph.reshape(y, (1, 256), name="scores"))
    content = builder.build()
    model = load_model(content)
    sites = find_sites(model)
    samples = [{"image": np.zeros((1, 8, 8, 3), np.int8)}]
    found = measure_sensitivities(ModelFile(model, content), sites, samples, "auto")
    known = {site.name for site, sensitivity in zip(sites, found, strict=True) if sensitivity is not None}
    assert known == {"unknown", "behind"}
