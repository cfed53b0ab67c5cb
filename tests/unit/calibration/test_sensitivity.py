"""Sensitivities against what noise really does, and where gradients stop."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from computed_weights import FORMS, network
from fmtc_tflite.calibration.sensitivity import (
    SensitivityMeter,
    SensitivityStatistics,
    gradient_stops,
    measure_sensitivities,
)
from fmtc_tflite.fidelity.metrics import log_softmax
from fmtc_tflite.graph.model_file import ModelFile
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.graph.sites import find_sites
from fmtc_tflite.inference.model_runner import ModelRunner
from model_builder import ModelBuilder


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
    y = graph.unary("ABS", y, name="unknown")
    y = graph.conv(y, 4, name="behind")
    graph.output(graph.reshape(y, (1, 256), name="scores"))
    content = builder.build()
    model = load_model(content)
    sites = find_sites(model)
    samples = [{"image": np.zeros((1, 8, 8, 3), np.int8)}]
    found = measure_sensitivities(ModelFile(model, content), sites, samples, "auto")
    known = {site.name for site, sensitivity in zip(sites, found, strict=True) if sensitivity is not None}
    assert known == {"unknown", "behind"}
    (stop,) = gradient_stops(ModelFile(model, content), samples[0], "auto")
    assert stop.opcode == "ABS"


def test_ops_with_several_outputs_stop_gradients_whichever_is_used() -> None:
    builder = ModelBuilder()
    graph = builder.graph()
    y = graph.conv(graph.input("image", (1, 8, 8, 3)), 4, name="before")
    halves = [graph.tensor(f"half{i}", (1, 8, 8, 2)) for i in range(2)]
    graph.op("SPLIT", [graph.constant("axis", np.array(3, np.int32), 0), y], halves, schema.SplitOptionsT(2))
    z = graph.conv(halves[1], 4, name="behind")
    graph.output(graph.add(z, y, name="sum"))
    content = builder.build()
    model = load_model(content)
    found = measure_sensitivities(
        ModelFile(model, content), find_sites(model), [{"image": np.ones((1, 8, 8, 3), np.int8)}], "values"
    )
    known = {s.name: sensitivity is not None for s, sensitivity in zip(find_sites(model), found, strict=True)}
    assert known == {"before": False, "half1": True, "behind": True}


@pytest.mark.parametrize("groups", [1, 2, 8])
@pytest.mark.parametrize("form", sorted(FORMS.keys() - {"plain"}))
def test_weights_in_any_form_and_groups(form: str, groups: int) -> None:
    """What gradients say does not depend on how the weights of a convolution are stored."""
    samples = [{"x": np.random.default_rng(i).integers(-128, 128, (1, 16, 16, 3)).astype(np.int8)} for i in range(3)]
    found = {}
    for each in ("plain", form):
        file = ModelFile.parse(network(each, groups))
        sites = find_sites(file.model)
        assert [site.name for site in sites] == ["stem", "middle", "before"]  # weights are no feature maps
        found[each] = [s.noise for s in measure_sensitivities(file, sites, samples, "auto") if s is not None]
        assert len(found[each]) == 3
    tolerance = 0.2 if form == "float" else 0.0  # which has no bias, and another rounding
    for plain, other in zip(found["plain"], found[form], strict=True):
        np.testing.assert_allclose(other.sum(), plain.sum(), rtol=tolerance)
