"""Large maps are looked at in slices, with the same results."""

from __future__ import annotations

from importlib import resources

import numpy as np
import pytest

from fmtc_tflite.calibration import slices
from fmtc_tflite.calibration.sensitivity import SensitivityStatistics, measure_sensitivities
from fmtc_tflite.calibration.slices import row_slices
from fmtc_tflite.calibration.statistics import CovarianceStatistics, ValueStatistics
from fmtc_tflite.graph.model_file import ModelFile
from fmtc_tflite.graph.sites import find_sites


def test_slices_cover_the_rows_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(row_slices((1, 112, 112, 96))) == [slice(0, 112)]
    monkeypatch.setattr(slices, "_VALUES", 100)
    assert list(row_slices((2, 7, 5, 4))) == [slice(0, 2), slice(2, 4), slice(4, 6), slice(6, 7)]
    assert list(row_slices((1, 2, 60, 4))) == [slice(0, 1), slice(1, 2)]
    assert list(row_slices((1, 0, 5, 4))) == []


@pytest.mark.parametrize("kind", [ValueStatistics, CovarianceStatistics])
def test_sums_of_integers_are_the_same(
    kind: type[ValueStatistics] | type[CovarianceStatistics], monkeypatch: pytest.MonkeyPatch
) -> None:
    x = np.random.default_rng(0).integers(-128, 128, (2, 9, 5, 3), dtype=np.int8)
    states = []
    for values in (1 << 21, 31):
        monkeypatch.setattr(slices, "_VALUES", values)
        statistics = kind(3)
        statistics.add(x)
        states.append(statistics.state())
    assert all(np.array_equal(states[0][name], states[1][name]) for name in states[0])
    assert len(states[0]) > 1


def test_squared_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    gradient = np.random.default_rng(0).normal(size=(2, 9, 5, 3)).astype(np.float32)
    monkeypatch.setattr(slices, "_VALUES", 31)
    statistics = SensitivityStatistics(3)
    statistics.add(gradient, 0.5)
    found = statistics.result()
    assert found is not None
    wide = gradient.astype(np.float64) / 2
    np.testing.assert_allclose(found.noise, (wide**2).sum((0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(found.shift, wide.sum((0, 1, 2)) ** 2, rtol=1e-12)


def test_gradients_through_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    content = (resources.files("fmtc_tflite") / "demo" / "demo_int8.tflite").read_bytes()
    file = ModelFile.parse(content)
    graph = file.model.subgraphs[0]
    shape = graph.inputs[0].shape
    sample = {graph.inputs[0].name: np.random.default_rng(0).integers(-128, 128, shape, dtype=np.int8)}
    results = []
    for values in (1 << 21, 300):
        monkeypatch.setattr(slices, "_VALUES", values)
        results.append(measure_sensitivities(file, find_sites(file.model), [sample], "auto"))
    for whole, sliced in zip(*results, strict=True):
        assert whole is not None
        assert sliced is not None
        np.testing.assert_allclose(sliced.noise, whole.noise, rtol=1e-5)
        np.testing.assert_allclose(sliced.shift, whole.shift, rtol=1e-3, atol=1e-12)
