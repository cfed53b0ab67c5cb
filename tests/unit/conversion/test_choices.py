"""What the steps of a map cost, and the choice among them."""

from __future__ import annotations

import numpy as np
import pytest

from fmtc_tflite.calibration.sensitivity import Sensitivity
from fmtc_tflite.conversion.choices import STEP_CODES, Choice, step_choice, weight_for_cost


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


@pytest.mark.parametrize("cost", [0.01, 1.0, 30.0])
def test_weight_for_a_cost(cost: float) -> None:
    found = choice([3.0, 0.5, 1.0])
    spent = found.pick(weight_for_cost(found, cost)).cost
    assert spent <= cost
    assert spent > cost / 4 or found.pick(weight_for_cost(found, cost) / 1.01).cost > cost
