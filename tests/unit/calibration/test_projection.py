"""Values before the activation against what the interpreter computes, and their principal components."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from fmtc_tflite.calibration.projection import before_activation, linear_producer, measure_components
from fmtc_tflite.graph.model_file import ModelFile
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.graph.sites import find_sites
from fmtc_tflite.inference.model_runner import ModelRunner
from model_builder import ModelBuilder


def one_map(kernel: int = 3, channels: int = 8, size: int = 11, dtype: str = "INT8", **conv: object) -> bytes:
    """A convolution whose output another one reads."""
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.input("x", [1, size, size, 3], dtype, zero_point=11)
    y = graph.conv(x, channels, kernel, name="map", scale=0.4, **conv)  # type: ignore[arg-type]
    graph.output(graph.conv(y, 2, name="end"))
    return builder.build()


def samples(count: int, size: int = 11) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(3)
    return [{"x": rng.integers(-128, 128, (1, size, size, 3)).astype(np.int8)} for _ in range(count)]


@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 1), (3, 2), (5, 2)])
@pytest.mark.parametrize("activation", ["NONE", "RELU6"])
def test_rounding_and_clamping_give_the_map(kernel: int, stride: int, activation: str) -> None:
    content = one_map(kernel, stride=stride, activation=activation, zero_point=-5)
    model = load_model(content)
    site = find_sites(model)[0]
    runner = ModelRunner(ModelFile(model, content))
    runner.run(samples(1)[0])
    producer = linear_producer(site)
    assert producer is not None
    values = before_activation(site, producer, runner.read)
    stored = runner.read(site.tensor).reshape(values.shape)
    assert (np.abs(np.clip(values, *site.activation_range) - stored) <= 0.502).all()
    assert len(np.unique(stored)) > 10


def test_components_are_uncorrelated_and_sorted() -> None:
    content = one_map()
    model = load_model(content)
    site = find_sites(model)[0]
    (components,) = measure_components(ModelFile(model, content), [site], samples(6))
    runner = ModelRunner(ModelFile(model, content))
    projected = []
    for sample in samples(6):
        runner.run(sample)
        projected.append(components.project(runner.read))
    covariance = np.cov(np.concatenate(projected).T)
    variances = np.diag(covariance)
    assert components.reason is None
    assert (np.diff(variances) < 0).all()
    assert np.abs(covariance - np.diag(variances)).max() < 1e-3 * variances[0]
    assert np.allclose(components.deviation**2, variances, rtol=2e-3)
    assert (np.concatenate(projected).min(0) == components.low).all()
    assert (np.concatenate(projected).max(0) == components.high).all()


def test_an_expanding_convolution_has_as_many_components_as_it_reads_channels() -> None:
    content = one_map(kernel=1, channels=12)
    model = load_model(content)
    (components,) = measure_components(ModelFile(model, content), find_sites(model)[:1], samples(2))
    assert components.basis.shape == (3, 12)


def test_too_few_pixels_mean_no_rotation_and_a_reason() -> None:
    content = one_map(channels=20, size=3)
    model = load_model(content)
    (components,) = measure_components(ModelFile(model, content), find_sites(model)[:1], samples(2, size=3))
    assert components.reason is not None
    assert "18 calibration pixels" in components.reason
    assert (components.basis == np.eye(20)).all()


def test_only_plain_int8_convolutions_are_rotated() -> None:
    uint8 = load_model(one_map(dtype="UINT8"))
    assert linear_producer(find_sites(uint8)[0]) is None
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.conv(graph.input("x", [1, 8, 8, 4]), 4)
    depthwise = graph.unary("RELU", x, name="relu")
    graph.output(graph.add(depthwise, x))
    kinds = [linear_producer(s) is None for s in find_sites(load_model(builder.build()))]
    assert kinds == [False, True]
    grouped = ModelBuilder()
    graph = grouped.graph()
    x = graph.input("x", [1, 8, 8, 4])
    weights = graph.constant("w", np.ones((6, 1, 1, 2), np.int8))
    y = graph.tensor("y", [1, 8, 8, 6])
    graph.op("CONV_2D", [x, weights], [y], schema.Conv2DOptionsT(strideW=1, strideH=1))
    graph.output(graph.conv(y, 2))
    assert linear_producer(find_sites(load_model(grouped.build()))[0]) is None
