"""The search for the coarsest coding that keeps a bound."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fmtc_tflite.coding.allocation import coarsest, coarsest_by_trend, finest


@pytest.mark.parametrize("limit", [0.01, 0.3, 20.0])
def test_bisection_ends_near_the_limit(limit: float) -> None:
    found = coarsest(lambda c: c <= limit)
    assert found is not None
    assert limit / 1.3 <= found <= limit
    mirrored = finest(lambda c: c >= limit)
    assert mirrored is not None
    assert limit <= mirrored <= limit * 1.3


def test_what_never_holds() -> None:
    assert coarsest(lambda c: False) is None
    assert finest(lambda c: False) is None
    assert coarsest_by_trend(lambda c: (1.0, 0.1), 0.5) is None


@pytest.mark.parametrize("seed", range(8))
def test_the_trend_is_not_led_by_the_luckiest_trial(seed: int) -> None:
    """Fidelity grows as the coarseness, with a chance factor that differs from trial to trial."""
    rng = np.random.default_rng(seed)
    found = coarsest_by_trend(lambda c: (c * math.exp(rng.normal(0, 0.25)), 0.1 * c), 0.2)
    assert found is not None
    assert 0.2 / 1.6 <= found <= 0.2 * 1.25


@pytest.mark.parametrize(("relative_error", "factor"), [(0.0, 1.0), (0.05, 1.0), (0.2, 0.825), (0.5, 0.546)])
def test_uncertain_measurements_keep_a_distance(relative_error: float, factor: float) -> None:
    """Certain ones do not: the bound is what is asked for."""
    found = coarsest_by_trend(lambda c: (c, relative_error * c), 0.2)
    assert found == pytest.approx(0.2 * factor, rel=0.01)


@pytest.mark.parametrize(("samples", "shape"), [(100, 0.15), (100, 0.3), (50, 0.3), (400, 0.15)])
def test_other_samples_exceed_the_bound_little_and_seldom(samples: int, shape: float) -> None:
    """Divergences of single samples are skewed: here gamma distributions, whose few large values make up the mean."""
    rng = np.random.default_rng(0)
    bound, exceeded, trials = 0.05, 0, 300
    for _ in range(trials):
        difficulty = rng.gamma(shape, 1 / shape, samples)  # of mean 1

        def measure(coarseness: float, difficulty: np.ndarray = difficulty) -> tuple[float, float]:
            values = coarseness * difficulty * rng.gamma(1.0, 1.0, samples)
            return float(values.mean()), float(values.std(ddof=1) / math.sqrt(samples))

        found = coarsest_by_trend(measure, bound)
        assert found is not None
        exceeded += found > 1.25 * bound
    assert exceeded <= 0.05 * trials  # mean and error of few samples err together, so that it is not 0.5 %


@pytest.mark.parametrize("num_between", [0, 1, 3])
def test_more_measurements_near_the_bound(num_between: int) -> None:
    places: list[float] = []

    def measure(coarseness: float) -> tuple[float, float]:
        places.append(math.log2(coarseness))
        return coarseness, 0.0

    assert coarsest_by_trend(measure, 0.2, num_between) == pytest.approx(0.2, rel=0.01)
    assert len(places) == len(set(places)) == 10 + 4 * num_between


def test_what_changes_nothing_at_first() -> None:
    """Zero at fine steps (lossless), then at once far above the bound: the last place that holds is taken."""
    found = coarsest_by_trend(lambda c: (0.0 if c < 0.1 else 5.0, math.nan), 0.2)
    assert found is not None
    assert 0.01 < found < 0.1
