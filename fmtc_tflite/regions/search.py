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

Way = tuple[int, int, int]  # a stage's first and end op, and which of its alternatives
_MOST_STAGES = 1 << 16
_PRICE_WEIGHT, _PRICE_RATIO, _BISECTIONS = 1e3, 1e12, 24  # of bytes a multiply-add
_STAGE = 1e-3  # bytes: so much a stage is worth where paths store the same


def least_scratch(costs: StageCosts, budget: Extra) -> int:
    """The least largest need over all ways to cut the region's order into stages.

    Args:
      budget: what strips may cost.
    """
    limit = 0

    def path() -> list[Way] | None:
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


def fewest_stored(costs: StageCosts, limit: int, budget: Extra, weights: np.ndarray) -> list[Way] | None:
    """The stages within a limit of memory and a budget of strips that store least; None if there are none.

    A Lagrangian weight of what strips cost is found by bisection: what it gives is best among all that cost as little.

    Args:
      weights: what each stage stores, int64 [first, end], or by its alternatives, int64 [alternatives, first, end].
    """

    def path(price_weight: float) -> list[Way] | None:
        return _exact_path(costs, lambda: _weighted_path(costs, limit, budget, weights, price_weight))

    def price(ways: list[Way]) -> int:
        prices = costs.prices(budget)
        return int(sum(prices[alternative, first, end] for first, end, alternative in ways))

    best = path(0.0)
    if best is None or price(best) <= budget.macs:
        return best
    low, high, best = 0.0, _PRICE_WEIGHT, path(_PRICE_WEIGHT)
    if best is None or price(best) > budget.macs:
        return None
    for _ in range(_BISECTIONS):
        middle = (low * high) ** 0.5 if low else high / _PRICE_RATIO
        found = path(middle)
        if found is not None and price(found) <= budget.macs:
            best, high = found, middle
        else:
            low = middle
    return best


def _weighted_path(
    costs: StageCosts, limit: int, budget: Extra, weights: np.ndarray, price_weight: float
) -> list[Way] | None:
    """The path of the least sum of what is stored and of prices times a weight; of equal ones that of fewest stages."""
    prices = costs.prices(budget)
    allowed = (costs.needs <= limit) & (prices <= budget.macs)
    lengths = np.where(allowed, weights + price_weight * prices + _STAGE, np.inf)
    to, best = np.ascontiguousarray(lengths.min(axis=0).T), np.zeros(lengths.shape[2])
    for end in range(1, len(best)):
        best[end] = (best[:end] + to[end, :end]).min()
    if not np.isfinite(best[-1]):
        return None
    path, end = [], lengths.shape[1]
    while end:
        first = int(np.argmin(best[:end] + to[end, :end]))
        path.append((first, end, int(np.argmin(lengths[:, first, end]))))
        end = first
    return path[::-1]


def _exact_path(costs: StageCosts, find: Callable[[], list[Way] | None]) -> list[Way] | None:
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


def _path(costs: StageCosts, limit: int, budget: Extra) -> list[Way] | None:
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
