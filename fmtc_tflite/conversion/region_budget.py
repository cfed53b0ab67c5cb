"""Which regions may compute how much twice: one budget of multiply-adds for all regions of a graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from fmtc_tflite.memory.arena import ALIGNMENT_BYTES
from fmtc_tflite.regions.planner import RegionPlan


class Planned(Protocol):
    """A group of ops with its plan."""

    @property
    def plan(self) -> RegionPlan:
        """How its ops are executed as a region."""


Choice = TypeVar("Choice", bound=Planned)

# Plans a group again. Arguments: multiply-adds that may be computed twice, and how many bytes of scratch memory are few
# enough: where more are not needed, fewer multiply-adds are.
Replan = Callable[[Choice, int, int], Choice]
# The arena of the graph with some regions that need so many bytes of scratch memory.
Arena = Callable[[Sequence[Choice], Sequence[int]], int]


def share_budget(
    choices: Sequence[Choice], max_extra_macs: int, replan: Replan[Choice], arena: Arena[Choice]
) -> list[Choice]:
    """Plans regions again, in strips where these make the graph's arena smaller: the least one within the budget.

    By bisection; placed tensors leave gaps, so that less memory for one region need not make the arena smaller.
    """
    best, least = list(choices), _arena(choices, arena)
    low, high = arena(choices, [0] * len(choices)), least
    if len(choices) == 1:
        low = min(high, _arena([replan(choices[0], max_extra_macs, 0)], arena))
    limit = low
    while low < high:
        found = _within(limit, choices, max_extra_macs, replan, arena)
        size = _arena(found, arena)
        if (size, _extra_macs(found)) < (least, _extra_macs(best)):
            best, least = found, size
        if size <= limit:
            high = size
        else:
            low = limit + ALIGNMENT_BYTES
        limit = (low + high) // 2
    return best


def _arena(choices: Sequence[Choice], arena: Arena[Choice]) -> int:
    return arena(choices, [choice.plan.scratch_bytes for choice in choices])


def _extra_macs(choices: Sequence[Choice]) -> int:
    return sum(choice.plan.extra_macs for choice in choices)


def _within(
    limit: int, choices: Sequence[Choice], budget: int, replan: Replan[Choice], arena: Arena[Choice]
) -> list[Choice]:
    """Plans for an arena within a limit with the fewest multiply-adds computed twice, as far as the budget allows."""
    found = []
    for number, choice in enumerate(choices):
        planned = replan(choice, budget, _most_scratch(limit, number, choices, arena))
        budget -= planned.plan.extra_macs
        found.append(planned)
    return found


def _most_scratch(limit: int, number: int, choices: Sequence[Choice], arena: Arena[Choice]) -> int:
    """The most scratch memory with which a region, were it the only one that needs some, keeps the arena in a limit."""
    sizes, low, high = [0] * len(choices), 0, limit
    while low < high:
        sizes[number] = (low + high + 1) // 2
        if arena(choices, sizes) <= limit:
            low = sizes[number]
        else:
            high = sizes[number] - 1
    return low
