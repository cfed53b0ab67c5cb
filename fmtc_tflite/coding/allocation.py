"""Choosing how coarse to be: a search over the one number that a whole network's quantization hangs on."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

# Coarseness = raw bits of the network per unit of cost that a bit is worth; 2^-12 leaves almost all as it is.
FINEST_LOG2 = -12.0
COARSEST_LOG2 = 8.0
_BISECTIONS = 8
_PROBES = 4
_PROBE_LOG2 = 0.25
_TREND_BISECTIONS = 6
_TREND_OFFSETS_LOG2 = (-0.9, -0.45, 0.0, 0.35, 0.7)  # from where the bisection ends; 0 is that place
TREND_RANGE = 4.0  # measurements within this factor of the bound make the trend
_LEAST_TREND_POINTS = 4
_ALLOWED_EXCESS = 1.25  # over the bound, on other samples,
_DEVIATIONS = 2.576  # with 99.5 % confidence


def coarsest(holds: Callable[[float], bool]) -> float | None:
    """About the largest coarseness at which a constraint on fidelity holds; None if it holds at none.

    A bisection, and some probes beyond what it finds: measured fidelity is not quite monotonic, and a bisection that
    was turned away by one bad place would not come back.

    Args:
      holds: tells for a coarseness whether the constraint is met. Being finer is assumed hardly ever to break it.
    """
    fine, found = _bisect(holds, _BISECTIONS)
    if not found:
        return None
    probes = [fine + _PROBE_LOG2 * (i + 1) for i in range(_PROBES)]
    return 2.0 ** max([fine, *(probe for probe in probes if holds(2.0**probe))])


def coarsest_by_trend(
    measure: Callable[[float], tuple[float, float]], bound: float, num_between: int = 0
) -> float | None:
    """The coarseness at which the trend of a measured quantity reaches its bound; None if it is never below it.

    What a network's output suffers varies from one coarseness to the next by chance, since all later roundings fall
    differently. Taking the luckiest of several trials would break the bound on other data; so a line through the
    logarithms of all measurements near the bound decides (in logarithms they lie about on one).

    It ends at the bound where many samples make the measurements certain, and below it where other samples could
    exceed it by a quarter: their error is the median of those measured, as one strange sample can make the mean's own
    a multiple. Samples that happen to be easy look certain, too, so that a standard error or two are not enough.

    Args:
      measure: gives the quantity, which grows with coarseness, and its standard error (nan if unknown). Above
        TREND_RANGE * bound a lower bound above that will do.
      bound: above 0.
      num_between: further measurements between each two near the bound.
    """
    points: dict[float, tuple[float, float]] = {}

    def holds(coarseness: float) -> bool:
        value, _ = points[math.log2(coarseness)] = measure(coarseness)
        return value <= bound

    fine, found = _bisect(holds, _TREND_BISECTIONS)
    if not found:
        return None
    for x in fine + _offsets(num_between):
        holds(2.0**x)
    near = {x: p for x, p in points.items() if bound / TREND_RANGE <= p[0] <= bound * TREND_RANGE}
    relative = float(np.median([0.0 if math.isnan(e) else e / v for v, e in near.values()] or [0.0]))
    target = math.log2(bound * min(1.0, _ALLOWED_EXCESS / (1 + _DEVIATIONS * relative)))
    if len(near) < _LEAST_TREND_POINTS:
        return 2.0 ** max((x for x, (v, _) in points.items() if v <= 2.0**target), default=FINEST_LOG2)
    slope, offset = np.polyfit(list(near), [math.log2(v) for v, _ in near.values()], 1)
    if slope <= 0:
        return 2.0**fine
    return float(2.0 ** np.clip((target - offset) / slope, min(points), max(near)))


def _offsets(num_between: int) -> np.ndarray:
    """Those of the trend, and so many between each two of them; without 0, where the bisection has been."""
    places = np.arange(len(_TREND_OFFSETS_LOG2))
    wanted = np.arange((len(places) - 1) * (num_between + 1) + 1) / (num_between + 1)
    offsets = np.interp(wanted, places, _TREND_OFFSETS_LOG2)
    return offsets[offsets != 0]


def finest(holds: Callable[[float], bool]) -> float | None:
    """The smallest coarseness at which a constraint on the rate holds; None if it holds at none.

    Args:
      holds: tells for a coarseness whether the constraint is met. Being coarser is assumed never to break it.
    """
    mirrored = coarsest(lambda coarseness: holds(_mirror(coarseness)))
    return None if mirrored is None else _mirror(mirrored)


def _bisect(holds: Callable[[float], bool], bisections: int) -> tuple[float, bool]:
    """The log2 of the coarsest place that holds, as far as the bisection gets, and whether there was any."""
    fine, coarse, found = FINEST_LOG2, COARSEST_LOG2, False
    for _ in range(bisections):
        middle = (fine + coarse) / 2
        if holds(2.0**middle):
            fine, found = middle, True
        else:
            coarse = middle
    return fine, found


def _mirror(coarseness: float) -> float:
    return 2.0 ** (FINEST_LOG2 + COARSEST_LOG2) / coarseness
