"""Choosing among ways to code a map, and folding a pointwise convolution into the decoder."""

from __future__ import annotations

import numpy as np
import pytest

from fmtc_tflite.calibration.runner import ModelRunner
from fmtc_tflite.calibration.sensitivity import Sensitivity
from fmtc_tflite.coding.entropy_model import fit_classes
from fmtc_tflite.coding.reference import analyse, synthesise
from fmtc_tflite.coding.side_info import SideInformation
from fmtc_tflite.conversion import folding
from fmtc_tflite.conversion.choices import STEP_CODES, Choice, best_choice, step_choice, weight_for_cost
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.graph.sites import find_sites
from model_builder import ModelBuilder


def histogram(deviation: float) -> np.ndarray:
    q = np.arange(-128, 128)
    return np.rint(1e6 * np.exp(-np.abs(q) / deviation)).astype(np.int64)


def choice(noise: list[float], **options: object) -> Choice:
    sensitivity = Sensitivity(np.array(noise), np.zeros(len(noise)))
    return step_choice(np.stack([histogram(12)] * len(noise)), 0, (-128, 127), sensitivity, 1000, **options)  # type: ignore[arg-type]


def test_finer_steps_cost_bits_and_coarser_ones_fidelity() -> None:
    found = choice([1.0])
    assert (np.diff(found.bits[:, 0]) <= 1e-6).all()
    assert found.cost[0, 0] == 0
    assert (np.diff(found.cost[:14, 0]) > 0).all()
    middle = STEP_CODES[6] / 16
    assert found.cost[6, 0] == pytest.approx(middle**2 / 12 / 2, rel=0.25)


def test_sensitive_channels_get_finer_steps_by_the_root() -> None:
    steps, _, _ = choice([1.0, 16.0]).pick(2000.0)
    assert steps[0] / steps[1] == pytest.approx(4, rel=0.3)


def test_a_mean_error_counts_apart() -> None:
    q = np.zeros((1, 256), np.int64)
    q[0, 128:160] = 2 ** np.arange(32, 0, -1)  # one-sided: rounding to zero shifts the mean
    quiet = step_choice(q, 0, (0, 127), Sensitivity(np.ones(1), np.zeros(1)), 1)
    shifted = step_choice(q, 0, (0, 127), Sensitivity(np.ones(1), np.full(1, 50.0)), 1)
    assert (shifted.cost[8:, 0] > 2 * quiet.cost[8:, 0]).all()


def test_side_information_is_weighed() -> None:
    plain, folded = choice([1.0] * 4), choice([1.0], side_bits=1e5, folded=True)
    assert best_choice([plain, folded], 100.0)[0] is plain
    assert best_choice([plain, choice([1.0], side_bits=10, folded=True)], 100.0)[0].folded


@pytest.mark.parametrize("cost", [0.01, 1.0, 30.0])
def test_weight_for_a_cost(cost: float) -> None:
    found = choice([3.0, 0.5, 1.0])
    spent = found.pick(weight_for_cost(found, cost))[2]
    assert spent <= cost
    assert spent > cost / 4 or found.pick(weight_for_cost(found, cost) / 1.01)[2] > cost


def expansion(activation: str) -> bytes:
    builder = ModelBuilder(seed=2)
    graph = builder.graph()
    x = graph.input("image", (1, 10, 12, 3), scale=1 / 32)
    y = graph.conv(x, 6, kernel=3, name="narrow", scale=0.5, zero_point=3)
    y = graph.conv(y, 24, activation=activation, name="wide", scale=0.7, zero_point=-20)
    y = graph.conv(y, 4, name="end", scale=5.0)
    graph.output(graph.reshape(y, (1, 480), name="scores"))
    return builder.build()


@pytest.mark.parametrize("activation", ["NONE", "RELU"])
def test_the_folded_synthesis_is_the_convolution(activation: str) -> None:
    content = expansion(activation)
    model = load_model(content)
    sites = {site.name: site for site in find_sites(model)}
    assert {name: folding.can_fold(site) for name, site in sites.items()} == {
        "narrow": False,
        "wide": True,
        "end": False,
    } or set(sites) == {"narrow", "wide"}
    site = sites["wide"]
    runner = ModelRunner(model, content)
    runner.run({"image": np.random.default_rng(0).integers(-128, 128, (1, 10, 12, 3)).astype(np.int8)})
    zeros = np.zeros(6, np.uint8)
    lo, hi = site.activation_range
    synthesis = folding.synthesis(site, np.zeros(6, np.int64), np.full(6, 16), level=4)
    info = SideInformation(
        24, zeros, zeros, tuple(fit_classes(np.ones((1, 256)))[0]), lo=lo, hi=hi, synthesis=synthesis
    )
    decoded = synthesise(info, analyse(info, runner.read(sites["narrow"].tensor), 0), 0)
    difference = decoded.astype(int) - runner.read(site.tensor)
    assert np.abs(difference).max() <= 1
    assert (difference != 0).mean() < 0.02
