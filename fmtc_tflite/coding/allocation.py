"""Choosing how coarse to be."""

from collections.abc import Callable

FINEST_LOG2_MULTIPLIER = -6.0
COARSEST_LOG2_MULTIPLIER = 2.0
_BISECTIONS = 7


def coarsest_multiplier(holds: Callable[[float], bool]) -> float | None:
    """The largest step multiplier for which a constraint on fidelity holds; None if it holds for none.

    Args:
      holds: tells for a multiplier whether the constraint is met. Finer steps are assumed never to break it.
    """
    fine, coarse, found = FINEST_LOG2_MULTIPLIER, COARSEST_LOG2_MULTIPLIER, False
    for _ in range(_BISECTIONS):
        middle = (fine + coarse) / 2
        if holds(2.0**middle):
            fine, found = middle, True
        else:
            coarse = middle
    return 2.0**fine if found else None


def finest_multiplier(holds: Callable[[float], bool]) -> float | None:
    """The smallest step multiplier for which a constraint on the rate holds; None if it holds for none.

    Args:
      holds: tells for a multiplier whether the constraint is met. Coarser steps are assumed never to break it.
    """
    mirrored = coarsest_multiplier(lambda m: holds(_mirror(m)))
    return None if mirrored is None else _mirror(mirrored)


def _mirror(multiplier: float) -> float:
    return 2.0 ** (FINEST_LOG2_MULTIPLIER + COARSEST_LOG2_MULTIPLIER) / multiplier
