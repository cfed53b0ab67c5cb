"""What the steps of a map cost, and the choice among them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fmtc_tflite.calibration.sensitivity import Sensitivity
from fmtc_tflite.calibration.statistics import CovarianceStatistics
from fmtc_tflite.conversion.choices import (
    STEP_CODES,
    Choice,
    _normal_entropy,
    best_pick,
    centres_pay,
    klt_choice,
    share_of_error,
    step_choice,
    unknown_sensitivity,
)


def histogram(deviation: float) -> np.ndarray:
    q = np.arange(-128, 128)
    return np.rint(1e6 * np.exp(-np.abs(q) / deviation)).astype(np.int64)


def choice(noise: list[float]) -> Choice:
    sensitivity = Sensitivity(np.array(noise), np.zeros(len(noise)))
    return step_choice(np.stack([histogram(12)] * len(noise)), 0, (-128, 127), sensitivity, 1000)


def test_finer_steps_cost_bits_and_coarser_ones_fidelity() -> None:
    found = choice([1.0])
    assert (np.diff(found.bits[:, 0]) <= 1e-6).all()
    assert found.cost[0, 0] == 0
    assert (np.diff(found.cost[:14, 0]) > 0).all()
    middle = STEP_CODES[6] / 16
    assert found.cost[6, 0] == pytest.approx(middle**2 / 12 / 2, rel=0.25)


def test_sensitive_channels_get_finer_steps_by_the_root() -> None:
    steps = choice([1.0, 16.0]).pick(2000.0).steps
    assert steps[0] / steps[1] == pytest.approx(4, rel=0.3)


def test_a_mean_error_counts_apart() -> None:
    q = np.zeros((1, 256), np.int64)
    q[0, 128:160] = 2 ** np.arange(32, 0, -1)  # one-sided: rounding to zero shifts the mean
    quiet = step_choice(q, 0, (0, 127), Sensitivity(np.ones(1), np.zeros(1)), 1)
    shifted = step_choice(q, 0, (0, 127), Sensitivity(np.ones(1), np.full(1, 50.0)), 1)
    assert (shifted.cost[8:, 0] > 2 * quiet.cost[8:, 0]).all()


def test_where_no_gradient_is_known_an_error_costs_its_share_of_the_energy() -> None:
    histogram = np.zeros((2, 256), np.int64)
    histogram[:, [128 - 3, 128 + 3]] = 5  # energy 9 around 0
    own = unknown_sensitivity(histogram, 0)
    assert (own.noise * 1.5).sum() / 2 == pytest.approx(1.5 / 9)
    known = Sensitivity(np.array([0.1, 0.5]), np.zeros(2))
    assert share_of_error(known, own) == pytest.approx(0.6 / own.noise.sum())


def test_one_step_for_all_where_own_steps_do_not_pay() -> None:
    many = [1.0, 1.2] * 8
    assert len(set(choice(many).pick(2000.0).steps.tolist())) == 1
    assert len(set(choice([1.0, 100.0] * 8).pick(2000.0).steps.tolist())) > 1
    assert len(set(replace(choice([1.0, 100.0] * 8), per_channel=False).pick(2000.0).steps.tolist())) == 1


@pytest.mark.parametrize(
    ("positions", "distance", "pays"), [(4, 20, False), (400, 20, True), (400, 0, False), (4, 2, False)]
)
def test_a_centre_for_each_component_has_to_save_its_byte(positions: int, distance: int, pays: bool) -> None:
    """Components of alike distributions around different means, of which a map has few or many values."""
    means = distance * np.array([-2, -1, 0, 1, 2] * 8)
    values = np.stack([np.roll(histogram(6), mean) for mean in means])
    steps = np.full(len(means), 2 * 16)
    assert centres_pay(values, means.astype(np.int8), 0, steps, positions) == pays


def correlated(rank: int) -> CovarianceStatistics:
    rng = np.random.default_rng(1)
    mixed = rng.normal(0, 12, (20000, rank)) @ rng.normal(0, 1, (rank, 8))
    statistics = CovarianceStatistics(8)
    statistics.add(np.clip(np.rint(mixed), -128, 127).astype(np.int8).reshape(1, 100, 200, 8))
    return statistics


def test_a_klt_pays_where_channels_depend_on_each_other() -> None:
    sensitivity = Sensitivity(np.full(8, 1e-3), np.zeros(8))
    alone = step_choice(np.stack([histogram(12)] * 8), 0, (-128, 127), sensitivity, 20000)
    picks = {rank: klt_choice(correlated(rank), sensitivity, 20000).pick(1e6) for rank in (2, 8)}
    assert picks[2].components == 2
    assert picks[2].total < picks[8].total
    assert best_pick([alone, klt_choice(correlated(2), sensitivity, 20000)], 1e6).transform == "klt"


def test_the_rate_of_a_klt_is_close_to_that_of_its_quantized_components() -> None:
    rng = np.random.default_rng(2)
    for deviation in (0.2, 0.4, 0.7, 1.5, 10.0):
        _, counts = np.unique(np.rint(rng.normal(0, deviation, 10**6)), return_counts=True)
        share = counts / counts.sum()
        entropy = -(share * np.log2(share)).sum()
        assert _normal_entropy(np.array([deviation]))[0] == pytest.approx(entropy, abs=0.03)
