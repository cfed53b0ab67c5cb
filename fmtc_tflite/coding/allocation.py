"""Choosing how coarse to be: bisection over the one number that a whole network's quantization hangs on."""

from collections.abc import Callable

# Coarseness = raw bits of the network per unit of cost that a bit is worth; 2^-8 leaves almost all as it is.
FINEST_LOG2 = -8.0
COARSEST_LOG2 = 8.0
_BISECTIONS = 8


def coarsest(holds: Callable[[float], bool]) -> float | None:
    """The largest coarseness at which a constraint on fidelity holds; None if it holds at none.

    Args:
      holds: tells for a coarseness whether the constraint is met. Being finer is assumed never to break it.
    """
    fine, coarse, found = FINEST_LOG2, COARSEST_LOG2, False
    for _ in range(_BISECTIONS):
        middle = (fine + coarse) / 2
        if holds(2.0**middle):
            fine, found = middle, True
        else:
            coarse = middle
    return 2.0**fine if found else None


def finest(holds: Callable[[float], bool]) -> float | None:
    """The smallest coarseness at which a constraint on the rate holds; None if it holds at none.

    Args:
      holds: tells for a coarseness whether the constraint is met. Being coarser is assumed never to break it.
    """
    mirrored = coarsest(lambda coarseness: holds(_mirror(coarseness)))
    return None if mirrored is None else _mirror(mirrored)


def _mirror(coarseness: float) -> float:
    return 2.0 ** (FINEST_LOG2 + COARSEST_LOG2) / coarseness
