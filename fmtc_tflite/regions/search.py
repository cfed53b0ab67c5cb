"""Cuts the ops of a region into stages such that the largest need of scratch memory is least: exact, over the op order.

Which stages, and in how many strips, is a shortest path over the op order: for a given limit of memory that with the
lowest price of strips (see Extra). The least limit whose path stays within the budget is found by bisection, on lower
bounds of what stages need; what a path uses is then found out exactly, until a path is exact.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fmtc_tflite.regions.extra import Extra
from fmtc_tflite.regions.stage_costs import INFINITE, StageCosts
from fmtc_tflite.regions.stages import Stage

_Way = tuple[int, int, int]  # a stage's first and end op, and which of its alternatives
_MOST_STAGES = 1 << 16


def least_scratch(costs: StageCosts, budget: Extra) -> int:
    """The least largest need over all ways to cut the region's order into stages.

    Args:
      budget: what strips may cost.
    """
    limit = 0

    def path() -> list[_Way] | None:
        nonlocal limit
        limit = least_bound(costs, budget)
        return _path(costs, limit, budget)

    found = _exact_path(costs, path)
    assert found is not None  # stages of single ops are a path
    return limit


def cheapest_stages(costs: StageCosts, limit: int, budget: Extra) -> list[Stage] | None:
    """Stages none of which needs more than the limit; None if there are none.

    Those whose strips have the lowest price, of these the ones that store the fewest bytes, then the fewest.
    """
    path = _exact_path(costs, lambda: _path(costs, limit, budget))
    return None if path is None else [costs.stage(*way) for way in path]


def _exact_path(costs: StageCosts, find: Callable[[], list[_Way] | None]) -> list[_Way] | None:
    """The first path found whose needs are no mere bounds."""
    while True:
        path = find()
        unknown = [(first, end) for first, end, _ in path or () if not costs.is_exact(first, end)]
        if not unknown:
            return path
        for stage in unknown:
            costs.find_out(*stage)


def least_bound(costs: StageCosts, budget: Extra) -> int:
    """The least need for which there is a path within the budget: a lower bound as far as needs are bounds."""
    if budget.is_nothing:
        return _bottleneck(costs.needs[0])
    prices = costs.prices(budget)
    needs = np.unique(costs.needs[costs.needs < INFINITE])
    low, high = 0, len(needs) - 1
    while low < high:
        middle = (low + high) // 2
        if _distances(_lowest(costs, prices, int(needs[middle])))[-1] <= budget.macs:
            high = middle
        else:
            low = middle + 1
    return int(needs[low])


def _bottleneck(needs: np.ndarray) -> int:
    """The least largest need on a path, of needs [first, end]."""
    to, best = np.ascontiguousarray(needs.T), np.zeros(len(needs) + 1, np.int64)
    for end in range(1, len(best)):
        best[end] = np.maximum(best[:end], to[end, :end]).min()
    return int(best[-1])


def _lowest(costs: StageCosts, prices: np.ndarray, limit: int) -> np.ndarray:
    """For each stage the lowest price within a limit of memory, int64 [first, end]."""
    return np.where(costs.needs <= limit, prices, INFINITE).min(axis=0)


def _distances(weights: np.ndarray) -> np.ndarray:
    """The least sum of weights [first, end] from the first op to each end, int64 [ops + 1]; INFINITE where none is."""
    to, best = np.ascontiguousarray(weights.T), np.zeros(len(weights) + 1, np.int64)
    for end in range(1, len(best)):
        best[end] = min((best[:end] + to[end, :end]).min(), INFINITE)
    return best


def _path(costs: StageCosts, limit: int, budget: Extra) -> list[_Way] | None:
    prices = costs.prices(budget)
    lowest = _lowest(costs, prices, limit)
    to = _distances(lowest)
    if to[-1] > budget.macs:
        return None
    # Of the stages on the cheapest paths, those that store least.
    back = _distances(_reversed(lowest))[::-1]
    stored = np.where(to[:-1, None] + lowest + back == to[-1], costs.stored_bytes * _MOST_STAGES + 1, INFINITE)
    best = _distances(stored)
    path, end = [], len(lowest)
    while end:
        first = int(np.argmax(best[:end] + stored[:end, end] == best[end]))
        allowed = (costs.needs[:, first, end] <= limit) & (prices[:, first, end] == lowest[first, end])
        path.append((first, end, int(np.argmax(allowed))))
        end = first
    return path[::-1]


def _reversed(weights: np.ndarray) -> np.ndarray:
    """Weights of the same stages with the ops counted from the last one: [ops - end, ops - first]."""
    count = len(weights)
    turned = np.full_like(weights, INFINITE)
    turned[:, 1:] = weights[:, 1:].T[::-1, ::-1]
    return turned[:count]
