"""Integer weights from normal equations, against the rows that these were made of."""

from __future__ import annotations

import numpy as np
import pytest

from fmtc_tflite.calibration.least_squares import Change, NormalEquations

GROUPS, OUTPUTS, INPUTS = 3, 4, 6


def rows(seed: int, count: int = 500) -> tuple[np.ndarray, np.ndarray]:
    """Inputs whose coordinates depend on one another, and the same quantized coarsely, with a shift."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(9).normal(size=(GROUPS, INPUTS, INPUTS))
    exact = np.rint(np.clip(rng.normal(size=(GROUPS, count, INPUTS)) @ mixing * 20, -200, 200))
    return exact, np.rint(exact / 24) * 24 + 3


def filled(weights: np.ndarray, *parts: tuple[np.ndarray, np.ndarray]) -> NormalEquations:
    equations = NormalEquations(weights)
    for exact, noisy in parts:
        equations.add(exact, noisy)
    return equations


def measured(weights: np.ndarray, change: Change, exact: np.ndarray, noisy: np.ndarray) -> np.ndarray:
    """Mean squared errors [groups, outputs], row by row."""
    wanted = np.einsum("gni,goi->gno", exact, weights)
    got = np.einsum("gni,goi->gno", noisy, weights + change.weights) + change.biases[:, None]
    return ((wanted - got) ** 2).mean(1)


@pytest.fixture
def weights() -> np.ndarray:
    return np.random.default_rng(1).integers(-127, 128, (GROUPS, OUTPUTS, INPUTS)).astype(np.int8)


def test_errors_are_those_of_the_rows(weights: np.ndarray) -> None:
    rng = np.random.default_rng(2)
    change = Change(rng.integers(-9, 10, weights.shape), rng.integers(-500, 500, weights.shape[:2]))
    nothing = Change(np.zeros(weights.shape, np.int64), np.zeros(weights.shape[:2], np.int64))
    own = filled(weights, rows(0), rows(1))
    exact, noisy = np.concatenate([rows(0)[0], rows(1)[0]], 1), np.concatenate([rows(0)[1], rows(1)[1]], 1)
    assert own.rows == exact.shape[1]
    assert np.allclose(own.errors(change), measured(weights, change, exact, noisy))
    assert np.allclose(own.errors(), measured(weights, nothing, exact, noisy))


def test_parts_add_up(weights: np.ndarray) -> None:
    parts, whole = [filled(weights, rows(seed)) for seed in range(3)], filled(weights, rows(0), rows(1), rows(2))
    total, change = NormalEquations.total(parts), whole.fitted(1e-2)
    assert change is not None
    assert total.rows == whole.rows
    assert np.array_equal(total.errors(change), whole.errors(change))
    same = total.fitted(1e-2)
    assert same is not None
    assert np.array_equal(same.weights, change.weights)
    assert np.array_equal(parts[0].errors(), filled(weights, rows(0)).errors())  # parts stay as they were


def test_other_weights_lessen_the_error_on_other_rows(weights: np.ndarray) -> None:
    fitted, other = filled(weights, rows(0)), filled(weights, rows(1))
    change = fitted.fitted(1e-3)
    assert change is not None
    assert np.abs(weights + change.weights).max() <= 127
    assert other.errors(change).sum() < 0.9 * other.errors().sum()


def test_roundings_make_good_for_one_another(weights: np.ndarray) -> None:
    fitted = filled(weights, rows(0))
    change, (exact, noisy) = fitted.fitted(1e-9), rows(0)
    assert change is not None
    alone = np.empty(weights.shape, np.int64)
    for group in range(GROUPS):
        ones = np.concatenate([noisy[group], np.ones((noisy.shape[1], 1))], 1)
        best = np.linalg.lstsq(ones, exact[group] @ weights[group].T.astype(float), rcond=None)[0]
        alone[group] = np.clip(np.rint(best[:-1].T), -127, 127) - weights[group]
    wanted = np.einsum("gni,goi->go", exact - noisy, weights) - np.einsum("gni,goi->go", noisy, alone)
    by_itself = Change(alone, np.rint(wanted / noisy.shape[1]).astype(np.int64))
    assert fitted.errors(change).sum() < fitted.errors(by_itself).sum()


def test_a_large_ridge_leaves_weights_as_they_were(weights: np.ndarray) -> None:
    change = filled(weights, rows(0)).fitted(1e9)
    assert change is not None
    assert not change.weights.any()
    assert change.biases.any()  # which make good for the shift


def test_inputs_that_never_vary_tell_nothing(weights: np.ndarray) -> None:
    still = np.full((GROUPS, 50, INPUTS), 7.0)
    assert filled(weights, (still, still + 1)).fitted(0.01) is None


def test_an_input_that_never_varies_beside_others(weights: np.ndarray) -> None:
    exact, noisy = rows(0)
    exact[:, :, 2] = noisy[:, :, 2] = 0
    exact[1] = noisy[1] = 0
    own = filled(weights, (exact, noisy))
    change = own.fitted(1e-4)
    assert change is not None
    assert own.errors(change).sum() < own.errors().sum()


def test_memory_does_not_grow_with_rows(weights: np.ndarray) -> None:
    few, many = filled(weights, rows(0, 10)), filled(weights, *[rows(i) for i in range(20)])
    sizes = [sum(v.nbytes for v in vars(e).values() if isinstance(v, np.ndarray)) for e in (few, many)]
    assert sizes[0] == sizes[1]
