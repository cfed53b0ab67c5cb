"""Entropy model, quantizer, KLT and the search over steps."""

from __future__ import annotations

import numpy as np
import pytest

from fmtc_tflite.coding import allocation, entropy_model, quantizer, transform
from fmtc_tflite.coding.reference import analyse, quantize, synthesise
from fmtc_tflite.coding.side_info import MAX_STEP, SideInformation


def laplacian(scale: float, centre: int = 0, total: float = 1e6) -> np.ndarray:
    distance = np.abs((np.arange(256) - centre + 128) % 256 - 128)
    density = np.exp(-distance / scale)
    return density / density.sum() * total


def entropy_bits(histogram: np.ndarray) -> float:
    p = histogram[histogram > 0] / histogram.sum()
    return float(-(p * np.log2(p)).sum())


@pytest.mark.parametrize("scale", [0.7, 2.0, 6.0, 20.0, 60.0])
@pytest.mark.parametrize("centre", [0, 77, 200])
def test_tokens_come_close_to_the_entropy(scale: float, centre: int) -> None:
    histogram = laplacian(scale, centre)
    classes, bits = entropy_model.fit_classes(histogram[None])
    spent = float(histogram @ bits[0]) / histogram.sum()
    assert spent < entropy_bits(histogram) * 1.03 + 0.05
    assert classes[0].constant == centre


def test_one_sided_spike_keeps_its_own_token() -> None:
    histogram = np.zeros(256)
    histogram[128:] = laplacian(10)[:128]
    histogram[128] = histogram.sum()  # half of the values are exactly zero
    _, bits = entropy_model.fit_classes(histogram[None])
    assert bits[0, 128] < 1.1


def test_components_are_clustered_and_get_their_predictor() -> None:
    wide, narrow, flat = laplacian(30), laplacian(1.5), np.full(256, 1e6 / 256)
    histograms = np.stack([np.stack([wide, narrow, wide, flat, flat])] * 5 + [np.stack([narrow] + [flat] * 4)] * 5)
    model = entropy_model.fit(histograms, 100)
    assert model.predictor.tolist() == [1] * 5 + [0] * 5
    assert len(model.classes) == 1  # one distribution: more classes would only cost side information
    assert model.bits == pytest.approx(histograms.shape[0] * 1e6 * entropy_bits(narrow), rel=0.05)


def test_constant_components_have_a_class_of_their_own() -> None:
    dead = np.zeros((5, 256))
    dead[:, 0] = 0
    dead[0, 128] = dead[1:, 0] = 1e4
    live = np.stack([laplacian(4, total=1e4)] * 5)
    model = entropy_model.fit(np.stack([dead, live, dead, live]), 10)
    assert model.component_class[0] == model.component_class[2] != model.component_class[1]
    assert model.predictor[0] == 0
    assert model.classes[model.component_class[0]].constant == 128


def test_all_components_constant() -> None:
    histograms = np.zeros((3, 5, 256))
    histograms[:, :, 9] = 50
    model = entropy_model.fit(histograms, 1)
    assert len(model.classes) == 1
    assert model.bits == 0


def test_more_data_pays_for_more_classes() -> None:
    rng = np.random.default_rng(0)
    components = np.stack([np.stack([laplacian(s, total=300)] * 5) for s in rng.uniform(0.5, 40, 64)])
    few = entropy_model.fit(components, num_inferences=100)
    many = entropy_model.fit(components * 100, num_inferences=100)
    assert len(few.classes) < len(many.classes) <= 8


def test_quantizer_rounds_to_the_nearest_index_half_away_from_zero() -> None:
    for step in (16, 17, 40, 100, MAX_STEP):
        d = np.arange(-255, 256)
        k = quantize(d, np.int64(step))
        assert (np.abs(16 * d - k * step) * 2 <= step).all()
        assert (quantize(-d, np.int64(step)) == -k).all()


@pytest.mark.parametrize("step", [16, 17, 24, 33, 200, 4080])
@pytest.mark.parametrize("level", [0, 2])
def test_all_values_survive_the_step_quantizer(step: int, level: int) -> None:
    q = np.arange(-128, 128)
    for centre in range(-128, 128, 5):
        zero = np.zeros(1, np.uint8)
        info = SideInformation(
            1, zero, zero, tuple(entropy_model.fit_classes(np.ones((1, 256)))[0]), centre, step, constant_level=4
        )
        decoded = synthesise(info, analyse(info, q[:, None], level), level)[:, 0].astype(int)
        assert np.abs(decoded - q).max() <= (step << level) / 32 + 1
        if step == 16 and level == 0:
            assert (decoded == q).all()


def test_centres() -> None:
    means = np.array([3.4, -200.0, 12.6])
    assert quantizer.centres(means, -128, -128) == -128
    assert np.asarray(quantizer.centres(means, -128, -20)).tolist() == [3, -128, 13]


@pytest.mark.parametrize("components", [2, 24])
def test_klt_reconstructs_what_its_components_span(components: int) -> None:
    rng = np.random.default_rng(3)
    mixing = rng.normal(0, 1, (24, components))
    x = np.clip(np.rint(rng.laplace(0, 5, (4000, components)) @ mixing.T / np.sqrt(components) + 4), -128, 127)
    analysis, synthesis = transform.klt(x.mean(0), np.cov(x.T), components, 4.0)
    zeros = np.zeros(components, np.uint8)
    classes = tuple(entropy_model.fit_classes(np.ones((1, 256)))[0])
    info = SideInformation(24, zeros, zeros, classes, analysis=analysis, synthesis=synthesis)
    error = synthesise(info, analyse(info, x, 0), 0) - x
    assert np.sqrt((error**2).mean()) < 1.4


def test_eigenbasis_is_orthonormal_and_has_one_sign() -> None:
    rng = np.random.default_rng(4)
    basis = transform.eigenbasis(np.cov(rng.normal(size=(8, 100))))
    assert np.allclose(basis @ basis.T, np.eye(8))
    assert (np.take_along_axis(basis, np.abs(basis).argmax(1)[:, None], 1) > 0).all()


@pytest.mark.parametrize("threshold", [0.02, 0.3, 1.7])
def test_search_finds_the_edge(threshold: float) -> None:
    coarse = allocation.coarsest(lambda m: m <= threshold)
    fine = allocation.finest(lambda m: m >= threshold)
    assert coarse is not None
    assert fine is not None
    assert coarse <= threshold < coarse * 1.06
    assert fine / 1.06 < threshold <= fine


def test_search_that_cannot_succeed() -> None:
    assert allocation.coarsest(lambda m: False) is None
    assert allocation.finest(lambda m: False) is None


def test_contexts_get_tables_that_fit_and_unseen_ones_their_neighbours() -> None:
    values = np.arange(256)
    histograms = np.zeros((2, 15, 256))
    for j in range(2):
        for context in (0, 3, 8, 14):
            histograms[j, context] = 1e5 * np.exp(-values / (0.3 + context))
    model = entropy_model.fit_contexts(histograms.astype(np.int64), 1)
    assert model.tables.shape == (2, 15)
    assert np.array_equal(model.tables[0], model.tables[1])
    assert len(set(model.tables[0, [0, 3, 8, 14]])) > 1
    assert model.tables[0, 1] == model.tables[0, 0]
    assert model.tables[0, 5] == model.tables[0, 3]
    by_class = histograms.sum(1)
    assert model.bits < (by_class * entropy_model.fit_classes(by_class)[1]).sum()
