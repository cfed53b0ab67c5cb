"""Statistics that workers measured apart are, together, what one process measures."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fmtc_tflite.calibration.sensitivity import SensitivityStatistics
from fmtc_tflite.calibration.statistics import CovarianceStatistics, ValueStatistics

Statistics = ValueStatistics | CovarianceStatistics | SensitivityStatistics


def of_values(q: np.ndarray) -> ValueStatistics:
    statistics = ValueStatistics(3)
    statistics.add(q)
    return statistics


def of_products(q: np.ndarray) -> CovarianceStatistics:
    statistics = CovarianceStatistics(3)
    statistics.add(q)
    return statistics


def of_gradients(q: np.ndarray) -> SensitivityStatistics:
    statistics = SensitivityStatistics(3)
    statistics.add(np.exp(q / 7.0))
    return statistics


def equal(first: Statistics, second: Statistics) -> bool:
    a, b = first.state(), second.state()
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("measure", [of_values, of_products, of_gradients])
@settings(max_examples=30)
@given(count=st.integers(1, 12), seed=st.integers(0, 2**32 - 1))
def test_the_order_and_grouping_of_merges_do_not_matter(
    measure: Callable[[np.ndarray], Statistics], count: int, seed: int
) -> None:
    maps = np.random.default_rng(seed).integers(-128, 128, (count, 1, 2, 2, 3)).astype(np.int8)
    expected = measure(maps[0])
    for q in maps[1:]:
        expected.merge(measure(q))  # type: ignore[arg-type]
    choose = random.Random(seed)
    parts: list[Any] = [measure(q) for q in maps]
    while len(parts) > 1:
        choose.shuffle(parts)
        part = parts.pop()
        parts[0].add_state(part.state())
    assert equal(parts[0], expected)
