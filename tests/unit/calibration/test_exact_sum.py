"""Sums that do not depend on the order."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmtc_tflite.calibration.exact_sum import ExactSum
from fmtc_tflite.errors import CalibrationError

NUMBERS = st.floats(0, 2.0**96) | st.floats(1e-12, 1e3) | st.sampled_from([0.0, 2.0**96, 2.0**-192, 1.0])


def summed(values: list[float]) -> ExactSum:
    total = ExactSum(1)
    for value in values:
        total.add(np.array([value]))
    return total


@given(st.lists(NUMBERS, min_size=1, max_size=20))
def test_the_mean_is_that_of_the_fixed_point_numbers_correctly_rounded(values: list[float]) -> None:
    exact = sum(Fraction(int(Fraction(value) * 2**192), 2**192) for value in values) / len(values)
    assert summed(values).mean(len(values))[0] == float(exact)


@given(st.lists(NUMBERS, min_size=1, max_size=20), st.randoms(use_true_random=False))
def test_order_and_grouping_do_not_matter(values: list[float], random: object) -> None:
    whole = summed(values)
    parts = [summed(values[i::3]) for i in range(3)]
    random.shuffle(parts)  # type: ignore[attr-defined]
    for part in parts[1:]:
        parts[0].merge(part)
    assert np.array_equal(parts[0].words, whole.words)


@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf, 2.0**97])
def test_what_has_no_place_is_refused(value: float) -> None:
    with pytest.raises(CalibrationError, match="expected 0 to"):
        summed([value])
