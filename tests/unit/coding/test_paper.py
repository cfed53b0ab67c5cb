"""The paper's quantization: steps, 8-bit rows of wide coefficients, and the joint table."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmtc_tflite.coding.paper import Rows, arrange, bits_of_step, joint_counts, uniform_step


def store(rows: Rows, k: np.ndarray) -> np.ndarray:
    """What 8-bit rows hold of indices, [n, r] -> [n, rows]."""
    return np.clip(k[:, rows.component] + rows.offset, -128, 127)


def add_up(rows: Rows, stored: np.ndarray, components: int) -> np.ndarray:
    k = np.zeros((len(stored), components), np.int64)
    np.add.at(k.T, rows.component, (stored - rows.rest).T)
    return k


@given(
    st.lists(st.tuples(st.integers(-1500, 0), st.integers(0, 1500)), min_size=1, max_size=5),
    st.integers(0, 2**32 - 1),
)
def test_rows_add_up_to_the_coefficients_and_their_counts(ranges: list[tuple[int, int]], seed: int) -> None:
    low, high = np.array(ranges, float).T
    rows, step = arrange(low, high, np.ones_like(low), 1.0, 15 * len(ranges))
    assert step == 1.0
    rng = np.random.default_rng(seed)
    k = np.stack([rng.integers(a, b, 400, endpoint=True) for a, b in ranges], 1)
    stored = store(rows, k)
    assert (add_up(rows, stored, len(ranges)) == k).all()

    histogram = np.stack([np.bincount(column + 128, minlength=256) for column in stored.T])
    joint = joint_counts(rows, histogram)
    values, counts = np.unique(k, return_counts=True)
    expected = np.zeros_like(joint)
    expected[values + len(joint) // 2] = counts
    assert (joint == expected).all()


def test_the_range_of_the_main_component_gets_its_bits() -> None:
    low, high = np.array([-30.0, -4.0]), np.array([97.0, 3.0])
    step = uniform_step(low, high, 7)
    assert step == pytest.approx(127 / 126)
    assert bits_of_step(low, high, step) == pytest.approx(7)


def test_dead_maps_have_a_step() -> None:
    assert uniform_step(np.zeros(3), np.zeros(3), 8) == 1.0


def test_up_to_8_bits_one_row_holds_a_component() -> None:
    low, high = np.array([-200.0, -10.0]), np.array([54.0, 10.0])
    rows, _ = arrange(low, high, np.array([50.0, 4.0]), uniform_step(low, high, 8), 2)
    assert rows.component.tolist() == [0, 1]
    assert rows.offset[0] == 73  # shifted into the middle of the 8-bit range
    assert rows.offset[1] == 0


def test_weak_components_give_way_to_wide_ones() -> None:
    low, high = np.array([-300.0, -5.0, -1.4, 0.0]), np.array([300.0, 5.0, 1.4, 0.0])
    rows, step = arrange(low, high, np.array([50.0, 2.0, 0.25, 0.0]), 1.0, 4)
    assert step == 1.0
    assert rows.component.tolist() == [0, 0, 0, 1]
    assert sorted(rows.window[:3]) == [-1, 0, 1]


def test_a_step_is_coarsened_only_where_rows_do_not_fit() -> None:
    low, high = np.array([-300.0, -50.0]), np.array([300.0, 50.0])
    rows, step = arrange(low, high, np.array([50.0, 9.0]), 1.0, 2)
    assert len(rows.component) == 2
    assert 600 / 255 <= step < 600 / 255 * 1.02
