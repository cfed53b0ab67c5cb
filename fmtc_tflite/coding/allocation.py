"""Choosing how coarse to be: bisection over the one number that a whole network's quantization hangs on."""

from collections.abc import Callable

# Coarseness = raw bits of the network per unit of cost that a bit is worth; 2^-12 leaves almost all as it is.
FINEST_LOG2 = -12.0
COARSEST_LOG2 = 8.0
_BISECTIONS = 8
_PROBES = 4
_PROBE_LOG2 = 0.25


def coarsest(holds: Callable[[float], bool]) -> float | None:
    """About the largest coarseness at which a constraint on fidelity holds; None if it holds at none.

    A bisection, and some probes beyond what it finds: measured fidelity is not quite monotonic, and a bisection that
    was turned away by one bad place would not come back.

    Args:
      holds: tells for a coarseness whether the constraint is met. Being finer is assumed hardly ever to break it.
    """
    fine, coarse, found = FINEST_LOG2, COARSEST_LOG2, False
    for _ in range(_BISECTIONS):
        middle = (fine + coarse) / 2
        if holds(2.0**middle):
            fine, found = middle, True
        else:
            coarse = middle
    if not found:
        return None
    probes = [fine + _PROBE_LOG2 * (i + 1) for i in range(_PROBES)]
    return 2.0 ** max([fine, *(probe for probe in probes if holds(2.0**probe))])


def finest(holds: Callable[[float], bool]) -> float | None:
    """The smallest coarseness at which a constraint on the rate holds; None if it holds at none.

    Args:
      holds: tells for a coarseness whether the constraint is met. Being coarser is assumed never to break it.
    """
    mirrored = coarsest(lambda coarseness: holds(_mirror(coarseness)))
    return None if mirrored is None else _mirror(mirrored)


def _mirror(coarseness: float) -> float:
    return 2.0 ** (FINEST_LOG2 + COARSEST_LOG2) / coarseness
