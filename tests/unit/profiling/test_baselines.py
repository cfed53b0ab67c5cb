"""Sizes of the baselines against what can be counted by hand."""

from __future__ import annotations

import heapq

import numpy as np
import pytest

from fmtc_tflite.coding.code_lengths import huffman_lengths, shannon_bits
from fmtc_tflite.profiling.baselines import MapHistogram


def sizes(*maps: np.ndarray, zero_value: int) -> dict[str, float]:
    histogram = MapHistogram(zero_value)
    for x in maps:
        histogram.add(x)
    return histogram.mean_bytes()


def test_four_equal_values_take_two_bits() -> None:
    x = np.repeat(np.int8([-128, -1, 0, 127]), 16)
    assert sizes(x, x, zero_value=128) == {
        "raw": 64,
        "zero_value": 8 + 48,
        "entropy_shannon": 16,
        "entropy_huffman": 16,
    }


def test_zero_is_the_zero_point() -> None:
    x = np.full((1, 3, 3, 1), -128, np.int8)
    assert sizes(x, zero_value=0)["zero_value"] == 2  # 9 bits, and nothing follows
    assert sizes(x, zero_value=128)["zero_value"] == 2 + 9
    assert sizes(x.view(np.uint8), zero_value=128)["zero_value"] == 2


def test_a_constant_map() -> None:
    found = sizes(np.zeros(80, np.int8), zero_value=128)
    assert found["entropy_shannon"] == 0
    assert found["entropy_huffman"] == 10  # a Huffman code spends a bit on each value


def test_huffman_is_a_complete_code_of_least_cost() -> None:
    rng = np.random.default_rng(0)
    for scale in (1, 3, 20, 200):
        counts = np.bincount(rng.normal(128, scale, 5000).clip(0, 255).astype(int), minlength=256)
        lengths = huffman_lengths(counts)
        assert ((lengths > 0) == (counts > 0)).all()
        assert np.sum(0.5 ** lengths[lengths > 0]) == 1
        heap = sorted(int(c) for c in counts if c)
        cost = 0
        while len(heap) > 1:  # the cost of a Huffman tree is the sum of its inner nodes
            merged = heapq.heappop(heap) + heapq.heappop(heap)
            cost += merged
            heapq.heappush(heap, merged)
        assert lengths @ counts == cost
        assert shannon_bits(counts) <= cost <= shannon_bits(counts) + counts.sum()


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
def test_the_mean_over_samples(dtype: type) -> None:
    maps = [np.full(16, value, dtype) for value in (3, 5)]
    found = sizes(*maps, zero_value=3 + (128 if dtype == np.int8 else 0))
    assert found["raw"] == 16
    assert found["zero_value"] == 2 + 8
    assert found["entropy_shannon"] == 2
