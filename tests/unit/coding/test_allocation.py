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
    assert 0.2 / 1.6 <= found <= 0.2 * 1.2


def test_a_standard_error_of_distance_is_kept() -> None:
    certain = coarsest_by_trend(lambda c: (c, 0.0), 0.2)
    uncertain = coarsest_by_trend(lambda c: (c, 0.5 * c), 0.2)
    assert certain is not None
    assert uncertain is not None
    assert certain == pytest.approx(0.2, rel=0.01)
    assert uncertain == pytest.approx(0.2 / 1.5, rel=0.01)


def test_what_changes_nothing_at_first() -> None:
    """Zero at fine steps (lossless), then at once far above the bound: the last place that holds is taken."""
    found = coarsest_by_trend(lambda c: (0.0 if c < 0.1 else 5.0, math.nan), 0.2)
    assert found is not None
    assert 0.01 < found < 0.1
